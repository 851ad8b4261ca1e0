//! The cases of AWS's test client for XKS proxies (aws-kms-xksproxy-test-client 1.0.4, started with `-a`),
//! each as it has them. The client signs with curl: `curl.rs` does so, too.
//!
//! | its script | its cases | here |
//! |---|---|---|
//! | `test_get_health_status` | good; without metadata, with empty metadata; a wrong id, a wrong secret, a wrong prefix | `get_health_status` |
//! | `test_get_key_metadata` | for DescribeKey, for CreateKey; without metadata, with empty metadata; a key that is not there; a wrong id, a wrong secret, a wrong prefix | `get_key_metadata` |
//! | `test_encrypt_decrypt` | a key that is not there; no plaintext; a wrong id, a wrong secret, a wrong prefix; Decrypt without the associated data (twice) and with other data; there and back without, and with; with an integrity value, with data and without; 4096 bytes and 8192 of data | `encrypt_and_decrypt`, `integrity`, `large` |
//! | `test_encrypt_only_key` | Encrypt with data and without; Decrypt is refused; Encrypt with an integrity value is refused, with data and without | `keys_of_one_use_or_none` |
//! | `test_decrypt_only_key`, `test_impotent_key` | Encrypt is refused, with data and without, with an integrity value and without | `keys_of_one_use_or_none` |
//! | `test_negative_mtls` | an expired certificate, one that signed itself | `mtls.rs`: `only_the_named_clients_of_the_authority_are_let_in` |
use super::{
    ID, PATH, Place, SECRET, THEIRS, b64, decrypt_body, encrypt_body, metadata, named, signed,
    unb64, unsigned,
};
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const AAD: &[u8] = b"project=nile,department=marketing";
const OTHER_AAD: &[u8] = b"project=blue,department=finance";

fn health() -> Value {
    json!({"requestMetadata": {"kmsOperation": "KmsHealthCheck", "kmsRequestId": "r"}})
}

fn of_metadata(operation: &str) -> Value {
    json!({"requestMetadata": metadata(operation)})
}

/// The refusals that each API has in common: an id, a secret and a prefix with something before or after
/// them.
async fn refuses_strangers(place: &Place, what: &str, body: &Value) {
    let sent = async |path: String, id: &str, secret: &str| {
        let request = unsigned(&place.address, Method::POST, &path, body.to_string().into());
        named(place.send(signed(request, (id, secret), THEIRS, "kms-xks-proxy", place.now())).await)
    };
    let (path, failed) = (format!("{PATH}{what}"), "AuthenticationFailedException");
    assert_eq!(sent(path.clone(), &format!("Invalid{ID}"), SECRET).await, failed);
    assert_eq!(sent(path, ID, &format!("Invalid{SECRET}")).await, failed);
    let elsewhere = PATH.replacen("/kms/xks", "/invalid/kms/xks", 1);
    let refused = sent(format!("{elsewhere}{what}"), ID, SECRET).await;
    assert_eq!(refused, "InvalidUriPathException");
}

#[tokio::test]
async fn get_health_status() {
    let place = Place::new().await;
    let answer = place.ok("/health", &health()).await;
    assert!(answer["xksProxyFleetSize"].as_u64().unwrap() > 0);
    let members = answer["ekmFleetDetails"].as_array().unwrap();
    assert!((1..=10).contains(&members.len()), "{answer}");
    assert!(members.iter().all(|one| one["healthStatus"] == "ACTIVE"), "{answer}");
    for name in ["xksProxyVendor", "xksProxyModel", "ekmVendor"] {
        assert!(!answer[name].as_str().unwrap().is_empty(), "{name}");
    }
    for body in [json!({}), json!({"requestMetadata": {}})] {
        assert_eq!(place.refused("/health", &body).await, "ValidationException");
    }
    refuses_strangers(&place, "/health", &health()).await;
}

#[tokio::test]
async fn get_key_metadata() {
    let place = Place::new().await;
    for key in ["kms", "device"] {
        let what = format!("/keys/{key}/metadata");
        for operation in ["DescribeKey", "CreateKey"] {
            let expected = json!({
                "keySpec": "AES_256", "keyUsage": ["ENCRYPT", "DECRYPT"], "keyStatus": "ENABLED",
            });
            assert_eq!(place.ok(&what, &of_metadata(operation)).await, expected);
        }
        for body in [json!({}), json!({"requestMetadata": {}})] {
            assert_eq!(place.refused(&what, &body).await, "ValidationException");
        }
        refuses_strangers(&place, &what, &of_metadata("DescribeKey")).await;
    }
    let asked = of_metadata("DescribeKey");
    let refused = place.refused("/keys/non_existing_key/metadata", &asked).await;
    assert_eq!(refused, "KeyNotFoundException");
}

