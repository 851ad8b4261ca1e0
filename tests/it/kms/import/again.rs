//! Material that is deleted and comes back, and material that never was the key's.
use super::{OVER_AES, SMALL, b64, expiring, generated};
use crate::support::failed;
use crate::world::World;
use aws_lc_rs::digest;
use claviger::primitives::KeySpec;
use serde_json::json;

#[tokio::test]
async fn what_was_deleted_and_imported_again_opens_what_it_sealed() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let first = world.import(&key, &[1; 32]).await;
    let blob = world.hello(&key).await;
    let deleted = world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    assert_eq!(deleted, first);
    let metadata = world.metadata(&key).await;
    assert_eq!(metadata["KeyState"], "PendingImport");
    assert_eq!(metadata["Enabled"], false);
    assert!(metadata.get("ExpirationModel").is_none());
    let pending = failed("KMSInvalidStateException", format!("{key} is pending import."));
    for (name, body) in [
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("EnableKey", json!({"KeyId": key})),
        ("DisableKey", json!({"KeyId": key})),
    ] {
        assert_eq!(world.kms_fails(name, body).await, pending, "{name}");
    }
    // Deleting what is not there does nothing.
    assert_eq!(world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await, first);

    let text = "The key material is not the one that was imported before.";
    let other = failed("IncorrectKeyMaterialException", text);
    assert_eq!(world.import_fails(&key, &[2; 32], json!({})).await, other);
    assert_eq!(world.state(&key).await, "PendingImport");
    assert_eq!(world.import(&key, &[1; 32]).await, first);
    assert_eq!(world.state(&key).await, "Enabled");
    world.reopens(&blob).await;
    world.reopens(&world.hello(&key).await).await;
}

#[tokio::test]
async fn material_has_one_id_in_a_key_and_another_in_another() {
    let world = World::new().await;
    let (one, two) = (world.external_symmetric().await, world.external_symmetric().await);
    let first = world.import(&one, &[1; 32]).await["KeyMaterialId"].clone();
    let second = world.import(&two, &[1; 32]).await["KeyMaterialId"].clone();
    assert_ne!(first, second);
    let blob = world.hello(&one).await;
    let body = json!({"KeyId": two, "CiphertextBlob": blob});
    assert_eq!(world.kms_fails("Decrypt", body).await.code, "IncorrectKeyException");
}

#[tokio::test]
async fn key_pairs_and_hmac_keys_take_only_what_they_had() {
    let world = World::new().await;
    let ecc = generated(KeySpec::EccNistP256);
    let other_ecc = {
        let random = claviger::random::SeededRandom::new(8);
        claviger::primitives::PrivateKey::generate(KeySpec::EccNistP256, &random).unwrap().to_vec()
    };
    for (spec, usage, material, other) in [
        ("ECC_NIST_P256", "SIGN_VERIFY", &ecc, &other_ecc),
        ("HMAC_256", "GENERATE_VERIFY_MAC", &vec![1; 32], &vec![2; 32]),
    ] {
        let key = world.external(spec, usage).await;
        world.import(&key, material).await;
        let refused = world.import_fails(&key, other, json!({})).await;
        assert_eq!(refused.code, "IncorrectKeyMaterialException", "{spec}");
        assert_eq!(world.state(&key).await, "Enabled");
        let deleted = world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
        assert_eq!(deleted, json!({"KeyId": key}));
        assert_eq!(world.state(&key).await, "PendingImport");
        let refused = world.import_fails(&key, other, json!({})).await;
        assert_eq!(refused.code, "IncorrectKeyMaterialException", "{spec}");
        world.import(&key, material).await;
        assert_eq!(world.state(&key).await, "Enabled");
        // What speaks of several materials is for symmetric keys.
        let text = "ImportType, KeyMaterialId and KeyMaterialDescription are valid only for \
                    symmetric encryption KMS keys.";
        for more in [
            json!({"ImportType": "EXISTING_KEY_MATERIAL"}),
            json!({"ImportType": "NEW_KEY_MATERIAL"}),
            json!({"KeyMaterialDescription": "mine"}),
            json!({"KeyMaterialId": "0".repeat(64)}),
        ] {
            let refused = world.import_fails(&key, material, more).await;
            assert_eq!(refused, failed("ValidationException", text));
        }
    }
}

/// HMAC takes a key that is longer than a block of its hash and that key's hash for the same.
#[tokio::test]
async fn the_hash_of_a_long_hmac_key_is_other_material() {
    let world = World::new().await;
    let long: Vec<u8> = (0..100).collect();
    let mut digest = digest::digest(&digest::SHA256, &long).as_ref().to_vec();
    digest.resize(64, 0);
    let key = world.external("HMAC_512", "GENERATE_VERIFY_MAC").await;
    world.import(&key, &long).await;
    world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    for other in [digest.clone(), [&digest[..], &[0; 36]].concat(), [&long[..], &[0]].concat()] {
        let refused = world.import_fails(&key, &other, json!({})).await;
        assert_eq!(refused.code, "IncorrectKeyMaterialException", "{}", other.len());
    }
    world.import(&key, &long).await;
    assert_eq!(world.state(&key).await, "Enabled");
}

