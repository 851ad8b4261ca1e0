//! When access keys and roles were last used.
use crate::front::{Client, code_of};
use crate::sts::trust;
use crate::support::user_arn;
use crate::world::{ACCOUNT, NOW_SECS, OTHER_ACCOUNT, REGION, Someone, World, allow};
use claviger::last_use::Access;
use claviger::types::PrincipalKind;
use serde_json::json;

#[tokio::test]
async fn a_key_tells_its_last_request() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["kms:ListKeys"])).await;
    let asked = json!({"AccessKeyId": ann.access_key_id});
    let get = async || world.iam("GetAccessKeyLastUsed", asked.clone()).await;
    let never = json!({"UserName": "ann",
        "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}});
    assert_eq!(get().await, never);
    let client = Client::new(&world).await;
    assert_eq!(code_of(&client.kms(&ann, "ListKeys", json!({})).await), None);
    let used = get().await;
    assert_eq!(used["AccessKeyLastUsed"]["LastUsedDate"].as_f64(), Some(NOW_SECS as f64));
    assert_eq!(used["AccessKeyLastUsed"]["ServiceName"], "kms");
    assert_eq!(used["AccessKeyLastUsed"]["Region"], "eu-west-1");
    // Refused for want of permission: the key was used all the same. With a wrong signature not.
    world.clock.advance(5);
    let form = "Action=ListUsers&Version=2010-05-08";
    let answer = Client::new(&world).await.iam(&ann, form).await;
    assert_eq!(code_of(&answer).as_deref(), Some("AccessDenied"));
    world.clock.advance(5);
    let forger = Someone { secret: "x".repeat(40), ..ann.clone() };
    assert!(code_of(&Client::new(&world).await.iam(&forger, form).await).is_some());
    let used = get().await;
    assert_eq!(used["AccessKeyLastUsed"]["LastUsedDate"].as_f64(), Some((NOW_SECS + 5) as f64));
    assert_eq!(used["AccessKeyLastUsed"]["ServiceName"], "iam");
    assert_eq!(used["AccessKeyLastUsed"]["Region"], "us-east-1");

    // It is written, and goes with the key.
    world.advance(1).await;
    let row = async || {
        let mut tx = world.server.store.begin();
        tx.get::<Access>(&[&ann.access_key_id]).await.unwrap()
    };
    assert_eq!(row().await.unwrap().service, "iam");
    let before = world.server.store.acknowledged();
    world.advance(1).await;
    assert_eq!(world.server.store.acknowledged(), before);
    let body = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id});
    world.iam("DeleteAccessKey", body).await;
    world.advance(120).await;
    assert!(row().await.is_none());
}

#[tokio::test]
async fn what_is_deleted_while_its_request_is_under_way_leaves_nothing() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:AssumeRole"])).await;
    world.role("worker", trust(ACCOUNT), allow(&["kms:ListKeys"])).await;
    let key = world.caller(&ann).await;
    let session = world.assume(&ann, "worker", json!({})).await;
    let role = world.caller_of(&session).await.unwrap();
    let PrincipalKind::AssumedRole { role_id, .. } = role.principal.kind.clone() else { panic!() };
    let ids = [ann.access_key_id.as_str(), role_id.as_str()];
    let rows = async || {
        let mut tx = world.server.store.begin();
        let mut found = 0;
        for id in ids {
            found += usize::from(tx.get::<Access>(&[id]).await.unwrap().is_some());
        }
        found
    };
    let note = |who| world.server.note_access(who, "kms", &REGION.parse().unwrap());
    note(&key);
    note(&role);
    world.advance(1).await;
    assert_eq!(rows().await, 2);
    let body = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id});
    world.iam("DeleteAccessKey", body).await;
    world.iam("DeleteRolePolicy", json!({"RoleName": "worker", "PolicyName": "policy"})).await;
    world.iam("DeleteRole", json!({"RoleName": "worker"})).await;
    // Both had proved who they are before.
    note(&key);
    note(&role);
    world.advance(1).await;
    world.advance(61).await;
    assert_eq!(rows().await, 0);
}

#[tokio::test]
async fn unsigned_requests_are_nobodys_last_access() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let form = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=x.y.z";
    let role = format!("RoleArn=arn:aws:iam::{OTHER_ACCOUNT}:role/any&RoleSessionName=s1");
    let answer = client.send(&client.form(&format!("{form}&{role}"))).await;
    assert_eq!(code_of(&answer).as_deref(), Some("InvalidIdentityToken"));
    let mut tx = world.server.store.begin();
    assert!(world.server.last_uses.access.of(&mut tx, "").await.unwrap().is_none());
}

#[tokio::test]
async fn nobody_learns_of_keys_that_are_not_theirs() {
    let world = World::new().await;
    let foreign = world.user_of(OTHER_ACCOUNT, "eve", allow(&["s3:*"])).await;
    let bob = world.user("bob", allow(&["s3:*"])).await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let admin = world.user("admin", allow(&["iam:*"])).await;
    let unknown = "AKIAAAAAAAAAAAAAAAAA".to_owned();
    let ask = async |who: &Someone, id: &str| {
        let body = json!({"AccessKeyId": id});
        world.call_as(who, "iam", "GetAccessKeyLastUsed", body).await
    };
    // Without permission, a key that exists and one that does not look alike.
    for id in [&bob.access_key_id, &foreign.access_key_id, &unknown] {
        let error = ask(&ann, id).await.unwrap_err();
        let text = format!(
            "User: {} is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access \
             key {id} because no identity-based policy allows the iam:GetAccessKeyLastUsed action",
            user_arn("ann")
        );
        assert_eq!((error.code.as_str(), error.message), ("AccessDenied", text));
    }
    for id in [&foreign.access_key_id, &unknown] {
        assert_eq!(ask(&admin, id).await.unwrap_err().code, "AccessDenied");
    }
    assert_eq!(ask(&admin, &bob.access_key_id).await.unwrap()["UserName"], "bob");
    let root = ask(&admin, &world.root.access_key_id).await.unwrap();
    assert_eq!(root["AccessKeyLastUsed"]["Region"], "N/A");
    assert_eq!(
        world.iam_fails("GetAccessKeyLastUsed", json!({"AccessKeyId": "a-b"})).await.code,
        "ValidationError"
    );
}
