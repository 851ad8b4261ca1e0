//! Imported material of multi-Region keys: each region imports by itself, all of them the same.
use super::{OAEP, SMALL, expiring, with};
use crate::support::failed;
use crate::world::{Failed, OTHER_REGION, REGION, World};
use serde_json::{Value, json};

impl World {
    async fn at(&self, region: &str, name: &str, body: Value) -> Result<Value, Failed> {
        self.call_in(&self.root, region, "kms", name, body).await
    }

    async fn state_at(&self, region: &str, key: &str) -> String {
        let answer = self.at(region, "DescribeKey", json!({"KeyId": key})).await.unwrap();
        answer["KeyMetadata"]["KeyState"].as_str().unwrap().to_owned()
    }

    async fn import_at(
        &self,
        region: &str,
        key: &str,
        material: &[u8],
        more: Value,
    ) -> Result<Value, Failed> {
        let parameters = self.parameters_in(region, key, OAEP, SMALL).await;
        let body = with(parameters.body(key, material), more);
        self.at(region, "ImportKeyMaterial", body).await
    }

    /// A primary key with material, and a replica: their id.
    async fn replicated(&self) -> String {
        let body = json!({"Origin": "EXTERNAL", "MultiRegion": true});
        let made = self.kms("CreateKey", body).await;
        let key = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        self.import_at(REGION, &key, &[1; 32], json!({})).await.unwrap();
        let body = json!({"KeyId": key, "ReplicaRegion": OTHER_REGION});
        self.kms("ReplicateKey", body).await;
        key
    }
}

#[tokio::test]
async fn a_replica_waits_for_the_same_material() {
    let world = World::new().await;
    let key = world.replicated().await;
    assert_eq!(world.state_at(OTHER_REGION, &key).await, "PendingImport");
    let blob = world.hello(&key).await;
    let body = json!({"CiphertextBlob": blob});
    let early = world.at(OTHER_REGION, "Decrypt", body.clone()).await.unwrap_err();
    assert_eq!(early.code, "KMSInvalidStateException");
    let other = world.import_at(OTHER_REGION, &key, &[2; 32], json!({})).await.unwrap_err();
    assert_eq!(other.code, "IncorrectKeyMaterialException");
    let new = json!({"ImportType": "NEW_KEY_MATERIAL"});
    let new = world.import_at(OTHER_REGION, &key, &[2; 32], new).await.unwrap_err();
    assert_eq!(new.code, "UnsupportedOperationException");
    world.import_at(OTHER_REGION, &key, &[1; 32], json!({})).await.unwrap();
    assert_eq!(world.state_at(OTHER_REGION, &key).await, "Enabled");
    let opened = world.at(OTHER_REGION, "Decrypt", body).await.unwrap();
    assert_eq!(opened["Plaintext"], "aGVsbG8=");
}

#[tokio::test]
async fn one_region_s_loss_is_its_own() {
    let world = World::new().await;
    let key = world.replicated().await;
    world.import_at(OTHER_REGION, &key, &[1; 32], json!({})).await.unwrap();
    let blob = world.hello(&key).await;
    let body = json!({"CiphertextBlob": blob});
    for (loser, other) in [(REGION, OTHER_REGION), (OTHER_REGION, REGION)] {
        let named = json!({"KeyId": key});
        world.at(loser, "DeleteImportedKeyMaterial", named).await.unwrap();
        assert_eq!(world.state_at(loser, &key).await, "PendingImport");
        assert_eq!(world.state_at(other, &key).await, "Enabled");
        let refused = world.at(loser, "Decrypt", body.clone()).await.unwrap_err();
        assert_eq!(refused.code, "KMSInvalidStateException");
        world.at(other, "Decrypt", body.clone()).await.unwrap();
        world.import_at(loser, &key, &[1; 32], json!({})).await.unwrap();
        world.at(loser, "Decrypt", body.clone()).await.unwrap();
    }
    // In one region it may expire, in the other not.
    let parameters = world.parameters_in(OTHER_REGION, &key, OAEP, SMALL).await;
    let import = expiring(parameters.body(&key, &[1; 32]), 60);
    world.at(OTHER_REGION, "ImportKeyMaterial", import).await.unwrap();
    world.advance(60).await;
    assert_eq!(world.state_at(OTHER_REGION, &key).await, "PendingImport");
    world.reopens(&blob).await;
    // The last region takes the bytes along, and they can be imported again.
    assert_eq!(world.rows("material", &key).await, 1);
    world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    assert_eq!(world.rows("material", &key).await, 0);
    world.import_at(OTHER_REGION, &key, &[1; 32], json!({})).await.unwrap();
    world.at(OTHER_REGION, "Decrypt", body).await.unwrap();
}

