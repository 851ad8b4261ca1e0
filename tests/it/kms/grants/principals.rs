//! Grantees: other accounts, whole accounts, and users that are gone.
use super::{DENIED, attempt, body, grant, granted, idle};
use crate::sts::{role_arn, trust};
use crate::support::{unknown_to, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, World, allow};
use serde_json::json;

fn other(name: &str) -> String {
    format!("arn:aws:iam::{OTHER_ACCOUNT}:{name}")
}

#[tokio::test]
async fn another_accounts_user_needs_the_grant_alone() {
    let world = World::new().await;
    let far = world.user_of(OTHER_ACCOUNT, "far", allow(&["s3:*"])).await;
    let able = world.user_of(OTHER_ACCOUNT, "able", allow(&["kms:*"])).await;
    let key = world.key().await;
    let seal = || json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    let wish = json!({"KeyId": key, "GranteePrincipal": other("user/far"),
        "Operations": ["Encrypt", "Decrypt"]});
    let id = granted(&world, wish).await;
    let sealed = world.kms_as(&far, "Encrypt", seal()).await;
    let open = json!({"CiphertextBlob": sealed["CiphertextBlob"]});
    world.kms_as(&far, "Decrypt", open.clone()).await;
    assert_eq!(attempt(&world, &able, "Encrypt", seal()).await, Err(DENIED.into()));
    super::revoke(&world, &key, &id).await;
    let refused = world.kms_fails_as(&far, "Encrypt", seal()).await;
    assert_eq!(refused, unknown_to(&other("user/far"), "kms:Encrypt", "this resource"));
    let refused = world.kms_fails_as(&far, "Decrypt", open).await;
    let what = "the resource associated with this ciphertext";
    assert_eq!(refused, unknown_to(&other("user/far"), "kms:Decrypt", what));
}

/// A grant to an account is its root's, and of those to whom the account's policies pass it on.
#[tokio::test]
async fn an_account_passes_its_grant_on_by_policy() {
    let world = World::new().await;
    let able = world.user_of(OTHER_ACCOUNT, "able", allow(&["kms:Encrypt"])).await;
    let unable = world.user_of(OTHER_ACCOUNT, "unable", allow(&["s3:*"])).await;
    let key = world.key().await;
    let seal = || json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    for who in [&able, &world.other_root()] {
        assert_eq!(attempt(&world, who, "Encrypt", seal()).await, Err(DENIED.into()));
    }
    let wish = json!({"KeyId": key, "GranteePrincipal": other("root"), "Operations": ["Encrypt"]});
    granted(&world, wish).await;
    for who in [&able, &world.other_root()] {
        world.kms_as(who, "Encrypt", seal()).await;
    }
    let refused = world.kms_fails_as(&unable, "Encrypt", seal()).await;
    assert_eq!(refused, unknown_to(&other("user/unable"), "kms:Encrypt", "this resource"));
}

#[tokio::test]
async fn the_own_account_can_be_granted_too() {
    let world = World::new().await;
    // A policy that names one user only: not even root may use the key.
    let user = world.user("owner", allow(&["kms:*"])).await;
    let owner = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("owner")},
        "Action": "kms:*", "Resource": "*"});
    let key = world.key_with_policy(crate::support::policy(&[owner])).await;
    let (able, unable) =
        (world.user("able", allow(&["kms:Encrypt"])).await, idle(&world, "unable").await);
    let seal = || json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    assert_eq!(attempt(&world, &able, "Encrypt", seal()).await, Err(DENIED.into()));
    assert_eq!(attempt(&world, &world.root, "Encrypt", seal()).await, Err(DENIED.into()));
    let us = format!("arn:aws:iam::{ACCOUNT}:root");
    let wish = json!({"KeyId": key, "GranteePrincipal": us, "Operations": ["Encrypt"]});
    world.kms_as(&user, "CreateGrant", wish).await;
    for who in [&able, &world.root] {
        world.kms_as(who, "Encrypt", seal()).await;
    }
    assert_eq!(attempt(&world, &unable, "Encrypt", seal()).await, Err(DENIED.into()));
}

