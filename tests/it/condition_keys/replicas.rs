//! The condition keys of replication.
use super::secrets::{creation, who_may};
use crate::world::{OTHER_REGION, REGION, World};
use serde_json::{Value, json};

const REGIONS: &str = "secretsmanager:AddReplicaRegions";
const OVERWRITE: &str = "secretsmanager:ForceOverwriteReplicaSecret";

/// The keys of this file.
pub fn keys() -> impl Iterator<Item = &'static str> {
    [REGIONS, OVERWRITE].into_iter()
}

fn to(regions: &[&str]) -> Value {
    let regions: Vec<Value> = regions.iter().map(|region| json!({"Region": region})).collect();
    json!({"AddReplicaRegions": regions})
}

fn replicate(regions: &[&str], force: Option<bool>) -> Value {
    let mut body = to(regions);
    body["SecretId"] = json!("a");
    if let Some(force) = force {
        body["ForceOverwriteReplicaSecret"] = json!(force);
    }
    body
}

#[tokio::test]
async fn on_regions_and_on_overwriting() {
    let world = World::new().await;
    world.call("secretsmanager", "CreateSecret", creation("a", json!({}))).await.unwrap();
    // As the user guide's page on preventing replication has them.
    let some = json!({"ForAllValues:StringLike": {REGIONS: ["us-*"]}});
    let some = who_may(&world, "some", some).await;
    let none = who_may(&world, "none", json!({"Null": {REGIONS: "true"}})).await;
    let gentle = who_may(&world, "gentle", json!({"Bool": {OVERWRITE: "false"}})).await;
    let name = "ReplicateSecretToRegions";
    let two = [OTHER_REGION, "ap-southeast-2"];
    for (who, name, body, good) in [
        (&some, name, replicate(&two, None), false),
        (&some, name, replicate(&two[..1], None), true),
        (&some, "CreateSecret", creation("b", to(&two)), false),
        (&some, "CreateSecret", creation("b", to(&two[..1])), true),
        (&some, "CreateSecret", creation("c", json!({})), true),
        (&none, name, replicate(&two[..1], None), false),
        (&none, "CreateSecret", creation("d", to(&two[..1])), false),
        (&none, "CreateSecret", creation("d", json!({})), true),
        (&gentle, name, replicate(&two[..1], Some(true)), false),
        (&gentle, name, replicate(&two[..1], Some(false)), true),
        (&gentle, name, replicate(&two[..1], None), false),
    ] {
        let outcome = world.call_as(who, "secretsmanager", name, body.clone()).await;
        let code = outcome.err().map(|error| error.code);
        let expected = (!good).then_some("AccessDeniedException");
        assert_eq!(code.as_deref(), expected, "{name} {body}");
    }
}

#[tokio::test]
async fn a_replica_is_known_by_its_primarys_region() {
    let world = World::new().await;
    let made = creation("a", to(&[OTHER_REGION]));
    world.call("secretsmanager", "CreateSecret", made).await.unwrap();
    let from =
        |region: &str| json!({"StringEquals": {"secretsmanager:SecretPrimaryRegion": region}});
    let here = who_may(&world, "here", from(REGION)).await;
    let there = who_may(&world, "there", from(OTHER_REGION)).await;
    let read = json!({"SecretId": "a"});
    let remove = json!({"SecretId": "a", "RemoveReplicaRegions": [OTHER_REGION]});
    for (name, region, body) in [
        ("GetSecretValue", OTHER_REGION, read.clone()),
        ("RemoveRegionsFromReplication", REGION, remove.clone()),
        ("ReplicateSecretToRegions", REGION, replicate(&[OTHER_REGION], None)),
        ("StopReplicationToReplica", OTHER_REGION, read.clone()),
    ] {
        let call = |who| world.call_in(who, region, "secretsmanager", name, body.clone());
        assert_eq!(call(&there).await.unwrap_err().code, "AccessDeniedException", "{name}");
        call(&here).await.unwrap();
    }
    // Promoted, it is of its own region.
    let call =
        |who| world.call_in(who, OTHER_REGION, "secretsmanager", "GetSecretValue", read.clone());
    assert!(call(&here).await.is_err());
    call(&there).await.unwrap();
}
