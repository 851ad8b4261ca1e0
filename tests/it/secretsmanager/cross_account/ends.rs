//! When the replica cannot follow, by whose leave it does, and how the two part.
use super::{MANAGED, Pair, key_policy, replica_of};
use crate::rotation::{Stage, function_arn};
use crate::secretsmanager::{kms_denied, no_version, token, version};
use crate::support::policy;
use crate::world::{ACCOUNT, OTHER_ACCOUNT, allow};
use serde_json::json;

const SERVICE: &str = "secretsmanager.amazonaws.com";

#[tokio::test]
async fn a_write_stands_though_the_replica_cannot_follow() {
    let pair = Pair::associated().await;
    let (world, other) = (&pair.world, &pair.other);
    pair.set_key_policy(false).await;
    let from = world.events().len();
    world.put("p", 2, "two").await;
    assert_eq!(world.value("p").await, "two");
    assert_eq!(pair.read(json!({})).await.unwrap(), "one");
    assert_eq!(pair.statuses().await, ["Failed", "Failed"]);
    let message = "Replication failed: Access to KMS is not allowed.";
    let described = world.describe("p").await;
    assert_eq!(described["CrossAccountReplicas"][0]["StatusMessage"], message);
    let described = world.sm_as(other, "DescribeSecret", json!({"SecretId": "r"})).await;
    assert_eq!(described["CrossAccountPrimary"]["StatusMessage"], message);
    let events = world.events();
    let failed_event =
        events[from..].iter().find(|event| event.event_name == "ReplicationFailed").unwrap();
    assert_eq!(failed_event.recipient_account_id, OTHER_ACCOUNT);
    // To begin again is to repair, if it can be repaired.
    let refused = world.sm_fails("AssociateCrossAccountReplica", pair.link()).await;
    assert_eq!(refused, kms_denied());
    pair.set_key_policy(true).await;
    world.sm("AssociateCrossAccountReplica", pair.link()).await;
    assert_eq!(pair.read(json!({})).await.unwrap(), "two");
    assert_eq!(pair.statuses().await, ["InSync", "InSync"]);
    // So is the next write, with all that was missed.
    pair.set_key_policy(false).await;
    world.put("p", 3, "three").await;
    pair.set_key_policy(true).await;
    world.put("p", 4, "four").await;
    assert_eq!(pair.read(json!({})).await.unwrap(), "four");
    assert_eq!(pair.read(json!({"VersionId": token(3)})).await.unwrap(), "three");
    assert_eq!(pair.statuses().await, ["InSync", "InSync"]);
    // Whoever writes without leave to use the keys writes the primary alone.
    let who = world.user("writer", allow(&["secretsmanager:PutSecretValue"])).await;
    world.sm_as(&who, "PutSecretValue", version("p", 5, "five")).await;
    assert_eq!(world.value("p").await, "five");
    assert_eq!(pair.statuses().await, ["Failed", "Failed"]);
    world.put("p", 6, "six").await;
    assert_eq!(pair.read(json!({"VersionId": token(5)})).await.unwrap(), "five");
}

#[tokio::test]
async fn either_side_ends_it_and_only_then_can_be_deleted() {
    let pair = Pair::associated().await;
    let (world, other) = (&pair.world, &pair.other);
    let force = |id: &str| json!({"SecretId": id, "ForceDeleteWithoutRecovery": true});
    for body in [force("p"), json!({"SecretId": "p"})] {
        assert_eq!(world.sm_fails("DeleteSecret", body).await.code, "InvalidRequestException");
    }
    let refused = world.sm_fails_as(other, "DeleteSecret", force("r")).await;
    assert_eq!(refused.code, "InvalidRequestException");
    let wrong = json!({"SecretId": "p",
        "CrossAccountReplicaARN": pair.replica.replace(":r-", ":x-")});
    let refused = world.sm_fails("DisassociateCrossAccountReplica", wrong).await;
    assert_eq!(refused.code, "InvalidRequestException");

    let answer = world.sm("DisassociateCrossAccountReplica", pair.link()).await;
    let expected = json!({"ARN": pair.primary, "CrossAccountReplicaARN": pair.replica});
    assert_eq!(answer, expected);
    assert_eq!(pair.statuses().await, ["", "Detached"]);
    world.put("p", 2, "two").await;
    assert_eq!(pair.read(json!({})).await.unwrap(), "one");
    // Detached, it is a replica all the same.
    let refused = world.sm_fails_as(other, "PutSecretValue", version("r", 7, "x")).await;
    assert_eq!(refused.code, "InvalidRequestException");
    let refused = world.sm_fails_as(other, "DeleteSecret", force("r")).await;
    assert_eq!(refused.code, "InvalidRequestException");
    // The primary's account begins anew.
    world.sm("AssociateCrossAccountReplica", pair.link()).await;
    assert_eq!(pair.read(json!({})).await.unwrap(), "two");

    // The other side: it takes the managed policy away, which is a permission too.
    let stop = "secretsmanager:StopReplicationToReplica";
    let half = world.user_of(OTHER_ACCOUNT, "half", allow(&[stop])).await;
    let body = json!({"SecretId": "r"});
    let refused = world.sm_fails_as(&half, "StopReplicationToReplica", body.clone()).await;
    assert!(refused.message.contains("secretsmanager:DeleteResourcePolicy"), "{refused:?}");
    world.sm_as(other, "StopReplicationToReplica", body).await;
    assert_eq!(pair.statuses().await, ["Detached", ""]);
    world.sm_as(other, "PutSecretValue", version("r", 7, "own")).await;
    world.put("p", 3, "three").await;
    assert_eq!(pair.read(json!({})).await.unwrap(), "own");
    let named = json!({"SecretId": "r", "PolicyName": MANAGED});
    let refused = world.sm_fails_as(other, "GetResourcePolicy", named).await;
    assert_eq!(refused.code, "ResourceNotFoundException");
    // What was accepted once is not taken up again without the other side.
    let refused = world.sm_fails("AssociateCrossAccountReplica", pair.link()).await;
    assert_eq!(refused.code, "AccessDeniedException");
    world.sm_as(other, "DeleteSecret", force("r")).await;
    let refused = world.sm_fails("DeleteSecret", force("p")).await;
    assert_eq!(refused.code, "InvalidRequestException");
    world.sm("DisassociateCrossAccountReplica", pair.link()).await;
    world.sm("DeleteSecret", force("p")).await;
}

