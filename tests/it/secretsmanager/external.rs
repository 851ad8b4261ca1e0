//! Managed external secrets: which partner's they are.
use super::rotate::{rotation, world};
use super::{creation, token};
use crate::support::failed;
use crate::world::{Failed, World};
use serde_json::{Value, json};

const PARTNER: &str = "SalesforceClientSecret";

fn retyped(kind: &str) -> Value {
    json!({"SecretId": "a", "ClientRequestToken": token(9), "Type": kind})
}

fn typed(name: &str, kind: &str) -> Value {
    let mut body = creation(name, "v");
    body["Type"] = json!(kind);
    body
}

fn no_type() -> Failed {
    let text = "Type must be the name of a partner's kind of secret: letters and digits.";
    failed("InvalidParameterException", text)
}

#[tokio::test]
async fn the_type_is_kept_shown_and_changed() {
    let world = World::new().await;
    world.sm("CreateSecret", typed("a", PARTNER)).await;
    assert_eq!(world.last_event().request_parameters.unwrap()["type"], PARTNER);
    assert_eq!(world.describe("a").await["Type"], PARTNER);
    let listed = world.sm("ListSecrets", json!({})).await;
    assert_eq!(listed["SecretList"][0]["Type"], PARTNER);
    // A new value leaves it.
    world.put("a", 2, "w").await;
    assert_eq!(world.describe("a").await["Type"], PARTNER);
    world.sm("UpdateSecret", retyped("BigIDClientSecret")).await;
    assert_eq!(world.describe("a").await["Type"], "BigIDClientSecret");
    world.sm("UpdateSecret", retyped("")).await;
    assert!(world.describe("a").await.get("Type").is_none());
    // An ordinary secret becomes one: AWS's way to move it there.
    world.sm("UpdateSecret", retyped(PARTNER)).await;
    assert_eq!(world.describe("a").await["Type"], PARTNER);
}

#[tokio::test]
async fn what_is_no_type() {
    let world = World::new().await;
    world.secret("a", "v").await;
    for kind in ["a b", "a/b", "ä", "a\u{0}", "<script>"] {
        assert_eq!(world.sm_fails("CreateSecret", typed("b", kind)).await, no_type(), "{kind}");
        assert_eq!(world.sm_fails("UpdateSecret", retyped(kind)).await, no_type(), "{kind}");
    }
    let long = world.sm_fails("UpdateSecret", retyped(&"x".repeat(257))).await;
    assert_eq!(long.code, "ValidationException");
    assert!(world.describe("a").await.get("Type").is_none());
    let none = world.sm_fails("DescribeSecret", json!({"SecretId": "b"})).await;
    assert_eq!(none, super::not_found());
}

const ROLE: &str = "arn:aws:iam::111122223333:role/partners/rotates";

