//! Grants: made, used, listed, retired, revoked.
mod conditions;
mod constraints;
mod create;
mod delegation;
mod deletion;
mod events;
mod list;
mod operations;
mod principals;
mod retire;
mod sdk;
mod secrets;
mod tokens;

use crate::support::user_arn;
use crate::world::{Someone, World, allow};
use serde_json::{Value, json};

/// Someone whom no policy lets use a key.
pub async fn idle(world: &World, name: &str) -> Someone {
    world.user(name, allow(&["s3:*"])).await
}

/// The body of a CreateGrant for a user of the account.
pub fn body(key: &str, user: &str, operations: &[&str]) -> Value {
    json!({"KeyId": key, "GranteePrincipal": user_arn(user), "Operations": operations})
}

/// The same with more members.
pub fn with(mut body: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

/// Gives a user a grant, as root; answers its id.
pub async fn grant(world: &World, key: &str, user: &str, operations: &[&str]) -> String {
    granted(world, body(key, user, operations)).await
}

pub async fn granted(world: &World, body: Value) -> String {
    let made = world.kms("CreateGrant", body).await;
    made["GrantId"].as_str().unwrap().to_owned()
}

pub async fn revoke(world: &World, key: &str, grant: &str) {
    world.kms("RevokeGrant", json!({"KeyId": key, "GrantId": grant})).await;
}

/// The ids of a key's grants.
pub async fn ids(world: &World, key: &str) -> Vec<String> {
    let listed = world.kms("ListGrants", json!({"KeyId": key, "Limit": 100})).await;
    assert_eq!(listed["Truncated"], false);
    let grants = listed["Grants"].as_array().unwrap();
    grants.iter().map(|grant| grant["GrantId"].as_str().unwrap().to_owned()).collect()
}

/// Ok, or the code of the refusal.
pub async fn attempt(
    world: &World,
    who: &Someone,
    name: &str,
    body: Value,
) -> Result<Value, String> {
    world.call_as(who, "kms", name, body).await.map_err(|error| error.code)
}

pub const DENIED: &str = "AccessDeniedException";

/// An Encrypt with this context.
pub fn encrypt(key: &str, context: Value) -> Value {
    json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": context})
}
