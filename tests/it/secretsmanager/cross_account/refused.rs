//! What is no replica's ARN, and a call that fails when a part of it was done.
use super::{Pair, creation, replica_of, token, version};
use crate::world::{OTHER_REGION, World};
use serde_json::json;

#[tokio::test]
async fn an_arn_is_a_whole_one() {
    let pair = Pair::new().await;
    let (world, other) = (&pair.world, &pair.other);
    // Without its suffix it still ends in six characters.
    let body = replica_of(&pair.primary, "a-b_cdef", &pair.key);
    let made = world.sm_as(other, "CreateSecret", body).await;
    let whole = made["ARN"].as_str().unwrap();
    let (cut, _) = whole.rsplit_once('-').unwrap();
    let link = |arn: &str| json!({"SecretId": "p", "CrossAccountReplicaARN": arn});
    let refused = world.sm_fails("AssociateCrossAccountReplica", link(cut)).await;
    assert_eq!(refused.code, "InvalidParameterException");
    let body = replica_of(cut, "other", &pair.key);
    let refused = world.sm_fails("CreateSecret", body).await;
    assert_eq!(refused.code, "InvalidParameterException");
    assert_eq!(pair.statuses().await[0], "");
    world.sm("AssociateCrossAccountReplica", link(whole)).await;
    assert_eq!(pair.statuses().await[0], "InSync");
}

/// The last use of a key is one too many: the call is undone, and so is what its events would tell of.
#[tokio::test]
async fn what_is_undone_was_not_done() {
    let section = "[rates]\nkms.CryptographicOperations_symmetric = 3";
    let pair = Pair::within(World::with_quotas(section).await).await;
    let world = &pair.world;
    world.clock.advance(60);
    world.sm("AssociateCrossAccountReplica", pair.link()).await;
    let there = async |name: &str, body| {
        world.call_in(&world.root, OTHER_REGION, "secretsmanager", name, body).await.unwrap()
    };
    there("CreateSecret", creation("p", "other")).await;
    let body = json!({"SecretId": "p", "AddReplicaRegions": [{"Region": OTHER_REGION}],
        "ForceOverwriteReplicaSecret": true});

    // The replica in the other account has a version to catch up with.
    pair.set_key_policy(false).await;
    world.clock.advance(60);
    world.put("p", 2, "two").await;
    pair.set_key_policy(true).await;
    world.clock.advance(60);
    let from = world.events().len();
    let refused = world.sm_fails("ReplicateSecretToRegions", body.clone()).await;
    assert_eq!(refused.code, "ThrottlingException");
    let used = ["Decrypt", "GenerateDataKey", "Decrypt", "GenerateDataKey", "Decrypt", "Encrypt"];
    let mut expected = used.to_vec();
    expected.push("ReplicateSecretToRegions");
    assert_eq!(world.event_names(from), expected);
    let kept = there("GetSecretValue", json!({"SecretId": "p"})).await;
    assert_eq!(kept["SecretString"], "other");
    // When it is done it is told.
    world.clock.advance(60);
    world.sm("AssociateCrossAccountReplica", pair.link()).await;
    world.clock.advance(60);
    let from = world.events().len();
    world.sm("ReplicateSecretToRegions", body).await;
    let names = world.event_names(from);
    assert!(names.contains(&"DeleteSecret".to_owned()), "{names:?}");
    assert!(names.contains(&"ReplicationSucceeded".to_owned()), "{names:?}");

    world.clock.advance(60);
    let from = world.events().len();
    let refused = world.sm_fails("PutSecretValue", version("p", 3, "three")).await;
    assert_eq!(refused.code, "ThrottlingException");
    let expected =
        ["GenerateDataKey", "Decrypt", "GenerateDataKey", "Decrypt", "Encrypt", "PutSecretValue"];
    assert_eq!(world.event_names(from), expected);
    world.clock.advance(60);
    let labels = world.describe("p").await["VersionIdsToStages"].clone();
    assert_eq!(labels, json!({token(1): ["AWSPREVIOUS"], token(2): ["AWSCURRENT"]}));
}
