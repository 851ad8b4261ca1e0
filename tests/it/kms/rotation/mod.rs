//! Rotation: automatic and on demand.
mod automatic;
mod conditions;
mod imported;
mod list;
mod managed;
mod on_demand;
mod permissions;
mod race;
mod regions;
mod sdk;
mod states;

use crate::support::id_of;
use crate::world::World;
use claviger::audit::Event;
use claviger::keys::Key;
use serde_json::{Value, json};

pub const DAY: i64 = 86_400;

impl World {
    pub async fn rotation_status(&self, key: &str) -> Value {
        self.kms("GetKeyRotationStatus", json!({"KeyId": key})).await
    }

    /// Days of the period and epoch seconds of the next rotation, while rotation is on.
    pub async fn schedule(&self, key: &str) -> Option<(i64, i64)> {
        let status = self.rotation_status(key).await;
        let (days, next) = (&status["RotationPeriodInDays"], &status["NextRotationDate"]);
        assert_eq!(status["KeyRotationEnabled"], json!(days.is_i64()), "{status}");
        assert_eq!(days.is_null(), next.is_null(), "{status}");
        // No rotation on demand is ever found in progress.
        assert_eq!(status.get("OnDemandRotationStartDate"), None);
        assert_eq!(status["KeyId"], id_of(key));
        Some((days.as_i64()?, next.as_i64().unwrap()))
    }

    pub async fn rotate_every(&self, key: &str, days: i64) {
        let body = json!({"KeyId": key, "RotationPeriodInDays": days});
        assert_eq!(self.kms("EnableKeyRotation", body).await, Value::Null);
    }

    /// The id of what encrypts now.
    pub async fn material(&self, key: &str) -> String {
        let metadata = &self.kms("DescribeKey", json!({"KeyId": key})).await["KeyMetadata"];
        metadata["CurrentKeyMaterialId"].as_str().unwrap().to_owned()
    }

    /// All material of a key, oldest first.
    pub async fn all_material(&self, key: &str) -> Vec<Value> {
        let body = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        self.kms("ListKeyRotations", body).await["Rotations"].as_array().unwrap().clone()
    }

    /// Opens a ciphertext of `hello`; answers the material that did.
    pub async fn opened_by(&self, blob: &str) -> String {
        let opened = self.kms("Decrypt", json!({"CiphertextBlob": blob})).await;
        assert_eq!(opened["Plaintext"], "aGVsbG8=");
        opened["KeyMaterialId"].as_str().unwrap().to_owned()
    }

    /// Changes a key's record directly: for states that no call of one test brings about.
    pub async fn edit_key(&self, region: &str, key: &str, change: impl FnOnce(&mut Key)) {
        let mut tx = self.server.store.begin();
        let key = Key::load(&mut tx, &region.parse().unwrap(), id_of(key)).await.unwrap().unwrap();
        let mut key = Key::clone(&key);
        change(&mut key);
        key.save(&mut tx).unwrap();
        tx.commit().await.unwrap();
    }

    /// The RotateKey events so far.
    pub fn rotations(&self) -> Vec<Event> {
        self.events().into_iter().filter(|event| event.event_name == "RotateKey").collect()
    }
}
