//! Who may do what with a key's rotation.
use crate::support::{delegate, denied, policy, unknown_to, user_arn};
use crate::world::{OTHER_ACCOUNT, World, allow};
use serde_json::json;

const ALL: [&str; 5] = [
    "EnableKeyRotation",
    "DisableKeyRotation",
    "GetKeyRotationStatus",
    "RotateKeyOnDemand",
    "ListKeyRotations",
];

#[tokio::test]
async fn each_needs_its_own_permission() {
    let world = World::new().await;
    let key = world.key().await;
    for name in ALL {
        let action = format!("kms:{name}");
        let able = world.user(&format!("able-{name}"), allow(&[&action])).await;
        let others: Vec<String> =
            ALL.iter().filter(|other| **other != name).map(|n| format!("kms:{n}")).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let unable = world.user(&format!("unable-{name}"), allow(&others)).await;
        world.kms_as(&able, name, json!({"KeyId": key})).await;
        let refused = world.kms_fails_as(&unable, name, json!({"KeyId": key})).await;
        let why =
            format!("resource: {key} because no identity-based policy allows the {action} action");
        assert_eq!(refused, denied(&user_arn(&format!("unable-{name}")), &action, &why));
        let event = world.last_event();
        assert_eq!(
            (event.event_name.as_str(), event.error_code.as_deref()),
            (name, Some("AccessDeniedException"))
        );
        assert_eq!(event.response_elements, None);
    }
    assert_eq!(world.rotations().len(), 1, "who was refused rotated nothing");
}

#[tokio::test]
async fn another_account_may_ask_for_the_status_and_no_more() {
    let world = World::new().await;
    let theirs = json!({"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "kms:*",
        "Resource": "*"});
    let key = world.key_with_policy(policy(&[delegate(), theirs])).await;
    let other = world.other_root();
    for name in ALL {
        let outcome = world.call_as(&other, "kms", name, json!({"KeyId": key})).await;
        if name == "GetKeyRotationStatus" {
            assert_eq!(outcome.unwrap()["KeyRotationEnabled"], false);
        } else {
            assert_eq!(outcome.unwrap_err().code, "NotFoundException", "{name}");
        }
    }
    let closed = world.key().await;
    for name in ALL {
        let refused = world.kms_fails_as(&other, name, json!({"KeyId": closed})).await;
        let root = format!("arn:aws:iam::{OTHER_ACCOUNT}:root");
        assert_eq!(refused, unknown_to(&root, &format!("kms:{name}"), "this resource"));
    }
    assert_eq!(world.rotations().len(), 0);
}
