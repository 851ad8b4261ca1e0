//! What the external keys are: KMS keys of this deployment and keys in its devices, and what becomes of
//! them.
use super::{Place, Plan, b64, decrypt_body, encrypt_body, for_proxies, metadata, named};
use crate::support::{delegate, policy};
use crate::world::World;
use claviger::xks::{Proxy, Settings};
use serde_json::{Value, json};
use std::time::Duration;

fn described() -> Value {
    json!({"requestMetadata": metadata("DescribeKey")})
}

#[tokio::test]
async fn a_key_whose_policy_does_not_say_so_is_not_for_a_proxy() {
    let place = Place::new().await;
    let statements = policy(&[delegate()]);
    let put =
        json!({"KeyId": place.key, "PolicyName": "default", "Policy": statements.to_string()});
    let sealed = place.encrypt("kms", b"a", None).await;
    place.world.kms("PutKeyPolicy", put).await;
    for (what, body) in [
        ("/keys/kms/encrypt", encrypt_body(b"a")),
        ("/keys/kms/decrypt", decrypt_body(&sealed, None)),
        ("/keys/kms/metadata", described()),
    ] {
        assert_eq!(place.refused(what, &body).await, "AccessDeniedException", "{what}");
    }
    // Health is nobody's permission.
    let health =
        json!({"requestMetadata": {"kmsOperation": "KmsHealthCheck", "kmsRequestId": "r"}});
    place.ok("/health", &health).await;
}

/// As AWS's services say for what they ask, so does this one: a policy tells one KMS key from another.
#[tokio::test]
async fn a_key_policy_sees_the_kms_key_that_is_meant() {
    let place = Place::new().await;
    let mut statement = for_proxies();
    let theirs = "arn:aws:kms:us-west-2:444455556666:key/good";
    statement["Condition"] = json!({
        "ArnEquals": {"aws:SourceArn": theirs},
        "StringEquals": {"aws:SourceAccount": "444455556666"},
    });
    let statements = policy(&[delegate(), statement]);
    let put =
        json!({"KeyId": place.key, "PolicyName": "default", "Policy": statements.to_string()});
    place.world.kms("PutKeyPolicy", put).await;
    let mut body = encrypt_body(b"a");
    body["requestMetadata"]["kmsKeyArn"] = json!(theirs);
    place.ok("/keys/kms/encrypt", &body).await;
    body["requestMetadata"]["kmsKeyArn"] = json!("arn:aws:kms:us-west-2:444455556666:key/other");
    assert_eq!(place.refused("/keys/kms/encrypt", &body).await, "AccessDeniedException");
}

#[tokio::test]
async fn the_state_of_a_kms_key() {
    let place = Place::new().await;
    let sealed = place.encrypt("kms", b"a", None).await;
    let status = async || place.ok("/keys/kms/metadata", &described()).await["keyStatus"].clone();
    let refusals = async || {
        let encrypt = place.refused("/keys/kms/encrypt", &encrypt_body(b"a")).await;
        let decrypt = named(place.decrypt("kms", &sealed, None).await);
        assert_eq!(encrypt, decrypt);
        encrypt
    };
    assert_eq!(status().await, "ENABLED");
    place.world.kms("DisableKey", json!({"KeyId": place.key})).await;
    assert_eq!(status().await, "DISABLED");
    assert_eq!(refusals().await, "InvalidStateException");
    place.world.kms("EnableKey", json!({"KeyId": place.key})).await;
    let ends = json!({"KeyId": place.key, "PendingWindowInDays": 7});
    place.world.kms("ScheduleKeyDeletion", ends).await;
    assert_eq!(status().await, "DISABLED");
    assert_eq!(refusals().await, "InvalidStateException");
    place.world.advance(8 * 86_400).await;
    assert_eq!(refusals().await, "KeyNotFoundException");
    assert_eq!(place.refused("/keys/kms/metadata", &described()).await, "KeyNotFoundException");
    let refused = place.refused("/keys/no-such-key/encrypt", &encrypt_body(b"a")).await;
    assert_eq!(refused, "KeyNotFoundException");
}