fn metadata(items: &[(&str, &str)]) -> Value {
    items.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

fn external(n: usize, metadata: Value, role: Option<&str>) -> Value {
    let mut body = rotation("a", n, json!({"ExternalSecretRotationMetadata": metadata}));
    if let Some(role) = role {
        body["ExternalSecretRotationRoleArn"] = json!(role);
    }
    body
}

/// What DescribeSecret shows of a rotation by a partner, and ListSecrets too.
async fn shown(world: &World) -> (Value, Value) {
    let described = world.describe("a").await;
    let listed = world.sm("ListSecrets", json!({})).await["SecretList"][0].clone();
    let names = ["ExternalSecretRotationMetadata", "ExternalSecretRotationRoleArn"];
    let [metadata, role] = names.map(|name| {
        assert_eq!(described.get(name), listed.get(name), "{name}");
        described.get(name).cloned().unwrap_or_default()
    });
    (metadata, role)
}

/// Turns rotation off, and takes back what was begun.
async fn cancel(world: &World, n: usize) {
    world.sm("CancelRotateSecret", json!({"SecretId": "a"})).await;
    let body = json!({"SecretId": "a", "VersionStage": "AWSPENDING",
        "RemoveFromVersionId": token(n)});
    world.sm("UpdateSecretVersionStage", body).await;
}

#[tokio::test]
async fn what_a_partner_is_told_is_kept_and_shown() {
    let world = world().await;
    world.sm("CreateSecret", typed("a", PARTNER)).await;
    assert_eq!(shown(&world).await, (Value::Null, Value::Null));
    // In the order in which they were given.
    let first = metadata(&[("url", "https://partner.example"), ("app", "7"), ("Url", "")]);
    let refused = world.sm_fails("RotateSecret", external(2, first, Some(ROLE))).await;
    assert_eq!(refused.code, "ValidationException", "an empty Value");
    let first = metadata(&[("url", "https://partner.example"), ("app", "7"), ("Url", "x")]);
    world.sm("RotateSecret", external(2, first.clone(), Some(ROLE))).await;
    assert_eq!(
        world.last_event().request_parameters.unwrap()["externalSecretRotationRoleArn"],
        ROLE
    );
    assert_eq!(shown(&world).await, (first.clone(), json!(ROLE)));
    cancel(&world, 2).await;
    assert_eq!(shown(&world).await, (first.clone(), json!(ROLE)));
    // What is not said again stays, what is said replaces the whole.
    world.sm("RotateSecret", rotation("a", 3, json!({}))).await;
    assert_eq!(shown(&world).await, (first, json!(ROLE)));
    cancel(&world, 3).await;
    let second = metadata(&[("app", "8")]);
    world.sm("RotateSecret", external(4, second.clone(), None)).await;
    assert_eq!(shown(&world).await, (second, json!(ROLE)));
    cancel(&world, 4).await;
    world.sm("RotateSecret", external(5, json!([]), None)).await;
    assert_eq!(shown(&world).await, (Value::Null, json!(ROLE)));
}

#[tokio::test]
async fn what_a_partner_cannot_be_told() {
    let world = world().await;
    world.sm("CreateSecret", typed("a", PARTNER)).await;
    let before = world.describe("a").await;
    let names: Vec<String> = (0..51).map(|n| format!("k{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
    let incomplete = "Every item of ExternalSecretRotationMetadata needs a Key and a Value.";
    for (wrong, text) in [
        (
            metadata(&[("k", "v"), ("l", "v"), ("k", "w")]),
            "Duplicate keys found in ExternalSecretRotationMetadata.",
        ),
        (metadata(&many), "ExternalSecretRotationMetadata has too many items."),
        (json!([{"Key": "k"}]), incomplete),
        (json!([{"Value": "v"}]), incomplete),
    ] {
        let refused = world.sm_fails("RotateSecret", external(2, wrong, Some(ROLE))).await;
        assert_eq!(refused, failed("InvalidParameterException", text));
    }
    for wrong in [
        json!([{"Key": "", "Value": "v"}]),
        json!([{"Key": "k".repeat(257), "Value": "v"}]),
        json!([{"Key": "k", "Value": "v".repeat(2049)}]),
    ] {
        let refused = world.sm_fails("RotateSecret", external(2, wrong, Some(ROLE))).await;
        assert_eq!(refused.code, "ValidationException", "{refused:?}");
    }
    for wrong in [
        "not the ARN of anything",
        "arn:aws:iam::111122223333:user/rotates",
        "arn:aws:s3:::role/rotates-secrets",
    ] {
        let refused = world.sm_fails("RotateSecret", external(2, json!([]), Some(wrong))).await;
        let text = "The ExternalSecretRotationRoleArn is not the ARN of a role.";
        assert_eq!(refused, failed("InvalidParameterException", text), "{wrong}");
    }
    assert_eq!(world.describe("a").await, before);
    assert!(world.run_of("a").await.is_none());
    let most = metadata(&many[..50]);
    world.sm("RotateSecret", external(2, most.clone(), Some(ROLE))).await;
    assert_eq!(shown(&world).await, (most, json!(ROLE)));
}

#[tokio::test]
async fn a_secret_that_rotates_stays_of_its_type() {
    let world = world().await;
    world.sm("CreateSecret", typed("a", PARTNER)).await;
    world.sm("RotateSecret", external(2, json!([]), Some(ROLE))).await;
    let text = "You can't change the Type of a secret that has rotation turned on. Cancel the \
                rotation first.";
    for kind in ["BigIDClientSecret", ""] {
        let refused = world.sm_fails("UpdateSecret", retyped(kind)).await;
        assert_eq!(refused, failed("InvalidRequestException", text), "{kind}");
    }
    assert_eq!(world.describe("a").await["Type"], PARTNER);
    // Said once more, it is no change.
    world.sm("UpdateSecret", retyped(PARTNER)).await;
    cancel(&world, 2).await;
    world.sm("UpdateSecret", retyped("BigIDClientSecret")).await;
    assert_eq!(world.describe("a").await["Type"], "BigIDClientSecret");
    // One that became nobody's is told nothing more.
    world.sm("UpdateSecret", retyped("")).await;
    let refused = world.sm_fails("RotateSecret", external(3, json!([]), Some(ROLE))).await;
    assert!(refused.message.contains("managed external secrets only"), "{refused:?}");
}