/// RFC 5208 around RFC 5915, without the public key that most programs write there too.
fn bare(p256: &[u8]) -> Vec<u8> {
    let at = p256.windows(2).position(|pair| pair == [0x04, 0x20]).unwrap() + 2;
    let head =
        hex::decode("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420");
    [&head.unwrap()[..], &p256[at..at + 32]].concat()
}

#[tokio::test]
async fn a_key_pair_is_the_same_however_it_is_written() {
    let world = World::new().await;
    let full = generated(KeySpec::EccNistP256);
    let bare = bare(&full);
    assert_ne!(full, bare);
    for (first, second) in [(&full, &bare), (&bare, &full)] {
        let key = world.external("ECC_NIST_P256", "SIGN_VERIFY").await;
        world.import(&key, first).await;
        let public = world.kms("GetPublicKey", json!({"KeyId": key})).await;
        world.import(&key, second).await;
        world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
        world.import(&key, second).await;
        assert_eq!(world.kms("GetPublicKey", json!({"KeyId": key})).await, public);
    }
}

#[tokio::test]
async fn a_private_key_that_is_gone_signs_no_more() {
    let world = World::new().await;
    let key = world.external("RSA_2048", "SIGN_VERIFY").await;
    let parameters = world.parameters(&key, OVER_AES, SMALL).await;
    let import = parameters.body(&key, &generated(KeySpec::Rsa2048));
    world.kms("ImportKeyMaterial", import.clone()).await;
    let sign = json!({
        "KeyId": key, "Message": b64(b"hello"), "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
    });
    let signed = world.kms("Sign", sign.clone()).await;
    // It has been parsed and kept by now; deleting reaches that too.
    world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    let pending = failed("KMSInvalidStateException", format!("{key} is pending import."));
    assert_eq!(world.kms_fails("Sign", sign.clone()).await, pending);
    assert_eq!(world.kms_fails("GetPublicKey", json!({"KeyId": key})).await, pending);
    world.kms("ImportKeyMaterial", import).await;
    // PKCS#1 v1.5 signs the same with the same key.
    assert_eq!(world.kms("Sign", sign).await, signed);
}

#[tokio::test]
async fn a_disabled_key_stays_disabled_and_a_dying_one_dying() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    world.import(&key, &[1; 32]).await;
    world.kms("DisableKey", json!({"KeyId": key})).await;
    // To change when it expires, say.
    let body = expiring(world.oaep(&key).await.body(&key, &[1; 32]), 600);
    world.kms("ImportKeyMaterial", body).await;
    assert_eq!(world.state(&key).await, "Disabled");
    world.kms("EnableKey", json!({"KeyId": key})).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key})).await;
    world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    assert_eq!(world.state(&key).await, "PendingDeletion");
    world.kms("CancelKeyDeletion", json!({"KeyId": key})).await;
    assert_eq!(world.state(&key).await, "PendingImport");
    // AWS: imported is enabled.
    world.import(&key, &[1; 32]).await;
    assert_eq!(world.state(&key).await, "Enabled");
}

#[tokio::test]
async fn a_key_without_material_has_none_to_delete() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let answer = world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    assert_eq!(answer, json!({"KeyId": key}));
    let id = "a".repeat(64);
    let body = json!({"KeyId": key, "KeyMaterialId": id});
    let text = format!("Key material {id} is not associated with {key}.");
    let refused = world.kms_fails("DeleteImportedKeyMaterial", body).await;
    assert_eq!(refused, failed("NotFoundException", text));
    for id in ["a".repeat(63), "a".repeat(65), "A".repeat(64)] {
        let body = json!({"KeyId": key, "KeyMaterialId": id});
        let refused = world.kms_fails("DeleteImportedKeyMaterial", body).await;
        assert_eq!(refused.code, "ValidationException", "{id}");
    }
}

#[tokio::test]
async fn two_imports_at_once_leave_one_material() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let (one, two) = (world.oaep(&key).await, world.oaep(&key).await);
    let call = async |body| world.call("kms", "ImportKeyMaterial", body).await;
    let (first, second) =
        tokio::join!(call(one.body(&key, &[1; 32])), call(two.body(&key, &[2; 32])));
    let outcomes = [first, second];
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1, "{outcomes:?}");
    let refused = outcomes.into_iter().find_map(Result::err).unwrap();
    assert_eq!(refused.code, "IncorrectKeyMaterialException");
    world.reopens(&world.hello(&key).await).await;
}

#[tokio::test]
async fn deleted_bytes_are_in_no_row() {
    let world = World::new().await;
    let (key, other) = (world.external_symmetric().await, world.external_symmetric().await);
    for key in [&key, &other] {
        world.import(key, &[1; 32]).await;
    }
    assert_eq!(world.rows("material", &key).await, 1);
    world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    assert_eq!(world.rows("material", &key).await, 0);
    assert_eq!(world.rows("material", &other).await, 1);
}