/// The role's permissions count, and not those of whoever writes.
#[tokio::test]
async fn a_role_replicates_in_the_writers_stead() {
    let pair = Pair::new().await;
    let world = &pair.world;
    let trust = |service: &str| {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"Service": service}, "Action": "sts:AssumeRole",
            "Condition": {"ArnEquals": {"aws:SourceArn": pair.primary}}}]})
    };
    let role = world.role("repl", trust(SERVICE), allow(&["kms:Decrypt", "kms:Encrypt"])).await;
    let untrusting = world.role("no", trust("lambda.amazonaws.com"), allow(&["kms:*"])).await;
    let weak = world.role("weak", trust(SERVICE), allow(&["kms:Decrypt"])).await;
    let with = |role: &str| {
        let mut body = pair.link();
        body["ReplicationRoleARN"] = json!(role);
        body
    };
    let begin = "AssociateCrossAccountReplica";
    let actions = ["secretsmanager:*", "kms:Decrypt"];
    // To hand a role over is a permission of its own, and can be bound to whom.
    let pass = |service: &str| {
        policy(&[
            json!({"Effect": "Allow", "Action": actions, "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
                "Condition": {"StringEquals": {"iam:PassedToService": service}}}),
        ])
    };
    let ann = world.user("ann", pass("lambda.amazonaws.com")).await;
    let refused = world.sm_fails_as(&ann, begin, with(&role)).await;
    assert!(refused.message.contains("iam:PassRole"), "{refused:?}");
    let ben = world.user("ben", pass(SERVICE)).await;
    for (role, code) in [
        (untrusting, "InvalidRequestException"),
        (format!("arn:aws:iam::{ACCOUNT}:role/gone"), "InvalidRequestException"),
        (weak, "AccessDeniedException"),
        (format!("arn:aws:iam::{OTHER_ACCOUNT}:role/repl"), "InvalidParameterException"),
        (format!("arn:aws:iam::{ACCOUNT}:user/ben"), "InvalidParameterException"),
    ] {
        let refused = world.sm_fails_as(&ben, begin, with(&role)).await;
        assert_eq!(refused.code, code, "{role}");
    }
    assert_eq!(pair.statuses().await, ["", "Pending"]);
    let from = world.events().len();
    world.sm_as(&ben, begin, with(&role)).await;
    assert_eq!(pair.read(json!({})).await.unwrap(), "one");
    let shown = world.describe("p").await;
    assert_eq!(shown["CrossAccountReplicas"][0]["ReplicationRoleARN"], role);
    // It is the role that used the keys.
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/repl/secretsmanager-replication");
    let events = world.events();
    let used: Vec<&str> = events[from..]
        .iter()
        .filter(|event| event.user_identity.arn.as_deref() == Some(&session))
        .map(|event| event.event_name.as_str())
        .collect();
    assert_eq!(used, ["Encrypt", "Decrypt", "Encrypt"]);

    // A writer that may use no key.
    let who = world.user("writer", allow(&["secretsmanager:PutSecretValue"])).await;
    world.sm_as(&who, "PutSecretValue", version("p", 2, "two")).await;
    assert_eq!(pair.read(json!({})).await.unwrap(), "two");
    // Once the role is gone, nobody stands in for it.
    world.delete_role("repl").await;
    world.put("p", 3, "three").await;
    assert_eq!(world.value("p").await, "three");
    assert_eq!(pair.read(json!({})).await.unwrap(), "two");
    assert_eq!(pair.statuses().await, ["Failed", "Failed"]);
    // Whoever makes a role of its name anew, and lets it do everything, still decides with its trust.
    world.role("repl", trust("ec2.amazonaws.com"), allow(&["*"])).await;
    world.put("p", 4, "four").await;
    assert_eq!(pair.statuses().await, ["Failed", "Failed"]);
}