/// Whoever gets the name of a user that is gone gets nothing else.
#[tokio::test]
async fn a_new_user_of_an_old_name_inherits_nothing() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    let retiring = json!({"RetiringPrincipal": user_arn("ann")});
    let id = granted(&world, super::with(body(&key, "ann", &["Encrypt", "RetireGrant"]), retiring))
        .await;
    let seal = || json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    world.kms_as(&ann, "Encrypt", seal()).await;
    let keys = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id});
    world.iam("DeleteAccessKey", keys).await;
    world.iam("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "policy"})).await;
    let gone = world.iam("GetUser", json!({"UserName": "ann"})).await;
    let gone = gone["User"]["UserId"].as_str().unwrap();
    world.iam("DeleteUser", json!({"UserName": "ann"})).await;
    // What is left of it is its id, as AWS shows it.
    let shown = || async {
        let listed = world.kms("ListGrants", json!({"KeyId": key, "GrantId": id})).await;
        let grant = &listed["Grants"][0];
        assert_eq!(grant["GranteePrincipal"], grant["RetiringPrincipal"]);
        grant["GranteePrincipal"].as_str().unwrap().to_owned()
    };
    assert_eq!(shown().await, gone);
    let new = idle(&world, "ann").await;
    assert_eq!(attempt(&world, &new, "Encrypt", seal()).await, Err(DENIED.into()));
    let retire = json!({"KeyId": key, "GrantId": id});
    assert_eq!(attempt(&world, &new, "RetireGrant", retire).await, Err(DENIED.into()));
    let theirs = json!({"RetiringPrincipal": user_arn("ann")});
    assert_eq!(world.kms("ListRetirableGrants", theirs).await["Grants"], json!([]));
    assert_eq!(shown().await, gone);
    let by = |grantee: &str| json!({"KeyId": key, "GranteePrincipal": grantee});
    assert_eq!(world.kms("ListGrants", by(&user_arn("ann"))).await["Grants"], json!([]));
    assert_eq!(world.kms("ListGrants", by(gone)).await["Grants"][0]["GrantId"], id);
    grant(&world, &key, "ann", &["Encrypt"]).await;
    world.kms_as(&new, "Encrypt", seal()).await;
}

/// A grant to a role is all of its sessions', one to a session is that session's: while it is that
/// role.
#[tokio::test]
async fn a_new_role_of_an_old_name_inherits_nothing() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let role = async || world.role("r", trust(ACCOUNT), allow(&["s3:*"])).await;
    let assume = async |name: &str| world.assume(&ann, "r", json!({"RoleSessionName": name})).await;
    role().await;
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s1");
    let keys = [world.key().await, world.key().await];
    for (key, grantee) in keys.iter().zip([&role_arn("r"), &session]) {
        let wish = json!({"KeyId": key, "GranteePrincipal": grantee, "Operations": ["Encrypt"]});
        granted(&world, wish).await;
    }
    let may = async |name: &str| {
        let session = assume(name).await;
        let seal = |key: &String| json!({"KeyId": key, "Plaintext": "aGVsbG8="});
        let first = world.may_with(&session, "kms", "Encrypt", seal(&keys[0])).await;
        [first, world.may_with(&session, "kms", "Encrypt", seal(&keys[1])).await]
    };
    let shown = async |key: &str| {
        let listed = world.kms("ListGrants", json!({"KeyId": key})).await;
        listed["Grants"][0]["GranteePrincipal"].as_str().unwrap().to_owned()
    };
    assert_eq!((may("s1").await, may("s2").await), ([true, true], [true, false]));
    assert_eq!([shown(&keys[0]).await, shown(&keys[1]).await], [role_arn("r"), session]);
    let made = world.iam("GetRole", json!({"RoleName": "r"})).await;
    let id = made["Role"]["RoleId"].as_str().unwrap();
    world.delete_role("r").await;
    role().await;
    assert_eq!((may("s1").await, may("s2").await), ([false, false], [false, false]));
    let gone = [id.to_owned(), format!("{id}:s1")];
    assert_eq!([shown(&keys[0]).await, shown(&keys[1]).await], gone);
}
