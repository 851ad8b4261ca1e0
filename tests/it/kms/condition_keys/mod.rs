//! Every condition key of KMS: what a policy with it allows, and what it then does not.
mod everywhere;
mod names;
mod rows;
mod via_service;

use super::subject::{Kind, Subject, with};
use crate::support::policy;
use crate::world::{Failed, Someone, World};
use rows::{Row, rows};
use serde_json::{Value, json};

const DENIED: &str = "AccessDeniedException";

/// Someone who may do what the operation needs, if this condition holds.
async fn conditioned(world: &World, name: &str, operation: &str, condition: Value) -> Someone {
    let mut statements = vec![json!({"Effect": "Allow", "Action": format!("kms:{operation}*"),
        "Resource": "*", "Condition": condition})];
    if operation == "ReplicateKey" {
        // The condition is the primary key's.
        statements.push(json!({"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"}));
    }
    world.user(name, policy(&statements)).await
}

/// The request of a row, on a key of its own.
async fn request(world: &World, row: &Row, creation: &Value, more: &Value) -> Value {
    let Some(_) = Kind::of(row.operation) else { return more.clone() };
    let subject = Subject::used(world, row.operation, creation.clone()).await;
    let mut body = with(subject.body(row.operation), more.clone());
    for (_, value) in body.as_object_mut().unwrap() {
        if value == "$alias" {
            *value = json!(subject.alias);
        }
    }
    body
}

async fn outcome(world: &World, who: &Someone, row: &Row, body: Value) -> Option<Failed> {
    world.call_as(who, "kms", row.operation, body).await.err()
}

#[tokio::test]
async fn each_key_allows_and_denies() {
    let world = World::new().await;
    for (at, row) in rows().iter().enumerate() {
        let what = format!("{} of {}: {:?}", row.key, row.operation, row.policy);
        let [holds, fails] = &row.policy;
        let [good, bad] = &row.more;
        let who = conditioned(&world, &format!("n{at}"), row.operation, fails.clone()).await;
        let body = request(&world, row, &row.creation[1], bad).await;
        let refused = outcome(&world, &who, row, body).await;
        assert_eq!(refused.map(|e| e.code).as_deref(), Some(DENIED), "{what}");

        let who = conditioned(&world, &format!("y{at}"), row.operation, holds.clone()).await;
        let body = request(&world, row, &row.creation[0], good).await;
        let refused = outcome(&world, &who, row, body).await;
        assert_eq!(refused.map(|e| e.code).as_deref(), row.answer, "{what}");
    }
}

/// A key that the request does not have is no match, and `Null` sees that.
#[tokio::test]
async fn keys_that_are_absent() {
    let world = World::new().await;
    let null = |key: &str, is: bool| json!({"Null": {key: is.to_string()}});
    for (at, (key, operation, absent)) in [
        ("kms:RequestAlias", "DescribeKey", true),
        ("kms:ViaService", "DescribeKey", true),
        ("kms:MultiRegionKeyType", "DescribeKey", true),
        ("kms:EncryptionContextKeys", "Encrypt", true),
        ("kms:RetiringPrincipal", "CreateGrant", true),
        ("kms:GrantConstraintType", "CreateGrant", true),
        ("kms:ValidTo", "ImportKeyMaterial", true),
        ("kms:MessageType", "Sign", false),
        ("kms:RotationPeriodInDays", "EnableKeyRotation", false),
        ("kms:ScheduleKeyDeletionPendingWindowInDays", "ScheduleKeyDeletion", false),
        ("kms:PolicyName", "GetKeyPolicy", false),
        ("kms:BypassPolicyLockoutSafetyCheck", "PutKeyPolicy", false),
        ("kms:EncryptionAlgorithm", "Encrypt", false),
        ("kms:KeySpec", "DescribeKey", false),
        ("kms:CallerAccount", "DescribeKey", false),
    ]
    .into_iter()
    .enumerate()
    {
        for is in [!absent, absent] {
            let subject = Subject::used(&world, operation, json!({})).await;
            let name = format!("u{at}{is}");
            let who = conditioned(&world, &name, operation, null(key, is)).await;
            let outcome = world.call_as(&who, "kms", operation, subject.body(operation)).await;
            let code = outcome.err().map(|error| error.code);
            let expected = (is != absent).then_some(DENIED);
            assert_eq!(code.as_deref(), expected, "{key} of {operation}, Null {is}");
        }
    }
}
