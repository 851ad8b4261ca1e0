//! What is not done: to a replica, to a secret that has some, or without permission.
use super::{
    THIRD, account_root, at, describe, fails_at, fails_at_as, invalid_region, read_only, replicas,
    replicated, there, token, value_in, version, world,
};
use crate::support::{denied, failed, policy, user_arn};
use crate::world::{OTHER_REGION, REGION, allow};
use serde_json::{Value, json};

/// Every operation that changes a secret, but for its key and its replication.
fn writes() -> Vec<(&'static str, Value)> {
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": account_root()},
        "Action": "secretsmanager:GetSecretValue", "Resource": "*"});
    vec![
        ("CancelRotateSecret", json!({})),
        ("DeleteResourcePolicy", json!({})),
        ("DeleteSecret", json!({})),
        ("DeleteSecret", json!({"ForceDeleteWithoutRecovery": true})),
        ("PutResourcePolicy", json!({"ResourcePolicy": policy(&[statement]).to_string()})),
        ("PutSecretValue", json!({"ClientRequestToken": token(7), "SecretString": "no"})),
        ("RemoveRegionsFromReplication", json!({"RemoveReplicaRegions": [OTHER_REGION]})),
        ("ReplicateSecretToRegions", json!({"AddReplicaRegions": [{"Region": THIRD}]})),
        ("RestoreSecret", json!({})),
        ("TagResource", json!({"Tags": [{"Key": "k", "Value": "v"}]})),
        ("UntagResource", json!({"TagKeys": ["k"]})),
        ("UpdateSecret", json!({"ClientRequestToken": token(7), "SecretString": "no"})),
        ("UpdateSecret", json!({"ClientRequestToken": token(7), "Description": "no"})),
        (
            "UpdateSecret",
            json!({"ClientRequestToken": token(7), "Description": "no", "KmsKeyId": ""}),
        ),
        ("UpdateSecretVersionStage", json!({"VersionStage": "blue", "MoveToVersionId": token(1)})),
    ]
}

#[tokio::test]
async fn a_replica_is_read_only() {
    let world = world().await;
    let arn = replicated(&world).await;
    let before = describe(&world, OTHER_REGION, "a").await;
    for (name, mut body) in writes() {
        for id in ["a".to_owned(), there(&arn, OTHER_REGION)] {
            body["SecretId"] = json!(id);
            let refused = fails_at(&world, OTHER_REGION, name, body.clone()).await;
            assert_eq!(refused, read_only(), "{name} {body}");
        }
    }
    assert_eq!(describe(&world, OTHER_REGION, "a").await, before);
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "one");
}

#[tokio::test]
async fn what_a_replica_may_not_do_a_stranger_is_not_told() {
    let world = world().await;
    replicated(&world).await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    for (name, mut body) in writes() {
        body["SecretId"] = json!("a");
        let refused = fails_at_as(&world, &ann, OTHER_REGION, name, body).await;
        assert_eq!(refused.code, "AccessDeniedException", "{name}");
    }
}

#[tokio::test]
async fn regions_that_are_none() {
    let world = world().await;
    let arn = world.secret("a", "one").await;
    for regions in [
        json!([{"Region": REGION}]),
        json!([{"Region": "eu-central-1"}]),
        json!([{"Region": OTHER_REGION}, {"Region": OTHER_REGION, "KmsKeyId": "alias/x"}]),
        json!([{"KmsKeyId": "alias/x"}]),
        json!([{}]),
    ] {
        let body = json!({"SecretId": arn, "AddReplicaRegions": regions});
        assert_eq!(world.sm_fails("ReplicateSecretToRegions", body).await, invalid_region());
        let mut body = super::creation("b", "two");
        body["AddReplicaRegions"] = regions.clone();
        assert_eq!(world.sm_fails("CreateSecret", body).await, invalid_region(), "{regions}");
    }
    assert_eq!(
        world.sm_fails("DescribeSecret", json!({"SecretId": "b"})).await.code,
        "ResourceNotFoundException"
    );
    assert_eq!(describe(&world, REGION, "a").await.get("ReplicationStatus"), None);
    for regions in [json!([OTHER_REGION]), json!([REGION]), json!([OTHER_REGION, "eu-central-1"])] {
        let body = json!({"SecretId": arn, "RemoveReplicaRegions": regions});
        assert_eq!(world.sm_fails("RemoveRegionsFromReplication", body).await, invalid_region());
    }
    let many = vec![json!({"Region": OTHER_REGION}); 5_000];
    let body = json!({"SecretId": arn, "AddReplicaRegions": many});
    assert_eq!(world.sm_fails("ReplicateSecretToRegions", body).await, invalid_region());
}

#[tokio::test]
async fn one_bad_region_among_those_to_remove_removes_none() {
    let world = world().await;
    replicated(&world).await;
    let from = world.events().len();
    let body = json!({"SecretId": "a", "RemoveReplicaRegions": [OTHER_REGION, THIRD]});
    assert_eq!(world.sm_fails("RemoveRegionsFromReplication", body).await, invalid_region());
    assert_eq!(world.event_names(from), ["RemoveRegionsFromReplication"]);
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "one");
}