#[tokio::test]
async fn encrypt_and_decrypt() {
    let place = Place::new().await;
    let good = encrypt_body(b"plaintext\n");
    let refused = place.refused("/keys/non_existing_key/encrypt", &good).await;
    assert_eq!(refused, "KeyNotFoundException");
    for key in ["kms", "device"] {
        let what = format!("/keys/{key}/encrypt");
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove("plaintext");
        assert_eq!(place.refused(&what, &without).await, "ValidationException");
        refuses_strangers(&place, &what, &good).await;

        let sealed = place.encrypt(key, b"plaintext\n", Some(AAD)).await;
        for aad in [None, Some(OTHER_AAD)] {
            let refused = named(place.decrypt(key, &sealed, aad).await);
            assert_eq!(refused, "InvalidCiphertextException", "{key} {aad:?}");
        }
        for aad in [None, Some(AAD)] {
            let sealed = place.encrypt(key, b"Hello World!", aad).await;
            assert_eq!(unb64(&sealed["ciphertext"]).len(), 12);
            assert!([12, 16].contains(&unb64(&sealed["initializationVector"]).len()));
            assert_eq!(unb64(&sealed["authenticationTag"]).len(), 16);
            assert!(unb64(&sealed["ciphertextMetadata"]).len() <= 20);
            assert_eq!(sealed.get("ciphertextDataIntegrityValue"), None);
            let opened = place.decrypt(key, &sealed, aad).await;
            assert_eq!(opened, (200, json!({"plaintext": b64(b"Hello World!")})), "{key}");
        }
        integrity(&place, key).await;
        large(&place, key).await;
    }
}

/// With a ciphertext data integrity value, with and without associated data.
async fn integrity(place: &Place, key: &str) {
    for aad in [None, Some(AAD)] {
        let mut body = encrypt_body(b"Hello World!");
        body["ciphertextDataIntegrityValueAlgorithm"] = json!("SHA_256");
        if let Some(aad) = aad {
            body["additionalAuthenticatedData"] = json!(b64(aad));
        }
        let sealed = place.ok(&format!("/keys/{key}/encrypt"), &body).await;
        let mut hash = Sha256::new();
        hash.update(aad.unwrap_or_default());
        for part in
            ["ciphertextMetadata", "initializationVector", "ciphertext", "authenticationTag"]
        {
            hash.update(unb64(&sealed[part]));
        }
        assert_eq!(unb64(&sealed["ciphertextDataIntegrityValue"]), hash.finalize().to_vec());
        let opened = place.decrypt(key, &sealed, aad).await;
        assert_eq!(opened, (200, json!({"plaintext": b64(b"Hello World!")})), "{key}");
    }
}

/// The client has 4096 bytes and 8192 of associated data; the specification 4300; we have 16384.
async fn large(place: &Place, key: &str) {
    for len in [4096, 4300, 16_384] {
        let (plaintext, aad) = (vec![0xa5; len], vec![0x5a; 8192]);
        let sealed = place.encrypt(key, &plaintext, Some(&aad)).await;
        let (status, opened) = place.decrypt(key, &sealed, Some(&aad)).await;
        assert_eq!(status, 200, "{opened}");
        assert!(unb64(&opened["plaintext"]) == plaintext, "{key}, {len} bytes");
    }
}

#[tokio::test]
async fn keys_of_one_use_or_none() {
    let place = Place::new().await;
    let vouched = |aad: Option<&[u8]>, cdiv: bool| {
        let mut body = encrypt_body(b"plaintext\n");
        if let Some(aad) = aad {
            body["additionalAuthenticatedData"] = json!(b64(aad));
        }
        if cdiv {
            body["ciphertextDataIntegrityValueAlgorithm"] = json!("SHA_256");
        }
        body
    };
    for aad in [None, Some(AAD)] {
        let sealed = place.encrypt("encrypt_only_key", b"plaintext\n", aad).await;
        let opened = place.decrypt("encrypt_only_key", &sealed, aad).await;
        assert_eq!(named(opened), "InvalidKeyUsageException");
        // The value wants a decryption.
        let refused = place.refused("/keys/encrypt_only_key/encrypt", &vouched(aad, true)).await;
        assert_eq!(refused, "InvalidKeyUsageException");
        for key in ["decrypt_only_key", "impotent_key"] {
            for cdiv in [false, true] {
                let what = format!("/keys/{key}/encrypt");
                let refused = place.refused(&what, &vouched(aad, cdiv)).await;
                assert_eq!(refused, "InvalidKeyUsageException", "{key}");
            }
        }
        // The same KMS key under another name: it opens.
        let opened = place.decrypt("decrypt_only_key", &sealed, aad).await;
        assert_eq!(opened, (200, json!({"plaintext": b64(b"plaintext\n")})));
        let refused = named(place.decrypt("impotent_key", &sealed, aad).await);
        assert_eq!(refused, "InvalidKeyUsageException");
    }
    let usage = |key: &str| {
        let what = format!("/keys/{key}/metadata");
        let place = &place;
        async move { place.ok(&what, &of_metadata("CreateKey")).await["keyUsage"].clone() }
    };
    assert_eq!(usage("encrypt_only_key").await, json!(["ENCRYPT"]));
    assert_eq!(usage("decrypt_only_key").await, json!(["DECRYPT"]));
    assert_eq!(usage("impotent_key").await, json!([]));
}

#[tokio::test]
async fn what_a_value_is_wanted_of_may_be_missing() {
    let place = Place::new().await;
    let sealed = place.encrypt("kms", b"a", None).await;
    let good = decrypt_body(&sealed, None);
    for name in ["ciphertext", "initializationVector", "authenticationTag", "encryptionAlgorithm"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        assert_eq!(
            place.refused("/keys/kms/decrypt", &body).await,
            "ValidationException",
            "{name}"
        );
    }
    let mut body = good;
    body.as_object_mut().unwrap().remove("ciphertextMetadata");
    assert_eq!(place.refused("/keys/kms/decrypt", &body).await, "InvalidCiphertextException");
}