#[tokio::test]
async fn a_rotated_key_opens_what_it_sealed_before() {
    let place = Place::new().await;
    let mut all = vec![place.encrypt("kms", b"one", None).await];
    for _ in 0..3 {
        place.world.kms("RotateKeyOnDemand", json!({"KeyId": place.key})).await;
        place.world.advance(86_400).await;
        all.push(place.encrypt("kms", b"one", None).await);
    }
    for sealed in &all {
        let opened = place.decrypt("kms", sealed, None).await;
        assert_eq!(opened, (200, json!({"plaintext": b64(b"one")})));
    }
    let prefixes: std::collections::BTreeSet<Vec<u8>> = all
        .iter()
        .map(|sealed| super::unb64(&sealed["ciphertextMetadata"])[1..5].to_vec())
        .collect();
    assert_eq!(prefixes.len(), 4, "each under its own material");
}

/// Neither what Encrypt of this deployment makes nor what the proxy makes is the other's.
#[tokio::test]
async fn the_proxy_and_the_api_do_not_open_each_others_ciphertexts() {
    let place = Place::new().await;
    let made = place.world.kms("Encrypt", json!({"KeyId": place.key, "Plaintext": "YQ=="})).await;
    let blob = super::unb64(&made["CiphertextBlob"]);
    let (head, rest) = blob.split_at(104);
    let (iv, rest) = rest.split_at(12);
    let (ciphertext, tag) = rest.split_at(rest.len() - 16);
    for metadata in [&head[..20], &head[24..44], &head[40..60], &[]] {
        let sealed = json!({
            "ciphertext": b64(ciphertext), "initializationVector": b64(iv),
            "authenticationTag": b64(tag), "ciphertextMetadata": b64(metadata),
        });
        let refused = named(place.decrypt("kms", &sealed, Some(&head[..72])).await);
        assert_eq!(refused, "InvalidCiphertextException");
    }
}

/// A key here and a key in a device are two, and so are two keys in one device.
#[tokio::test]
async fn another_key_does_not_open_it() {
    let place = Place::new().await;
    for (one, other) in
        [("kms", "device"), ("device", "kms"), ("device", "second"), ("second", "device")]
    {
        let sealed = place.encrypt(one, b"a", None).await;
        let refused = named(place.decrypt(other, &sealed, None).await);
        assert_eq!(refused, "InvalidCiphertextException", "{one} {other}");
    }
}

#[tokio::test]
async fn keys_that_are_no_aes_keys_are_none() {
    let mut place = Place::of(World::new().await, Plan::default()).await;
    let policy = policy(&[delegate(), for_proxies()]).to_string();
    let mut keys = Vec::new();
    for (spec, usage) in [("RSA_2048", "ENCRYPT_DECRYPT"), ("HMAC_256", "GENERATE_VERIFY_MAC")] {
        let body = json!({
            "KeySpec": spec, "KeyUsage": usage, "Policy": policy,
            "BypassPolicyLockoutSafetyCheck": true,
        });
        let made = place.world.kms("CreateKey", body).await;
        keys.push(json!({"id": spec, "kms_key": made["KeyMetadata"]["Arn"]}));
    }
    let store: Settings = serde_json::from_value(json!({
        "account": crate::world::ACCOUNT,
        "region": super::THEIRS,
        "credentials": [place.files.path().join("one.json")],
        "key": keys,
    }))
    .unwrap();
    let proxy = Proxy::new(place.world.server.clone(), vec![store], Duration::from_secs(10));
    place.proxy = std::sync::Arc::new(proxy.unwrap());
    place.address = super::listen(&place.world, &place.proxy, None).await;
    for spec in ["RSA_2048", "HMAC_256"] {
        let sent = async |what: &str, body: Value| {
            let path = format!("/kms/xks/v1/keys/{spec}/{what}");
            named(place.send(place.request(&path, body.to_string().into())).await)
        };
        assert_eq!(sent("encrypt", encrypt_body(b"a")).await, "InvalidKeyUsageException");
        assert_eq!(sent("metadata", described()).await, "InvalidKeyUsageException");
    }
}

#[tokio::test]
async fn the_last_use_is_the_proxys() {
    let place = Place::new().await;
    place.encrypt("kms", b"a", None).await;
    let event = place.world.last_event();
    place.world.advance(2).await;
    let shown = place.world.kms("GetKeyLastUsage", json!({"KeyId": place.key})).await;
    assert!(shown.to_string().contains(&*event.event_id), "{shown}");
}
