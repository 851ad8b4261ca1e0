//! The life of a store and its keys, at our own proxy.
use super::{Pair, key_body, registered, store_body};
use crate::xks::{ID, PATH, SECRET};
use claviger::external::Proxies;
use serde_json::{Value, json};
use std::sync::Arc;

const PLAINTEXT: &str = "YXR0YWNrIGF0IGRhd24=";

#[tokio::test]
async fn a_key_encrypts_and_decrypts_by_its_proxy() {
    let pair = Pair::new().await;
    let store = pair.store().await;
    for external in ["kms", "device"] {
        let key = pair.key(&store, external).await;
        let described = pair.call("DescribeKey", json!({"KeyId": key})).await;
        let metadata = &described["KeyMetadata"];
        assert_eq!(metadata["Origin"], "EXTERNAL_KEY_STORE");
        assert_eq!(metadata["XksKeyConfiguration"], json!({"Id": external}));
        assert_eq!(metadata["CustomKeyStoreId"], json!(store));
        assert_eq!(metadata["KeyState"], "Enabled");
        assert_eq!(metadata.get("CloudHsmClusterId"), None);
        let context = json!({"tenant": "a"});
        let sealed = pair
            .call(
                "Encrypt",
                json!({
                    "KeyId": key, "Plaintext": PLAINTEXT, "EncryptionContext": context,
                }),
            )
            .await;
        let blob = &sealed["CiphertextBlob"];
        let opens = json!({"CiphertextBlob": blob, "EncryptionContext": context});
        let opened = pair.call("Decrypt", opens).await;
        assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!(PLAINTEXT), &json!(key)));
        for wrong in [json!({}), json!({"tenant": "b"})] {
            let body = json!({"CiphertextBlob": blob, "EncryptionContext": wrong});
            let refused = pair.fails("Decrypt", body).await;
            assert_eq!(refused.code, "KMSInvalidStateException");
            assert!(refused.message.contains("ciphertext or encryption context"), "{refused:?}");
        }
        // What the proxy saw of it was neither the plaintext nor the context.
        let said = serde_json::to_string(&pair.there.world.events()).unwrap();
        assert!(!said.contains("tenant") && !said.contains(PLAINTEXT));

        let made = pair.call("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})).await;
        let opened = pair.call("Decrypt", json!({"CiphertextBlob": made["CiphertextBlob"]})).await;
        assert_eq!(opened["Plaintext"], made["Plaintext"]);
        let made = pair
            .call("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "NumberOfBytes": 1024}))
            .await;
        pair.call("Decrypt", json!({"CiphertextBlob": made["CiphertextBlob"]})).await;
        let most = crate::xks::b64(&[7; 4096]);
        let made = pair.call("Encrypt", json!({"KeyId": key, "Plaintext": most})).await;
        let opened = pair.call("Decrypt", json!({"CiphertextBlob": made["CiphertextBlob"]})).await;
        assert_eq!(opened["Plaintext"], json!(most));
    }
}

#[tokio::test]
async fn re_encrypt_into_out_of_and_within_an_external_store() {
    let pair = Pair::new().await;
    let store = pair.store().await;
    let (one, other) = (pair.key(&store, "kms").await, pair.key(&store, "device").await);
    let local = pair.call("CreateKey", json!({})).await["KeyMetadata"]["KeyId"].clone();
    let mut blob =
        pair.call("Encrypt", json!({"KeyId": local, "Plaintext": PLAINTEXT})).await["CiphertextBlob"]
            .clone();
    for to in [json!(one), json!(other), json!(other), json!(one), local] {
        let body = json!({"CiphertextBlob": blob, "DestinationKeyId": to});
        blob = pair.call("ReEncrypt", body).await["CiphertextBlob"].clone();
    }
    let opened = pair.call("Decrypt", json!({"CiphertextBlob": blob})).await;
    assert_eq!(opened["Plaintext"], PLAINTEXT);
}

