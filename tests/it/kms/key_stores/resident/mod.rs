//! Keys that live in a device.
mod away;
mod end;
mod life;
mod pairs;
mod refusals;
mod sdk;
mod secrets;
mod symmetric;

use super::{CLUSTER, cluster};
use crate::world::World;
use serde_json::{Value, json};

impl World {
    /// A store that is connected to the world's first device.
    pub async fn connected_store(&self) -> String {
        let id = self.create_store(cluster("hsm", CLUSTER)).await;
        self.kms("ConnectCustomKeyStore", json!({"CustomKeyStoreId": id})).await;
        id
    }

    /// A symmetric key in it; answers its ARN.
    pub async fn key_in(&self, store: &str) -> String {
        self.key_of_kind(store, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").await
    }

    pub async fn key_of_kind(&self, store: &str, spec: &str, usage: &str) -> String {
        let made = self.kms("CreateKey", creation(store, spec, usage)).await;
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }
}

pub fn creation(store: &str, spec: &str, usage: &str) -> Value {
    json!({"CustomKeyStoreId": store, "Origin": "AWS_CLOUDHSM", "KeySpec": spec, "KeyUsage": usage})
}
