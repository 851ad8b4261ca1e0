//! An unmodified AWS SDK makes an external key store of our own proxy, works with keys in it, and has AWS's
//! errors when the other side does not play along.
use super::{ENDPOINT, Pair};
use crate::xks::{ID, PATH, SECRET, THEIRS};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::{Region, retry::RetryConfig};
use aws_sdk_kms::operation::create_custom_key_store::builders::CreateCustomKeyStoreFluentBuilder;
use aws_sdk_kms::operation::create_key::builders::CreateKeyFluentBuilder;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    ConnectionErrorCodeType, ConnectionStateType, CustomKeyStoreType, DataKeyPairSpec, DataKeySpec,
    KeyState, OriginType, XksProxyAuthenticationCredentialType, XksProxyConnectivityType,
};
use serde_json::json;

const OTHER_SECRET: &str = "c2VjcmV0IG9mIG5vYm9keSwgYnV0IG9mIDMyIGJ5dGVzLiA=";

async fn client(pair: &Pair) -> Client {
    let shared = pair.kms.sdk(&pair.kms.root).await;
    let config = aws_sdk_kms::config::Builder::from(&shared)
        .region(Region::new(THEIRS))
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

fn making(client: &Client, name: &str, secret: &str) -> CreateCustomKeyStoreFluentBuilder {
    let credential = XksProxyAuthenticationCredentialType::builder()
        .access_key_id(ID)
        .raw_secret_access_key(secret)
        .build()
        .unwrap();
    client
        .create_custom_key_store()
        .custom_key_store_name(name)
        .custom_key_store_type(CustomKeyStoreType::ExternalKeyStore)
        .xks_proxy_uri_endpoint(ENDPOINT)
        .xks_proxy_uri_path(PATH)
        .xks_proxy_authentication_credential(credential)
        .xks_proxy_connectivity(XksProxyConnectivityType::PublicEndpoint)
}

async fn connected(client: &Client) -> String {
    let made = making(client, "xks", SECRET).send().await.unwrap();
    let store = made.custom_key_store_id().unwrap().to_owned();
    client.connect_custom_key_store().custom_key_store_id(&store).send().await.unwrap();
    store
}

fn key(client: &Client, store: &str, external: &str) -> CreateKeyFluentBuilder {
    client
        .create_key()
        .custom_key_store_id(store)
        .origin(OriginType::ExternalKeyStore)
        .xks_key_id(external)
}

async fn made(client: &Client, store: &str, external: &str) -> String {
    let made = key(client, store, external).send().await.unwrap();
    made.key_metadata().unwrap().arn().unwrap().to_owned()
}

#[tokio::test]
async fn a_keys_life() {
    let pair = Pair::new().await;
    let client = client(&pair).await;
    let store = connected(&client).await;
    for external in ["kms", "device"] {
        let arn = made(&client, &store, external).await;
        let described = client.describe_key().key_id(&arn).send().await.unwrap();
        let metadata = described.key_metadata().unwrap();
        assert_eq!(metadata.origin(), Some(&OriginType::ExternalKeyStore));
        assert_eq!(metadata.xks_key_configuration().unwrap().id(), Some(external));
        assert_eq!(metadata.custom_key_store_id(), Some(store.as_str()));

        let plaintext = Blob::new(vec![7; 4096]);
        let sealed = client
            .encrypt()
            .key_id(&arn)
            .plaintext(plaintext.clone())
            .encryption_context("tenant", "a")
            .send()
            .await
            .unwrap();
        let blob = sealed.ciphertext_blob().unwrap().clone();
        let open = client.decrypt().ciphertext_blob(blob.clone());
        let opened = open.clone().encryption_context("tenant", "a").send().await.unwrap();
        assert_eq!((opened.plaintext(), opened.key_id()), (Some(&plaintext), Some(arn.as_str())));
        for wrong in [open.clone(), open.clone().encryption_context("tenant", "b")] {
            let refused = wrong.send().await.unwrap_err().into_service_error();
            assert!(refused.is_kms_invalid_state_exception(), "{refused}");
        }

        let data = client.generate_data_key().key_id(&arn).key_spec(DataKeySpec::Aes256);
        let data = data.encryption_context("tenant", "a").send().await.unwrap();
        let opened = client
            .decrypt()
            .key_id(&arn)
            .ciphertext_blob(data.ciphertext_blob().unwrap().clone())
            .encryption_context("tenant", "a")
            .send()
            .await
            .unwrap();
        assert_eq!(opened.plaintext(), data.plaintext());
        let without = client.generate_data_key_without_plaintext().key_id(&arn).number_of_bytes(77);
        let without = without.send().await.unwrap().ciphertext_blob.unwrap();
        let opened = client.decrypt().ciphertext_blob(without).send().await.unwrap();
        assert_eq!(opened.plaintext().unwrap().as_ref().len(), 77);
        // AWS: not under keys in custom key stores.
        let two = client.generate_data_key_pair().key_id(&arn);
        let refused = two.key_pair_spec(DataKeyPairSpec::EccNistP256).send().await.unwrap_err();
        let refused = refused.into_service_error();
        assert!(refused.is_unsupported_operation_exception(), "{refused}");

        // Out of the external store with the context, and into it with another one.
        let local = client.create_key().send().await.unwrap();
        let local = local.key_metadata().unwrap().key_id().to_owned();
        let moved = client
            .re_encrypt()
            .ciphertext_blob(blob)
            .source_encryption_context("tenant", "a")
            .destination_key_id(&local)
            .destination_encryption_context("tenant", "c")
            .send()
            .await
            .unwrap();
        let back = client
            .re_encrypt()
            .ciphertext_blob(moved.ciphertext_blob().unwrap().clone())
            .source_encryption_context("tenant", "c")
            .destination_key_id(&arn)
            .destination_encryption_context("tenant", "d")
            .send()
            .await
            .unwrap();
        let back = client.decrypt().ciphertext_blob(back.ciphertext_blob().unwrap().clone());
        let opened = back.clone().encryption_context("tenant", "d").send().await.unwrap();
        assert_eq!(opened.plaintext(), Some(&plaintext));
        let refused = back.encryption_context("tenant", "a").send().await.unwrap_err();
        assert!(refused.into_service_error().is_kms_invalid_state_exception());
        let refused = client.enable_key_rotation().key_id(&arn).send().await.unwrap_err();
        let refused = refused.into_service_error();
        assert!(refused.is_unsupported_operation_exception(), "{refused}");
    }
}

#[tokio::test]
async fn the_other_sides_refusals_are_awss_errors() {
    let pair = Pair::new().await;
    let client = client(&pair).await;
    let store = connected(&client).await;
    let arn = made(&client, &store, "kms").await;
    let encrypt = || client.encrypt().key_id(&arn).plaintext(Blob::new(*b"attack"));
    let sealed = encrypt().send().await.unwrap().ciphertext_blob.unwrap();

    let refused = async |external: &str| {
        key(&client, &store, external).send().await.unwrap_err().into_service_error()
    };
    let twice = refused("kms").await;
    assert!(twice.is_xks_key_already_in_use_exception(), "{twice}");
    let nowhere = refused("no-such-external-key").await;
    assert!(nowhere.is_xks_key_not_found_exception(), "{nowhere}");
    let half = refused("encrypt_only_key").await;
    assert!(half.is_xks_key_invalid_configuration_exception(), "{half}");
    let wrong = making(&client, "b", OTHER_SECRET).xks_proxy_uri_path("/b/kms/xks/v1");
    let wrong = wrong.send().await.unwrap_err().into_service_error();
    // The path is looked at first: at another one there is no store.
    assert!(wrong.is_xks_proxy_invalid_configuration_exception(), "{wrong}");

    // The key is disabled there, and then gone.
    let theirs = json!({"KeyId": pair.there.key});
    pair.there.world.kms("DisableKey", theirs.clone()).await;
    let refused = encrypt().send().await.unwrap_err().into_service_error();
    assert!(refused.is_kms_invalid_state_exception(), "{refused}");
    assert!(
        refused.to_string().contains("is not enabled in the external key manager"),
        "{refused}"
    );
    let open = client.decrypt().ciphertext_blob(sealed);
    let refused = open.clone().send().await.unwrap_err().into_service_error();
    assert!(refused.is_kms_invalid_state_exception(), "{refused}");
    let disabled = key(&client, &store, "secondary").send().await.unwrap_err();
    assert!(disabled.into_service_error().is_xks_key_invalid_configuration_exception());
    pair.there.world.kms("EnableKey", theirs).await;
    open.clone().send().await.unwrap();

    // Here it is the KMS key that is disabled: the proxy is not asked.
    client.disable_key().key_id(&arn).send().await.unwrap();
    let refused = encrypt().send().await.unwrap_err().into_service_error();
    assert!(refused.is_disabled_exception(), "{refused}");
    client.enable_key().key_id(&arn).send().await.unwrap();

    client.disconnect_custom_key_store().custom_key_store_id(&store).send().await.unwrap();
    let refused = encrypt().send().await.unwrap_err().into_service_error();
    assert!(refused.is_kms_invalid_state_exception(), "{refused}");
    let refused = key(&client, &store, "device").send().await.unwrap_err().into_service_error();
    assert!(refused.is_custom_key_store_invalid_state_exception(), "{refused}");
    let described = client.describe_key().key_id(&arn).send().await.unwrap();
    let state = described.key_metadata().unwrap().key_state();
    assert_eq!(state, Some(&KeyState::Unavailable));
    let refused = client.delete_custom_key_store().custom_key_store_id(&store).send().await;
    let refused = refused.unwrap_err().into_service_error();
    assert!(refused.is_custom_key_store_has_cm_ks_exception(), "{refused}");
    client.connect_custom_key_store().custom_key_store_id(&store).send().await.unwrap();
    open.send().await.unwrap();
}

#[tokio::test]
async fn a_proxy_that_is_down() {
    let pair = Pair::new().await;
    let client = client(&pair).await;
    let store = connected(&client).await;
    let arn = made(&client, &store, "kms").await;
    let encrypt = || client.encrypt().key_id(&arn).plaintext(Blob::new(*b"attack"));
    encrypt().send().await.unwrap();
    pair.stop.send_replace(true);
    // Kept connections end too; who is at it may still be answered.
    let mut refused = None;
    for _ in 0..200 {
        match encrypt().send().await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Err(error) => {
                refused = Some(error.into_service_error());
                break;
            }
        }
    }
    let refused = refused.expect("an error once nobody listens");
    assert!(refused.is_kms_invalid_state_exception(), "{refused}");
    assert!(refused.to_string().contains("cannot communicate with the external"), "{refused}");
    let refused = key(&client, &store, "device").send().await.unwrap_err().into_service_error();
    assert!(refused.is_custom_key_store_invalid_state_exception(), "{refused}");
    let elsewhere = making(&client, "b", SECRET).xks_proxy_uri_path("/b/kms/xks/v1");
    let refused = elsewhere.send().await.unwrap_err().into_service_error();
    assert!(refused.is_xks_proxy_uri_unreachable_exception(), "{refused}");
    client.disconnect_custom_key_store().custom_key_store_id(&store).send().await.unwrap();
    client.connect_custom_key_store().custom_key_store_id(&store).send().await.unwrap();
    let shown = client.describe_custom_key_stores().custom_key_store_id(&store).send().await;
    let shown = &shown.unwrap().custom_key_stores.unwrap()[0];
    assert_eq!(shown.connection_state(), Some(&ConnectionStateType::Failed));
    let code = Some(&ConnectionErrorCodeType::XksProxyNotReachable);
    assert_eq!(shown.connection_error_code(), code);
    // Nothing of the secret is shown.
    assert!(!format!("{shown:?}").contains(SECRET));
}
