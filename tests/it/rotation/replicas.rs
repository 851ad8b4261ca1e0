//! What a rotation does reaches the replicas of its secret, in the same transactions.
use super::{Fault, Stage};
use crate::support::token;
use crate::world::OTHER_REGION;
use claviger::rotation::Failure;
use claviger::secrets::rotation::Step;
use serde_json::{Value, json};

impl Stage {
    async fn there(&self, name: &str, body: Value) -> Value {
        let root = &self.world.root;
        let outcome = self.world.call_in(root, OTHER_REGION, "secretsmanager", name, body.clone());
        outcome.await.unwrap_or_else(|error| panic!("{name} {body}: {error:?}"))
    }

    async fn labels_there(&self) -> Value {
        let shown = self.there("DescribeSecret", json!({"SecretId": "db"})).await;
        assert_eq!(shown.get("RotationEnabled"), None, "rotation is the primary's");
        shown["VersionIdsToStages"].clone()
    }

    async fn value_there(&self, label: &str) -> Value {
        let body = json!({"SecretId": "db", "VersionStage": label});
        self.there("GetSecretValue", body).await["SecretString"].take()
    }

    async fn assert_in_sync(&self) {
        let shown = self.describe("db").await;
        assert_eq!(shown["ReplicationStatus"][0]["Status"], "InSync", "{shown}");
    }

    /// A secret with a replica.
    async fn replicated(&self) -> String {
        let secret = self.secret("db").await;
        let body = json!({"SecretId": "db", "AddReplicaRegions": [{"Region": OTHER_REGION}]});
        self.call("ReplicateSecretToRegions", body).await;
        self.assert_in_sync().await;
        secret
    }
}

#[tokio::test]
async fn a_rotation_reaches_the_replica() {
    let stage = Stage::new().await;
    let secret = stage.replicated().await;
    stage.rotate(&secret, 1).await;
    // A version without a value is not there yet.
    assert_eq!(stage.labels_there().await, json!({token(0): ["AWSCURRENT"]}));
    stage.scheduler.sweep().await;
    stage.assert_rotated(&secret, 1).await;
    let expected = json!({token(0): ["AWSPREVIOUS"], token(1): ["AWSCURRENT"]});
    assert_eq!(stage.labels_there().await, expected);
    assert_eq!(stage.value_there("AWSCURRENT").await, json!(stage.function.password(&secret)));
    stage.assert_in_sync().await;
}

#[tokio::test]
async fn a_pending_password_is_there_before_the_database_has_it() {
    let stage = Stage::new().await;
    let secret = stage.replicated().await;
    let fails = Fault::Fails(Failure::passing("the database is not there"));
    stage.function.fault(Step::SetSecret, fails);
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.password(&secret), "first");
    let pending = stage.value(&secret, "AWSPENDING").await.unwrap();
    assert_eq!(stage.value_there("AWSPENDING").await, json!(pending));
    assert_eq!(stage.value_there("AWSCURRENT").await, "first");
    stage.after(10).await;
    stage.assert_rotated(&secret, 1).await;
    assert_eq!(stage.value_there("AWSCURRENT").await, json!(pending));
}

#[tokio::test]
async fn what_a_test_was_made_with_goes_there_too() {
    let stage = Stage::new().await;
    let secret = stage.replicated().await;
    stage.rotate_with(&secret, 1, json!({"RotateImmediately": false})).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.labels_there().await, json!({token(0): ["AWSCURRENT"]}));
    let body = json!({"SecretId": "db", "IncludeDeprecated": true});
    let listed = stage.there("ListSecretVersionIds", body).await;
    assert_eq!(listed["Versions"].as_array().unwrap().len(), 1);
    stage.assert_in_sync().await;
}

#[tokio::test]
async fn a_replica_that_is_promoted_meanwhile_is_left_alone() {
    let stage = Stage::new().await;
    let secret = stage.replicated().await;
    let fails = Fault::Fails(Failure::passing("the database is not there"));
    stage.function.fault(Step::SetSecret, fails);
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    stage.there("StopReplicationToReplica", json!({"SecretId": "db"})).await;
    let before = stage.labels_there().await;
    stage.after(10).await;
    stage.assert_rotated(&secret, 1).await;
    assert_eq!(stage.labels_there().await, before);
    assert_eq!(stage.value_there("AWSCURRENT").await, "first");
}

#[tokio::test]
async fn a_rotation_succeeds_though_the_replica_cannot_follow() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    let root = &stage.world.root;
    let made = stage.world.call_in(root, OTHER_REGION, "kms", "CreateKey", json!({})).await;
    let key = made.unwrap()["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let regions = json!([{"Region": OTHER_REGION, "KmsKeyId": key}]);
    let body = json!({"SecretId": "db", "AddReplicaRegions": regions});
    stage.call("ReplicateSecretToRegions", body).await;
    let body = json!({"KeyId": key});
    stage.world.call_in(root, OTHER_REGION, "kms", "DisableKey", body.clone()).await.unwrap();
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    stage.assert_rotated(&secret, 1).await;
    let shown = stage.describe("db").await;
    assert_eq!(shown["ReplicationStatus"][0]["Status"], "Failed", "{shown}");
    assert_eq!(stage.labels_there().await, json!({token(0): ["AWSCURRENT"]}));
    // The next rotation brings it along.
    stage.world.call_in(root, OTHER_REGION, "kms", "EnableKey", body).await.unwrap();
    stage.rotate(&secret, 2).await;
    stage.scheduler.sweep().await;
    stage.assert_in_sync().await;
    assert_eq!(stage.value_there("AWSCURRENT").await, json!(stage.function.password(&secret)));
}
