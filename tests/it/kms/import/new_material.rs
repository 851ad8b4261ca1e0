//! Symmetric keys that import more than one material.
use super::with;
use crate::support::failed;
use crate::world::World;
use serde_json::{Value, json};

const NEW: &str = "NEW_KEY_MATERIAL";
const EXISTING: &str = "EXISTING_KEY_MATERIAL";

impl World {
    async fn import_new(&self, key: &str, material: &[u8]) -> String {
        let body = self.oaep(key).await.body(key, material);
        let body = with(body, json!({"ImportType": NEW}));
        let answer = self.kms("ImportKeyMaterial", body).await;
        answer["KeyMaterialId"].as_str().unwrap().to_owned()
    }

    /// States and import states of a key's materials, oldest first.
    async fn materials(&self, key: &str) -> Vec<(String, String)> {
        let body = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        let listed = self.kms("ListKeyRotations", body).await;
        let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        let entries = listed["Rotations"].as_array().unwrap().iter();
        entries.map(|e| (text(&e["KeyMaterialState"]), text(&e["ImportState"]))).collect()
    }
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[tokio::test]
async fn new_material_waits_until_a_rotation_makes_it_current() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    // The first is new by itself, and current.
    let first = world.import_new(&key, &[1; 32]).await;
    let before = world.hello(&key).await;
    let second = world.import_new(&key, &[2; 32]).await;
    assert_eq!(world.state(&key).await, "Enabled");
    assert_eq!(world.metadata(&key).await["CurrentKeyMaterialId"], first);
    let waiting = pairs(&[("CURRENT", "IMPORTED"), ("PENDING_ROTATION", "IMPORTED")]);
    assert_eq!(world.materials(&key).await, waiting);
    let sealed = world.kms("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})).await;
    let opened = world.kms("Decrypt", json!({"CiphertextBlob": sealed["CiphertextBlob"]})).await;
    assert_eq!(opened["KeyMaterialId"], first);

    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    assert_eq!(world.metadata(&key).await["CurrentKeyMaterialId"], second);
    world.reopens(&before).await;
    let after = world.hello(&key).await;

    // Without the older one the key does nothing, whatever the ciphertext.
    let body = json!({"KeyId": key, "KeyMaterialId": first});
    world.kms("DeleteImportedKeyMaterial", body).await;
    assert_eq!(world.state(&key).await, "PendingImport");
    let left = pairs(&[("NON_CURRENT", "PENDING_IMPORT"), ("CURRENT", "IMPORTED")]);
    assert_eq!(world.materials(&key).await, left);
    for blob in [&before, &after] {
        let refused = world.kms_fails("Decrypt", json!({"CiphertextBlob": blob})).await;
        assert_eq!(refused.code, "KMSInvalidStateException");
    }
    // Both must be back.
    world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    world.import(&key, &[1; 32]).await;
    assert_eq!(world.state(&key).await, "PendingImport");
    world.import(&key, &[2; 32]).await;
    assert_eq!(world.state(&key).await, "Enabled");
    world.reopens(&before).await;
    world.reopens(&after).await;
}

#[tokio::test]
async fn one_material_waits_at_a_time() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    world.import(&key, &[1; 32]).await;
    let second = world.import_new(&key, &[2; 32]).await;
    let refused = world.import_fails(&key, &[3; 32], json!({"ImportType": NEW})).await;
    assert_eq!(refused.code, "KMSInvalidStateException");
    let text = refused.message;
    let third = text.strip_prefix("New key material (id: ").unwrap().get(..64).unwrap();
    assert_ne!(third, second);
    assert_eq!(
        text,
        format!(
            "New key material (id: {third}) cannot be imported into KMS key {key}, because another \
             key material (id: {second}) is pending rotation."
        )
    );
    // What was never current can be given up for another.
    let body = json!({"KeyId": key, "KeyMaterialId": second});
    let deleted = world.kms("DeleteImportedKeyMaterial", body).await;
    assert_eq!(deleted["KeyMaterialId"], second);
    assert_eq!(world.state(&key).await, "Enabled");
    assert_eq!(world.materials(&key).await, pairs(&[("CURRENT", "IMPORTED")]));
    assert_eq!(world.import_new(&key, &[3; 32]).await, third);
    let gone = world.import_fails(&key, &[2; 32], json!({"ImportType": EXISTING})).await;
    assert_eq!(gone.code, "IncorrectKeyMaterialException");
}

#[tokio::test]
async fn the_import_type_must_be_right() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let never = world.import_fails(&key, &[1; 32], json!({"ImportType": EXISTING})).await;
    assert_eq!(never.code, "IncorrectKeyMaterialException");
    world.import(&key, &[1; 32]).await;
    let text = "The key material is already associated with the KMS key.";
    let twice = world.import_fails(&key, &[1; 32], json!({"ImportType": NEW})).await;
    assert_eq!(twice, failed("IncorrectKeyMaterialException", text));
    // Not said means existing, once there is any.
    let other = world.import_fails(&key, &[2; 32], json!({})).await;
    assert_eq!(other.code, "IncorrectKeyMaterialException");
    let odd = world.import_fails(&key, &[1; 32], json!({"ImportType": "NEW"})).await;
    assert_eq!(odd.code, "ValidationException");
}

#[tokio::test]
async fn a_material_id_must_be_that_of_the_material() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let first = world.import_new(&key, &[1; 32]).await;
    let second = world.import_new(&key, &[2; 32]).await;
    let body = world.oaep(&key).await.body(&key, &[2; 32]);
    let named = with(body.clone(), json!({"KeyMaterialId": second}));
    assert_eq!(world.kms("ImportKeyMaterial", named).await["KeyMaterialId"], second);
    let text = "The key material is not the one that KeyMaterialId names.";
    let wrong = failed("IncorrectKeyMaterialException", text);
    for id in [first, "0".repeat(64)] {
        let named = with(body.clone(), json!({"KeyMaterialId": id}));
        assert_eq!(world.kms_fails("ImportKeyMaterial", named).await, wrong);
    }
    let text = "KeyMaterialId cannot be specified with ImportType NEW_KEY_MATERIAL.";
    let named = with(body, json!({"KeyMaterialId": second, "ImportType": NEW}));
    let refused = world.kms_fails("ImportKeyMaterial", named).await;
    assert_eq!(refused, failed("ValidationException", text));
}

#[tokio::test]
async fn a_description_stays_until_there_is_another() {
    let world = World::new().await;
    let key = world.external_symmetric().await;
    let description = async || {
        let body = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        let listed = world.kms("ListKeyRotations", body).await;
        listed["Rotations"][0]["KeyMaterialDescription"].clone()
    };
    let body = world.oaep(&key).await.body(&key, &[1; 32]);
    let said = |text: &str| with(body.clone(), json!({"KeyMaterialDescription": text}));
    world.kms("ImportKeyMaterial", said("from HSM 1")).await;
    assert_eq!(description().await, "from HSM 1");
    world.kms("ImportKeyMaterial", body.clone()).await;
    assert_eq!(description().await, "from HSM 1");
    world.kms("ImportKeyMaterial", said("from HSM-2: slot_3/a.b")).await;
    assert_eq!(description().await, "from HSM-2: slot_3/a.b");
    for bad in ["a!", &"a".repeat(257)] {
        let refused = world.kms_fails("ImportKeyMaterial", said(bad)).await;
        assert_eq!(refused.code, "ValidationException", "{bad}");
    }
    world.kms("ImportKeyMaterial", said(&"a".repeat(256))).await;
}