/// One account's secret tells the other nothing but its values.
#[tokio::test]
async fn the_two_are_no_way_into_each_other() {
    let pair = Pair::associated().await;
    let (world, other) = (&pair.world, &pair.other);
    for (who, arn) in [(&world.root, &pair.replica), (other, &pair.primary)] {
        for name in
            ["DescribeSecret", "GetSecretValue", "GetResourcePolicy", "ListResourcePolicies"]
        {
            let refused = world.sm_fails_as(who, name, json!({"SecretId": arn})).await;
            assert_eq!(refused.code, "AccessDeniedException", "{name} {arn}");
        }
    }
    // The managed policy lets the primary's account begin, and do nothing else.
    let stop = json!({"SecretId": pair.replica});
    let refused = world.sm_fails("StopReplicationToReplica", stop).await;
    assert_eq!(refused.code, "AccessDeniedException");
    // A secret made anew under the replica's name is not the replica.
    world.sm_as(other, "StopReplicationToReplica", json!({"SecretId": "r"})).await;
    let gone = json!({"SecretId": "r", "ForceDeleteWithoutRecovery": true});
    world.sm_as(other, "DeleteSecret", gone).await;
    world.sm_as(other, "CreateSecret", replica_of(&pair.primary, "r", &pair.key)).await;
    world.put("p", 2, "two").await;
    assert_eq!(pair.read(json!({})).await, Err(no_version("staging label: AWSCURRENT")));
    assert_eq!(pair.statuses().await, ["Detached", "Pending"]);
}

/// Writes of the primary and its end beside each other: whatever came first, the two agree.
#[tokio::test]
async fn writes_and_ends_beside_each_other() {
    for round in 0..12 {
        let pair = Pair::associated().await;
        let (world, other) = (&pair.world, &pair.other);
        let put = |n: usize| {
            let value = format!("v{n}");
            async move { world.sm("PutSecretValue", version("p", n, &value)).await }
        };
        let end = async {
            match round % 2 {
                0 => world.sm("DisassociateCrossAccountReplica", pair.link()).await,
                _ => world.sm_as(other, "StopReplicationToReplica", json!({"SecretId": "r"})).await,
            }
        };
        tokio::join!(put(2), end, put(3));
        let expected = if round % 2 == 0 { ["", "Detached"] } else { ["Detached", ""] };
        assert_eq!(pair.statuses().await, expected);
        // What the replica has, it has whole.
        let has = pair.read(json!({})).await.unwrap();
        assert!(["one", "v2", "v3"].contains(&has.as_str().unwrap()), "{has}");
    }
}

#[tokio::test]
async fn a_rotation_reaches_the_other_account() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let other = world.other_root();
    let body = json!({"Policy": key_policy(true).to_string()});
    let made = world.kms_as(&other, "CreateKey", body).await;
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let primary = stage.secret("p").await;
    let made = world.sm_as(&other, "CreateSecret", replica_of(&primary, "r", key)).await;
    let body = json!({"SecretId": "p", "CrossAccountReplicaARN": made["ARN"]});
    world.sm("AssociateCrossAccountReplica", body).await;
    stage.rotate(&primary, 1).await;
    stage.scheduler.sweep().await;
    stage.assert_rotated(&primary, 1).await;
    // Also the label that the server itself took off at the end.
    let there = world.sm_as(&other, "DescribeSecret", json!({"SecretId": "r"})).await;
    let expected = json!({token(0): ["AWSPREVIOUS"], token(1): ["AWSCURRENT"]});
    assert_eq!(there["VersionIdsToStages"], expected);
    assert_eq!(there["CrossAccountPrimary"]["ReplicationStatus"], "InSync");
    assert!(there.get("RotationEnabled").is_none(), "rotation is the primary's");
    let got = world.sm_as(&other, "GetSecretValue", json!({"SecretId": "r"})).await;
    assert_eq!(got["SecretString"], json!(stage.function.password(&primary)));
    // A replica is not rotated by itself.
    let body = json!({"SecretId": "r", "ClientRequestToken": token(2),
        "RotationLambdaARN": function_arn()});
    let refused = world.sm_fails_as(&other, "RotateSecret", body).await;
    assert_eq!(refused.code, "InvalidRequestException");
}