#[tokio::test]
async fn new_material_comes_through_the_primary_and_must_be_everywhere() {
    let world = World::new().await;
    let key = world.replicated().await;
    world.import_at(OTHER_REGION, &key, &[1; 32], json!({})).await.unwrap();
    let before = world.hello(&key).await;
    let states = async |region: &str| {
        let body = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        let listed = world.at(region, "ListKeyRotations", body).await.unwrap();
        let states = listed["Rotations"].as_array().unwrap().iter();
        states.map(|e| e["KeyMaterialState"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let new = json!({"ImportType": "NEW_KEY_MATERIAL"});
    let imported = world.import_at(REGION, &key, &[2; 32], new.clone()).await.unwrap();
    let waits = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION";
    assert_eq!(states(REGION).await, ["CURRENT", waits]);
    let early = world.kms_fails("RotateKeyOnDemand", json!({"KeyId": key})).await;
    assert_eq!(early.code, "KMSInvalidStateException");
    // Given up in the primary, it is so in the replica.
    let named = json!({"KeyId": key, "KeyMaterialId": imported["KeyMaterialId"]});
    world.kms("DeleteImportedKeyMaterial", named).await;
    for region in [REGION, OTHER_REGION] {
        assert_eq!(states(region).await, ["CURRENT"]);
        assert_eq!(world.state_at(region, &key).await, "Enabled");
    }
    world.import_at(REGION, &key, &[3; 32], new).await.unwrap();
    world.import_at(OTHER_REGION, &key, &[3; 32], json!({})).await.unwrap();
    assert_eq!(states(REGION).await, ["CURRENT", "PENDING_ROTATION"]);
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    for region in [REGION, OTHER_REGION] {
        assert_eq!(states(region).await, ["NON_CURRENT", "CURRENT"]);
        let body = json!({"CiphertextBlob": before});
        world.at(region, "Decrypt", body).await.unwrap();
    }
    let after = world.hello(&key).await;
    world.at(OTHER_REGION, "Decrypt", json!({"CiphertextBlob": after})).await.unwrap();
}

#[tokio::test]
async fn a_replica_that_ends_leaves_the_primary_its_material() {
    let world = World::new().await;
    let key = world.replicated().await;
    world.import_at(OTHER_REGION, &key, &[1; 32], json!({})).await.unwrap();
    let blob = world.hello(&key).await;
    let end = json!({"KeyId": key, "PendingWindowInDays": 7});
    world.at(OTHER_REGION, "ScheduleKeyDeletion", end).await.unwrap();
    world.advance(8 * super::DAY).await;
    world.reopens(&blob).await;
    // And nothing is left of a region that alone had it.
    world.kms("DeleteImportedKeyMaterial", json!({"KeyId": key})).await;
    let pending = failed(
        "KMSInvalidStateException",
        format!("{} is pending import.", world.metadata(&key).await["Arn"].as_str().unwrap()),
    );
    assert_eq!(world.kms_fails("Decrypt", json!({"CiphertextBlob": blob})).await, pending);
}
