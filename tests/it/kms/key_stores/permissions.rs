//! Who may do what with custom key stores: the caller's identity policies alone say.
use super::{NO_ID, missing, public};
use crate::support::{denied, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, World, allow};
use serde_json::{Value, json};

/// Every operation, with a body that root makes with success, one after the other.
fn bodies(id: &str) -> [(&'static str, Value); 6] {
    [
        ("CreateCustomKeyStore", public("another")),
        ("DescribeCustomKeyStores", json!({"CustomKeyStoreId": id})),
        ("UpdateCustomKeyStore", json!({"CustomKeyStoreId": id, "NewCustomKeyStoreName": "n"})),
        ("ConnectCustomKeyStore", json!({"CustomKeyStoreId": id})),
        ("DisconnectCustomKeyStore", json!({"CustomKeyStoreId": id})),
        ("DeleteCustomKeyStore", json!({"CustomKeyStoreId": id})),
    ]
}

#[tokio::test]
async fn each_operation_needs_its_own_permission() {
    let world = World::new().await;
    let id = world.create_store(public("xks")).await;
    for (at, (name, body)) in bodies(&id).into_iter().enumerate() {
        let action = format!("kms:{name}");
        let others: Vec<String> = bodies(&id)
            .iter()
            .filter(|(other, _)| *other != name)
            .map(|(other, _)| format!("kms:{other}"))
            .collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let user = format!("without{at}");
        let without = world.user(&user, allow(&others)).await;
        let why =
            format!("resource: * because no identity-based policy allows the {action} action");
        let expected = denied(&user_arn(&user), &action, &why);
        assert_eq!(world.kms_fails_as(&without, name, body.clone()).await, expected);
        let event = world.last_event();
        assert_eq!(event.event_name, name);
        assert_eq!(event.error_code.as_deref(), Some("AccessDeniedException"));
        // Whether a store exists is not for everybody to learn.
        if body.get("CustomKeyStoreId").is_some() {
            let nobody = json!({"CustomKeyStoreId": NO_ID});
            assert_eq!(world.kms_fails_as(&without, name, nobody).await, expected);
        }
        let with = world.user(&format!("with{at}"), allow(&[&action])).await;
        world.kms_as(&with, name, body).await;
    }
    assert_eq!(
        world.kms_fails("DescribeCustomKeyStores", json!({"CustomKeyStoreId": id})).await,
        missing(&id)
    );
}

#[tokio::test]
async fn policies_may_ask_for_the_callers_account() {
    let world = World::new().await;
    let of = |account: &str| {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*",
            "Resource": "*", "Condition": {"StringEquals": {"kms:CallerAccount": account}}}]})
    };
    let ours = world.user("ours", of(ACCOUNT)).await;
    let theirs = world.user("theirs", of(OTHER_ACCOUNT)).await;
    let id = world.create_store(public("xks")).await;
    for (name, body) in bodies(&id) {
        let refused = world.kms_fails_as(&theirs, name, body.clone()).await;
        assert_eq!(refused.code, "AccessDeniedException", "{name}");
        world.kms_as(&ours, name, body).await;
    }
    // GenerateRandom has no such key, with a store or without one.
    for body in [json!({"NumberOfBytes": 8}), json!({"NumberOfBytes": 8, "CustomKeyStoreId": id})] {
        let refused = world.kms_fails_as(&ours, "GenerateRandom", body).await;
        assert_eq!(refused.code, "AccessDeniedException");
    }
}