#[tokio::test]
async fn a_secret_with_replicas_is_not_deleted() {
    let world = world().await;
    let arn = replicated(&world).await;
    super::replicate(&world, "a", &[THIRD]).await;
    let text = format!(
        "You can't delete secret {arn} that still has replica regions [{THIRD}, {OTHER_REGION}]."
    );
    for body in [
        json!({"SecretId": "a"}),
        json!({"SecretId": "a", "RecoveryWindowInDays": 7}),
        json!({"SecretId": "a", "ForceDeleteWithoutRecovery": true}),
    ] {
        let refused = world.sm_fails("DeleteSecret", body).await;
        assert_eq!(refused, failed("InvalidParameterException", text.as_str()));
    }
    let regions = json!({"SecretId": "a", "RemoveReplicaRegions": [THIRD, OTHER_REGION, THIRD]});
    let left = at(&world, REGION, "RemoveRegionsFromReplication", regions).await;
    assert_eq!(left, json!({"ARN": arn, "ReplicationStatus": []}));
    for region in [OTHER_REGION, THIRD] {
        let gone = fails_at(&world, region, "DescribeSecret", json!({"SecretId": "a"})).await;
        assert_eq!(gone, super::super::not_found());
    }
    assert_eq!(world.value("a").await, "one");
    world.sm("DeleteSecret", json!({"SecretId": "a"})).await;
}

#[tokio::test]
async fn a_secret_that_is_to_be_deleted_is_not_replicated() {
    let world = world().await;
    world.secret("a", "one").await;
    world.sm("DeleteSecret", json!({"SecretId": "a"})).await;
    for (name, body) in [
        ("ReplicateSecretToRegions", replicas("a", &[OTHER_REGION])),
        (
            "RemoveRegionsFromReplication",
            json!({"SecretId": "a", "RemoveReplicaRegions": [OTHER_REGION]}),
        ),
        ("StopReplicationToReplica", json!({"SecretId": "a"})),
    ] {
        assert_eq!(world.sm_fails(name, body).await, super::super::scheduled(), "{name}");
    }
    world.sm("RestoreSecret", json!({"SecretId": "a"})).await;
    super::replicate(&world, "a", &[OTHER_REGION]).await;
}

#[tokio::test]
async fn each_takes_its_permission() {
    let world = world().await;
    let arn = replicated(&world).await;
    let all =
        ["ReplicateSecretToRegions", "RemoveRegionsFromReplication", "StopReplicationToReplica"];
    for (n, one) in all.into_iter().enumerate() {
        let others: Vec<String> = all
            .iter()
            .filter(|name| **name != one)
            .map(|name| format!("secretsmanager:{name}"))
            .collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let name = format!("u{n}");
        let who = world.user(&name, allow(&others)).await;
        let (region, body) = match one {
            "ReplicateSecretToRegions" => (REGION, replicas(&arn, &[THIRD])),
            "RemoveRegionsFromReplication" => {
                (REGION, json!({"SecretId": arn, "RemoveReplicaRegions": [OTHER_REGION]}))
            }
            _ => (OTHER_REGION, json!({"SecretId": there(&arn, OTHER_REGION)})),
        };
        let action = format!("secretsmanager:{one}");
        let because = format!(
            "resource: {} because no identity-based policy allows the {action} action",
            body["SecretId"].as_str().unwrap()
        );
        let refused = fails_at_as(&world, &who, region, one, body).await;
        assert_eq!(refused, denied(&user_arn(&name), &action, &because));
    }
}

#[tokio::test]
async fn another_accounts_secret_of_that_name_is_another() {
    let world = world().await;
    let theirs = world.other_root();
    at_theirs(&world, &theirs, "CreateSecret", super::creation("a", "theirs")).await;
    replicated(&world).await;
    world.sm("PutSecretValue", version("a", 2, "two")).await;
    let read = at_theirs(&world, &theirs, "GetSecretValue", json!({"SecretId": "a"})).await;
    assert_eq!(read["SecretString"], "theirs");
    // Who is of another account does not reach a replica, whatever they may do at home.
    let arn = there(describe(&world, REGION, "a").await["ARN"].as_str().unwrap(), OTHER_REGION);
    for name in ["StopReplicationToReplica", "GetSecretValue", "DescribeSecret"] {
        let refused =
            fails_at_as(&world, &theirs, OTHER_REGION, name, json!({"SecretId": arn})).await;
        assert_eq!(refused.code, "AccessDeniedException", "{name}");
    }
}

async fn at_theirs(
    world: &crate::world::World,
    who: &crate::world::Someone,
    name: &str,
    body: Value,
) -> Value {
    super::at_as(world, who, OTHER_REGION, name, body).await
}
