//! Errors that many operations have alike.
use super::{ROOT, failing, refused};
use crate::kms::subject::{Kind, Subject, with};
use crate::world::{ACCOUNT, Failed, REGION, World};
use claviger::keys::KeyState;
use serde_json::{Value, json};

/// A key id that nobody has.
const ABSENT: &str = "11111111-2222-3333-4444-555555555555";

pub const ERRORS: [&str; 10] = [
    "DependencyTimeoutException",
    "DisabledException",
    "DryRunOperationException",
    "InvalidGrantIdException",
    "InvalidGrantTokenException",
    "InvalidKeyUsageException",
    "InvalidMarkerException",
    "KMSInternalException",
    "KMSInvalidStateException",
    "NotFoundException",
];

pub async fn produce(operation: &str, error: &str) -> Option<Failed> {
    Some(match error {
        "KMSInternalException" => failing::without_store(operation).await,
        "DependencyTimeoutException" => return failing::without_device(operation).await,
        "NotFoundException" => return absent(operation).await,
        "DisabledException" => disabled(operation).await,
        "KMSInvalidStateException" => return wrong_state(operation).await,
        "InvalidKeyUsageException" => return wrong_key(operation).await,
        "DryRunOperationException" => changed(operation, json!({"DryRun": true})).await,
        "InvalidGrantTokenException" => {
            let token = match operation {
                "RetireGrant" => json!({"GrantToken": "x", "KeyId": null, "GrantId": null}),
                _ => json!({"GrantTokens": ["x"]}),
            };
            changed(operation, token).await
        }
        "InvalidGrantIdException" => changed(operation, json!({"GrantId": "x"})).await,
        "InvalidMarkerException" => changed(operation, json!({"Marker": "x"})).await,
        _ => return None,
    })
}

/// The operation's good request with other members. Without them it succeeds, also afterwards.
async fn changed(operation: &str, more: Value) -> Failed {
    let world = World::new().await;
    let good = match (Kind::of(operation), operation) {
        (Some(_), _) => Subject::used(&world, operation, json!({})).await.body(operation),
        (None, "ListRetirableGrants") => json!({"RetiringPrincipal": ROOT}),
        (None, _) => json!({}),
    };
    if operation == "CancelKeyDeletion" {
        world.kms("ScheduleKeyDeletion", good.clone()).await;
    }
    let refusal = refused(&world, operation, with(good.clone(), more)).await;
    world.kms(operation, good).await;
    refusal
}

async fn absent(operation: &str) -> Option<Failed> {
    let absent = json!(format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{ABSENT}"));
    let more = match operation {
        // It names no key, and a principal that there is not is another error.
        "ListRetirableGrants" => return None,
        "CreateAlias" | "UpdateAlias" => json!({"TargetKeyId": absent}),
        "DeleteAlias" => json!({"AliasName": "alias/absent"}),
        "ReEncrypt" => json!({"DestinationKeyId": absent}),
        _ => json!({"KeyId": absent}),
    };
    Some(changed(operation, more).await)
}

async fn disabled(operation: &str) -> Failed {
    let world = World::new().await;
    let subject = Subject::used(&world, operation, json!({})).await;
    world.kms("DisableKey", json!({"KeyId": subject.key})).await;
    refused(&world, operation, subject.body(operation)).await
}

async fn wrong_state(operation: &str) -> Option<Failed> {
    // Their rows in AWS's table of key states have no such cell.
    let always = [
        "DeleteAlias",
        "GetKeyPolicy",
        "GetKeyRotationStatus",
        "ListGrants",
        "ListKeyPolicies",
        "ListKeyRotations",
        "PutKeyPolicy",
        "RetireGrant",
        "RevokeGrant",
    ];
    if always.contains(&operation) {
        return None;
    }
    let world = World::new().await;
    let subject = Subject::used(&world, operation, json!({})).await;
    match operation {
        "CancelKeyDeletion" => {}
        "DeleteImportedKeyMaterial" => {
            let creating = |key: &mut claviger::keys::Key| key.state = KeyState::Creating;
            world.edit_key(REGION, &subject.key, creating).await;
        }
        _ => drop(world.kms("ScheduleKeyDeletion", json!({"KeyId": subject.key})).await),
    }
    Some(refused(&world, operation, subject.body(operation)).await)
}

/// A key that was made for something else.
async fn wrong_key(operation: &str) -> Option<Failed> {
    let world = World::new().await;
    let subject = Subject::used(&world, operation, json!({})).await;
    let other = match Kind::of(operation) {
        Some(Kind::Symmetric) => world.key_of("HMAC_256", "GENERATE_VERIFY_MAC").await,
        _ if operation == "GetPublicKey" => return None,
        _ => world.key().await,
    };
    let member = if operation == "ReEncrypt" { "DestinationKeyId" } else { "KeyId" };
    let body = with(subject.body(operation), json!({member: other}));
    Some(refused(&world, operation, body).await)
}
