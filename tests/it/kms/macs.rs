//! GenerateMac and VerifyMac.
use crate::support::failed;
use crate::world::{World, allow};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::json;

const HMACS: [(&str, &str, usize); 4] = [
    ("HMAC_224", "HMAC_SHA_224", 28),
    ("HMAC_256", "HMAC_SHA_256", 32),
    ("HMAC_384", "HMAC_SHA_384", 48),
    ("HMAC_512", "HMAC_SHA_512", 64),
];

#[tokio::test]
async fn every_hmac_key_authenticates_with_its_own_algorithm() {
    let world = World::new().await;
    for (spec, algorithm, length) in HMACS {
        let key = world.key_of(spec, "GENERATE_VERIFY_MAC").await;
        let metadata = &world.kms("DescribeKey", json!({"KeyId": key})).await["KeyMetadata"];
        assert_eq!(metadata["MacAlgorithms"], json!([algorithm]));
        assert_eq!(metadata.get("CurrentKeyMaterialId"), None);
        let body = json!({"KeyId": key, "Message": "aGVsbG8=", "MacAlgorithm": algorithm});
        let made = world.kms("GenerateMac", body.clone()).await;
        assert_eq!(made["MacAlgorithm"], algorithm);
        let mac = B64.decode(made["Mac"].as_str().unwrap()).unwrap();
        assert_eq!(mac.len(), length);
        // The same message has the same MAC, another one another.
        assert_eq!(world.kms("GenerateMac", body.clone()).await["Mac"], made["Mac"]);
        let mut other = body.clone();
        other["Message"] = json!("aGVsbG9v");
        assert_ne!(world.kms("GenerateMac", other).await["Mac"], made["Mac"]);

        let mut check = body.clone();
        check["Mac"] = made["Mac"].clone();
        assert_eq!(world.kms("VerifyMac", check.clone()).await["MacValid"], true);
        for wrong in [&mac[..length - 1], &[&mac[..], &[0]].concat(), &vec![0; length]] {
            check["Mac"] = json!(B64.encode(wrong));
            let error = world.kms_fails("VerifyMac", check.clone()).await;
            assert_eq!(error, failed("KMSInvalidMacException", ""));
        }
        for (_, wrong, _) in HMACS.iter().filter(|(_, other, _)| *other != algorithm) {
            let text = format!("Algorithm {wrong} is incompatible with key spec {spec}.");
            let mut body = body.clone();
            body["MacAlgorithm"] = json!(wrong);
            let error = world.kms_fails("GenerateMac", body).await;
            assert_eq!(error, failed("InvalidKeyUsageException", text));
        }
        let mut dry = body;
        dry["DryRun"] = json!(true);
        assert_eq!(world.kms_fails("GenerateMac", dry).await.code, "DryRunOperationException");
    }
}

#[tokio::test]
async fn only_hmac_keys_authenticate() {
    let world = World::new().await;
    let key = world.key().await;
    for (name, body) in [
        (
            "GenerateMac",
            json!({"KeyId": key, "Message": "aGVsbG8=", "MacAlgorithm": "HMAC_SHA_256"}),
        ),
        (
            "VerifyMac",
            json!({"KeyId": key, "Message": "aGVsbG8=", "Mac": "AAAA",
                "MacAlgorithm": "HMAC_SHA_256"}),
        ),
    ] {
        let text = format!("{key} key usage is ENCRYPT_DECRYPT which is not valid for {name}.");
        let error = world.kms_fails(name, body).await;
        assert_eq!(error, failed("InvalidKeyUsageException", text));
    }
    let hmac = world.key_of("HMAC_256", "GENERATE_VERIFY_MAC").await;
    let text = format!("{hmac} key usage is GENERATE_VERIFY_MAC which is not valid for Encrypt.");
    let error = world.kms_fails("Encrypt", json!({"KeyId": hmac, "Plaintext": "aGVsbG8="})).await;
    assert_eq!(error, failed("InvalidKeyUsageException", text));
}

#[tokio::test]
async fn policies_see_the_mac_algorithm() {
    let world = World::new().await;
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["kms:GenerateMac", "kms:VerifyMac"], "Resource": "*",
        "Condition": {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_512"}}}]});
    let user = world.user("mac", policy).await;
    for (spec, algorithm, allowed) in
        [("HMAC_512", "HMAC_SHA_512", true), ("HMAC_256", "HMAC_SHA_256", false)]
    {
        let key = world.key_of(spec, "GENERATE_VERIFY_MAC").await;
        let body = json!({"KeyId": key, "Message": "aGVsbG8=", "MacAlgorithm": algorithm});
        let mac = world.kms("GenerateMac", body.clone()).await["Mac"].clone();
        let mut check = body.clone();
        check["Mac"] = mac;
        for (name, body) in [("GenerateMac", body), ("VerifyMac", check)] {
            match world.call_as(&user, "kms", name, body).await {
                Ok(_) => assert!(allowed, "{name} {spec}"),
                Err(error) => {
                    assert!(!allowed, "{name} {spec}: {error:?}");
                    assert_eq!(error.code, "AccessDeniedException");
                }
            }
        }
    }
    // Without a condition on it, the algorithm does not matter.
    let free = world.user("free", allow(&["kms:GenerateMac"])).await;
    let key = world.key_of("HMAC_224", "GENERATE_VERIFY_MAC").await;
    let body = json!({"KeyId": key, "Message": "aGVsbG8=", "MacAlgorithm": "HMAC_SHA_224"});
    world.kms_as(&free, "GenerateMac", body).await;
}
