//! What ends a session before its time.
use super::{Temporary, trust};
use crate::support::policy;
use crate::world::{ACCOUNT, World, allow};
use serde_json::{Value, json};

async fn chained(world: &World) -> (crate::world::Someone, [Temporary; 4]) {
    let ann = world.user("ann", allow(&["sts:*", "kms:ListKeys"])).await;
    world.role("r", trust(ACCOUNT), allow(&["sts:*", "kms:ListKeys"])).await;
    let of = |answer: Result<Value, _>| Temporary::of(&answer.unwrap());
    let own = of(world.call_as(&ann, "sts", "GetSessionToken", json!({})).await);
    let body = json!({"Name": "fed", "Policy": allow(&["kms:ListKeys"]).to_string()});
    let federated = of(world.call_as(&ann, "sts", "GetFederationToken", body).await);
    let role = world.assume(&ann, "r", json!({})).await;
    let body = super::assuming("r", json!({}));
    let chained = of(world.with(&role, "sts", "AssumeRole", body).await);
    (ann, [own, federated, role, chained])
}

#[tokio::test]
async fn disabling_the_issuing_key_ends_all_that_came_of_it() {
    let world = World::new().await;
    let (ann, sessions) = chained(&world).await;
    for session in &sessions {
        assert!(world.may_with(session, "kms", "ListKeys", json!({})).await);
    }
    let key = |status: &str| json!({"UserName": "ann", "AccessKeyId": ann.access_key_id, "Status": status});
    world.iam("UpdateAccessKey", key("Inactive")).await;
    for session in &sessions {
        assert!(world.caller_of(session).await.is_none());
    }
    world.iam("UpdateAccessKey", key("Active")).await;
    for session in &sessions {
        assert!(world.caller_of(session).await.is_some());
    }
}

#[tokio::test]
async fn a_role_deleted_or_made_anew_is_not_the_one_that_was_assumed() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let make = async || {
        world.role("r", trust(ACCOUNT), allow(&["kms:ListKeys"])).await;
        world.assume(&ann, "r", json!({})).await
    };
    let old = make().await;
    assert!(world.may_with(&old, "kms", "ListKeys", json!({})).await);
    world.delete_role("r").await;
    assert!(world.caller_of(&old).await.is_none());
    let new = make().await;
    assert!(world.caller_of(&old).await.is_none());
    assert!(world.may_with(&new, "kms", "ListKeys", json!({})).await);
}

#[tokio::test]
async fn a_policy_ends_the_sessions_of_before_a_moment() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let moment = "2026-01-01T00:10:00Z";
    let statements = [
        json!({"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"}),
        json!({"Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": moment}}}),
    ];
    world.role("r", trust(ACCOUNT), policy(&statements)).await;
    let old = world.assume(&ann, "r", json!({})).await;
    assert!(!world.may_with(&old, "kms", "ListKeys", json!({})).await);
    world.advance(600).await;
    let new = world.assume(&ann, "r", json!({})).await;
    assert!(world.may_with(&new, "kms", "ListKeys", json!({})).await);
    assert!(!world.may_with(&old, "kms", "ListKeys", json!({})).await);
}
