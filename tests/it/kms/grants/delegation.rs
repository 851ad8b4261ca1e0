//! Grants that are created by leave of another grant: never beyond what it says.
use super::{DENIED, attempt, body, encrypt, grant, granted, idle, ids, revoke, with};
use crate::world::{World, allow};
use serde_json::{Value, json};

fn under(key: &str, operations: &[&str], constraints: &Value) -> Value {
    with(body(key, "bob", operations), json!({"Constraints": constraints}))
}

#[tokio::test]
async fn a_child_says_the_same_or_less() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    idle(&world, "bob").await;
    let none = json!(null);
    let it = json!({"EncryptionContextSubset": {"Department": "IT"}});
    let more = json!({"EncryptionContextSubset": {"department": "IT", "a": "b"}});
    let exactly = json!({"EncryptionContextEquals": {"Department": "IT"}});
    let hr = json!({"EncryptionContextEquals": {"Department": "HR"}});
    let parent = ["GenerateDataKey", "Decrypt", "CreateGrant"];
    for (constraints, operations, child, may) in [
        (&none, ["Decrypt"].as_slice(), &none, true),
        (&none, &parent, &none, true),
        (&none, &["Decrypt"], &it, true),
        (&none, &["Decrypt"], &exactly, true),
        (&none, &["Encrypt"], &none, false),
        (&none, &["Decrypt", "ReEncryptFrom"], &none, false),
        (&none, &["DescribeKey"], &none, false),
        (&it, &["Decrypt"], &it, true),
        (&it, &["Decrypt"], &more, true),
        (&it, &["CreateGrant", "Decrypt"], &exactly, true),
        (&it, &["Decrypt"], &none, false),
        (&it, &["Decrypt"], &hr, false),
        (&it, &["CreateGrant"], &none, false),
        (&more, &["Decrypt"], &it, false),
        (&exactly, &["Decrypt"], &exactly, true),
        (&exactly, &["Decrypt"], &it, false),
        (&exactly, &["Decrypt"], &more, false),
        (&exactly, &["Decrypt"], &none, false),
    ] {
        let key = world.key().await;
        let given = json!({"Constraints": constraints});
        let id = granted(&world, with(body(&key, "ann", &parent), given)).await;
        let wish = under(&key, operations, child);
        let outcome = attempt(&world, &ann, "CreateGrant", wish.clone()).await;
        if may {
            assert!(outcome.is_ok(), "{wish} under {constraints}: {outcome:?}");
            let data = world.last_event().additional_event_data.unwrap();
            assert_eq!(data["grantId"], id);
        } else {
            assert_eq!(outcome, Err(DENIED.into()), "{wish} under {constraints}");
        }
        assert_eq!(ids(&world, &key).await.len(), 1 + usize::from(may));
    }
}

#[tokio::test]
async fn without_create_grant_there_are_no_children() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    idle(&world, "bob").await;
    let key = world.key().await;
    grant(&world, &key, "ann", &["Decrypt", "RetireGrant", "DescribeKey"]).await;
    let refused = attempt(&world, &ann, "CreateGrant", body(&key, "bob", &["Decrypt"])).await;
    assert_eq!(refused, Err(DENIED.into()));
    // Nor does one parent lend its CreateGrant to another one's operations.
    grant(&world, &key, "ann", &["Encrypt", "CreateGrant"]).await;
    let refused = attempt(&world, &ann, "CreateGrant", body(&key, "bob", &["Decrypt"])).await;
    assert_eq!(refused, Err(DENIED.into()));
    world.kms_as(&ann, "CreateGrant", body(&key, "bob", &["Encrypt"])).await;
}

#[tokio::test]
async fn a_child_may_have_children_of_its_own() {
    let world = World::new().await;
    let (ann, bob) = (idle(&world, "ann").await, idle(&world, "bob").await);
    let cat = idle(&world, "cat").await;
    let key = world.key().await;
    let it = json!({"EncryptionContextSubset": {"Department": "IT"}});
    let both = ["Encrypt", "CreateGrant"];
    let parent = with(body(&key, "ann", &both), json!({"Constraints": it}));
    let parent = granted(&world, parent).await;
    let child = world.kms_as(&ann, "CreateGrant", under(&key, &both, &it)).await;
    let wish = with(body(&key, "cat", &["Encrypt"]), json!({"Constraints": it}));
    let grandchild = world.kms_as(&bob, "CreateGrant", wish.clone()).await;
    let seal = || encrypt(&key, json!({"Department": "IT"}));
    world.kms_as(&cat, "Encrypt", seal()).await;
    let refused = attempt(&world, &cat, "Encrypt", encrypt(&key, json!({}))).await;
    assert_eq!(refused, Err(DENIED.into()));
    // As on AWS, children outlive the grant that let them be made; it lets no more be made.
    revoke(&world, &key, &parent).await;
    world.kms_as(&cat, "Encrypt", seal()).await;
    let refused = attempt(&world, &ann, "CreateGrant", under(&key, &both, &it)).await;
    assert_eq!(refused, Err(DENIED.into()));
    revoke(&world, &key, child["GrantId"].as_str().unwrap()).await;
    assert_eq!(attempt(&world, &bob, "CreateGrant", wish).await, Err(DENIED.into()));
    revoke(&world, &key, grandchild["GrantId"].as_str().unwrap()).await;
    assert_eq!(attempt(&world, &cat, "Encrypt", seal()).await, Err(DENIED.into()));
}

#[tokio::test]
async fn a_policy_that_allows_create_grant_is_not_bound_by_a_grant() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["kms:CreateGrant"])).await;
    idle(&world, "bob").await;
    let key = world.key().await;
    grant(&world, &key, "ann", &["CreateGrant"]).await;
    world.kms_as(&ann, "CreateGrant", body(&key, "bob", &["Decrypt", "Encrypt"])).await;
}