/// What a proxy is told: the specification's members, as CloudTrail has them.
#[tokio::test]
async fn the_proxy_is_told_who_asks() {
    let pair = Pair::new().await;
    let store = pair.store().await;
    let key = pair.key(&store, "kms").await;
    let told =
        || pair.there.world.last_event().request_parameters.unwrap()["requestMetadata"].clone();
    assert_eq!(told()["kmsOperation"], "CreateKey");
    assert_eq!(told().get("kmsKeyArn"), None);
    let sealed = pair.call("Encrypt", json!({"KeyId": key, "Plaintext": PLAINTEXT})).await;
    let expected = |operation: &str| {
        json!({
            "awsPrincipalArn": "arn:aws:iam::111122223333:root",
            "kmsKeyArn": key,
            "kmsOperation": operation,
            "kmsRequestId": pair.kms.last_event().request_id,
        })
    };
    assert_eq!(told(), expected("Encrypt"));
    pair.call("Decrypt", json!({"CiphertextBlob": sealed["CiphertextBlob"]})).await;
    assert_eq!(told(), expected("Decrypt"));
    pair.call("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})).await;
    assert_eq!(told(), expected("GenerateDataKey"));

    // A secret under the key: KMS is asked for the caller by a service.
    let root = pair.kms.root.clone();
    let secrets = async |name: &str, body: Value| {
        pair.kms.call_in(&root, crate::xks::THEIRS, "secretsmanager", name, body).await.unwrap()
    };
    let token = crate::support::token(1);
    let body = json!({
        "Name": "s", "SecretString": "v", "KmsKeyId": key, "ClientRequestToken": token,
    });
    secrets("CreateSecret", body).await;
    assert_eq!(told()["kmsViaService"], "secretsmanager.us-west-2.amazonaws.com");
    let value = secrets("GetSecretValue", json!({"SecretId": "s"})).await;
    assert_eq!(value["SecretString"], "v");
}

#[tokio::test]
async fn a_store_that_is_disconnected_has_keys_that_cannot_be_used() {
    let pair = Pair::new().await;
    let store = pair.store().await;
    let key = pair.key(&store, "kms").await;
    let sealed = pair.call("Encrypt", json!({"KeyId": key, "Plaintext": PLAINTEXT})).await;
    let named = json!({"CustomKeyStoreId": store});
    pair.call("DisconnectCustomKeyStore", named.clone()).await;
    let described = pair.call("DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(described["KeyMetadata"]["KeyState"], "Unavailable");
    let asked = pair.there.world.events().len();
    for (name, body) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": PLAINTEXT})),
        ("Decrypt", json!({"CiphertextBlob": sealed["CiphertextBlob"]})),
    ] {
        assert_eq!(pair.fails(name, body).await.code, "KMSInvalidStateException");
    }
    assert_eq!(pair.there.world.events().len(), asked, "nobody asked the proxy");
    pair.call("ConnectCustomKeyStore", named).await;
    pair.call("Decrypt", json!({"CiphertextBlob": sealed["CiphertextBlob"]})).await;
}

#[tokio::test]
async fn one_external_key_has_one_kms_key() {
    let pair = Pair::new().await;
    let store = pair.store().await;
    let key = pair.key(&store, "kms").await;
    let twice = pair.fails("CreateKey", key_body(&store, "kms")).await;
    assert_eq!(twice.code, "XksKeyAlreadyInUseException");
    pair.key(&store, "device").await;
    let ends = json!({"KeyId": key, "PendingWindowInDays": 7});
    pair.call("ScheduleKeyDeletion", ends).await;
    assert_eq!(pair.fails("CreateKey", key_body(&store, "kms")).await, twice);
    // The signatures are of the proxy's time too.
    pair.kms.advance(8 * 86_400).await;
    pair.there.world.clock.advance(8 * 86_400);
    pair.key(&store, "kms").await;
}

#[tokio::test]
async fn an_external_key_that_does_not_fit_makes_no_kms_key() {
    let pair = Pair::new().await;
    let store = pair.store().await;
    for (external, code) in [
        ("no-such-external-key", "XksKeyNotFoundException"),
        ("no-such-key", "XksKeyNotFoundException"),
        ("encrypt_only_key", "XksKeyInvalidConfigurationException"),
        ("impotent_key", "XksKeyInvalidConfigurationException"),
    ] {
        let refused = pair.fails("CreateKey", key_body(&store, external)).await;
        assert_eq!(refused.code, code, "{external}: {refused:?}");
    }
    pair.there.world.kms("DisableKey", json!({"KeyId": pair.there.key})).await;
    let refused = pair.fails("CreateKey", key_body(&store, "kms")).await;
    assert_eq!(refused.code, "XksKeyInvalidConfigurationException");
    let mut without = key_body(&store, "kms");
    without.as_object_mut().unwrap().remove("XksKeyId");
    assert_eq!(pair.fails("CreateKey", without).await.code, "ValidationException");
    let mut rsa = key_body(&store, "device");
    rsa["KeySpec"] = json!("RSA_2048");
    rsa["KeyUsage"] = json!("SIGN_VERIFY");
    assert_eq!(pair.fails("CreateKey", rsa).await.code, "UnsupportedOperationException");
    let shown = pair.call("ListKeys", json!({})).await;
    assert_eq!(shown["Keys"], json!([]));
}

/// The other side takes its key away, and what was encrypted waits until it is back.
#[tokio::test]
async fn the_other_side_can_stop_it_at_any_time() {
    let pair = Pair::new().await;
    let store = pair.store().await;
    let key = pair.key(&store, "kms").await;
    let sealed = pair.call("Encrypt", json!({"KeyId": key, "Plaintext": PLAINTEXT})).await;
    let opens = json!({"CiphertextBlob": sealed["CiphertextBlob"]});
    let theirs = json!({"KeyId": pair.there.key});
    pair.there.world.kms("DisableKey", theirs.clone()).await;
    let refused = pair.fails("Decrypt", opens.clone()).await;
    assert_eq!(refused.code, "KMSInvalidStateException");
    assert!(refused.message.contains("is not enabled in the external key manager"), "{refused:?}");
    pair.there.world.kms("EnableKey", theirs).await;
    assert_eq!(pair.call("Decrypt", opens).await["Plaintext"], PLAINTEXT);
}

#[tokio::test]
async fn a_proxy_is_tried_before_a_store_is_made_of_it() {
    let pair = Pair::new().await;
    let other = "c2VjcmV0IG9mIG5vYm9keSwgYnV0IG9mIDMyIGJ5dGVzLiA=";
    let wrong = pair.fails("CreateCustomKeyStore", store_body("a", ID, other)).await;
    assert_eq!(wrong.code, "XksProxyIncorrectAuthenticationCredentialException");
    let mut elsewhere = store_body("a", ID, SECRET);
    elsewhere["XksProxyUriPath"] = json!("/other/kms/xks/v1");
    let wrong = pair.fails("CreateCustomKeyStore", elsewhere).await;
    assert_eq!(wrong.code, "XksProxyInvalidConfigurationException");
    let mut stranger = store_body("a", ID, SECRET);
    stranger["XksProxyUriEndpoint"] = json!("https://169.254.169.254");
    let wrong = pair.fails("CreateCustomKeyStore", stranger).await;
    assert_eq!(wrong.code, "XksProxyUriUnreachableException");
    let shown = pair.call("DescribeCustomKeyStores", json!({})).await;
    assert_eq!(shown["CustomKeyStores"], json!([]));

    let id = pair.store().await;
    let change = |members: Value| {
        let mut body = json!({"CustomKeyStoreId": id});
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let credential = json!({"XksProxyAuthenticationCredential":
        {"AccessKeyId": ID, "RawSecretAccessKey": other}});
    let wrong = pair.fails("UpdateCustomKeyStore", change(credential)).await;
    assert_eq!(wrong.code, "XksProxyIncorrectAuthenticationCredentialException");
    // The old one is still the one.
    pair.key(&id, "kms").await;
    pair.call("UpdateCustomKeyStore", change(json!({"XksProxyUriPath": PATH}))).await;
    pair.call("UpdateCustomKeyStore", change(json!({"NewCustomKeyStoreName": "b"}))).await;
}

#[tokio::test]
async fn what_connecting_finds_is_shown() {
    let mut pair = Pair::new().await;
    let id = pair.store().await;
    let named = json!({"CustomKeyStoreId": id});
    let state = async |pair: &Pair| {
        let shown = pair.call("DescribeCustomKeyStores", named.clone()).await;
        let store = shown["CustomKeyStores"][0].clone();
        (store["ConnectionState"].clone(), store["ConnectionErrorCode"].clone())
    };
    assert_eq!(state(&pair).await, (json!("CONNECTED"), Value::Null));
    pair.call("DisconnectCustomKeyStore", named.clone()).await;
    // The other side has another credential now.
    let dir = pair.there.files.path().to_owned();
    let other = "c2VjcmV0IG9mIG5vYm9keSwgYnV0IG9mIDMyIGJ5dGVzLiA=";
    crate::xks::credential(&dir, "one.json", ID, other);
    pair.there.proxy.reload().unwrap();
    pair.call("ConnectCustomKeyStore", named.clone()).await;
    assert_eq!(state(&pair).await, (json!("FAILED"), json!("XKS_PROXY_ACCESS_DENIED")));
    // A certificate that our authorities did not sign.
    pair.call("DisconnectCustomKeyStore", named.clone()).await;
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("stranger.pem"), stranger.cert.pem()).unwrap();
    let (address, _stop) = crate::xks::client::serve_again(&pair).await;
    let settings = registered(&address, Some(dir.join("stranger.pem")));
    let proxies = Arc::new(Proxies::new(&[settings]).unwrap());
    Arc::get_mut(&mut pair.kms.server).unwrap().proxies = proxies;
    pair.call("ConnectCustomKeyStore", named.clone()).await;
    let expected = json!("XKS_PROXY_INVALID_TLS_CONFIGURATION");
    assert_eq!(state(&pair).await, (json!("FAILED"), expected));
}
