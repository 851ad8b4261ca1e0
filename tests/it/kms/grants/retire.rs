//! RetireGrant and RevokeGrant: who may, by what name, and what is left.
use super::{DENIED, attempt, body, grant, granted, idle, ids, with};
use crate::support::{delegate, failed, id_of, policy, unknown_to, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, REGION, Someone, World, allow};
use serde_json::{Value, json};

const NO_GRANT: &str = "0123456789012345678901234567890123456789012345678901234567890123";

fn retire(key: &str, id: &str) -> Value {
    json!({"KeyId": key, "GrantId": id})
}

fn other(name: &str) -> String {
    format!("arn:aws:iam::{OTHER_ACCOUNT}:{name}")
}

#[tokio::test]
async fn the_grant_says_who_may_retire_it() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let bob = idle(&world, "bob").await;
    let cat = idle(&world, "cat").await;
    let lee = world.user("lee", allow(&["kms:RetireGrant"])).await;
    let far = world.user_of(OTHER_ACCOUNT, "far", allow(&["kms:RetireGrant"])).await;
    let near = world.user_of(OTHER_ACCOUNT, "near", allow(&["s3:*"])).await;
    let (root, far_root) = (world.root.clone(), world.other_root());
    let users: [(&str, &Someone); 8] = [
        ("ann", &ann),
        ("bob", &bob),
        ("cat", &cat),
        ("lee", &lee),
        ("far", &far),
        ("near", &near),
        ("root", &root),
        ("far root", &far_root),
    ];
    let us = format!("arn:aws:iam::{ACCOUNT}:root");
    // Grantee, operations, retiring principal, who may retire.
    for (grantee, operations, retiring, may) in [
        // The grantee only if the grant says so; the account and whom it lets always.
        (user_arn("ann"), ["Decrypt"].as_slice(), None, ["lee", "root"].as_slice()),
        (user_arn("ann"), &["Decrypt", "RetireGrant"], None, &["ann", "lee", "root"]),
        (user_arn("ann"), &["Decrypt"], Some(user_arn("bob")), &["bob", "lee", "root"]),
        (user_arn("ann"), &["RetireGrant"], Some(user_arn("bob")), &["ann", "bob", "lee", "root"]),
        // A whole account is its root, and whom its policies let.
        (user_arn("ann"), &["Decrypt"], Some(us), &["lee", "root"]),
        (user_arn("ann"), &["Decrypt"], Some(other("root")), &["lee", "far", "root", "far root"]),
        (other("root"), &["Decrypt"], None, &["lee", "root"]),
        (other("root"), &["RetireGrant"], None, &["lee", "far", "root", "far root"]),
        // Another account's user needs no permission of its own account.
        (user_arn("ann"), &["Decrypt"], Some(other("user/near")), &["lee", "near", "root"]),
    ] {
        for (name, who) in users {
            let key = world.key().await;
            let wish = json!({"KeyId": key, "GranteePrincipal": grantee, "Operations": operations,
                "RetiringPrincipal": retiring});
            let id = granted(&world, wish.clone()).await;
            let outcome = attempt(&world, who, "RetireGrant", retire(&key, &id)).await;
            if may.contains(&name) {
                assert_eq!(outcome, Ok(Value::Null), "{name}: {wish}");
            } else {
                assert_eq!(outcome, Err(DENIED.into()), "{name}: {wish}");
            }
            assert_eq!(ids(&world, &key).await.is_empty(), may.contains(&name));
        }
    }
}

/// Whose account created the grant may retire it, wherever the key is.
#[tokio::test]
async fn the_account_that_created_the_grant_may_retire_it() {
    let world = World::new().await;
    let theirs = json!({"Effect": "Allow", "Principal": {"AWS": other("root")},
        "Action": "kms:CreateGrant", "Resource": "*"});
    let key = world.key_with_policy(policy(&[delegate(), theirs])).await;
    let ann = idle(&world, "ann").await;
    let far = world.user_of(OTHER_ACCOUNT, "far", allow(&["kms:RetireGrant"])).await;
    let wish = body(&key, "ann", &["DescribeKey"]);
    for who in [&far, &world.other_root(), &world.root] {
        let made = world.kms_as(&world.other_root(), "CreateGrant", wish.clone()).await;
        let id = made["GrantId"].as_str().unwrap();
        world.kms_as(&ann, "DescribeKey", json!({"KeyId": key})).await;
        world.kms_as(who, "RetireGrant", retire(&key, id)).await;
        let refused = attempt(&world, &ann, "DescribeKey", json!({"KeyId": key})).await;
        assert_eq!(refused, Err(DENIED.into()));
    }
}

#[tokio::test]
async fn a_key_policy_can_deny_it_but_not_allow_it() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let bob = idle(&world, "bob").await;
    let statement = |effect: &str, user: &str| {
        json!({"Effect": effect, "Principal": {"AWS": user_arn(user)}, "Action": "kms:RetireGrant",
            "Resource": "*"})
    };
    let statements = [delegate(), statement("Deny", "ann"), statement("Allow", "bob")];
    let key = world.key_with_policy(policy(&statements)).await;
    let id = grant(&world, &key, "ann", &["RetireGrant"]).await;
    let refused = world.kms_fails_as(&ann, "RetireGrant", retire(&key, &id)).await;
    assert_eq!(refused.code, DENIED);
    assert!(refused.message.ends_with("with an explicit deny in a resource-based policy"));
    let refused = attempt(&world, &bob, "RetireGrant", retire(&key, &id)).await;
    assert_eq!(refused, Err(DENIED.into()));
    // One's own policy can deny it too.
    let no = json!({"Effect": "Deny", "Action": "kms:RetireGrant", "Resource": "*"});
    let cat = world.user("cat", policy(&[no])).await;
    let id = grant(&world, &key, "cat", &["RetireGrant"]).await;
    let refused = world.kms_fails_as(&cat, "RetireGrant", retire(&key, &id)).await;
    assert!(refused.message.ends_with("with an explicit deny in an identity-based policy"));
    assert_eq!(ids(&world, &key).await.len(), 2);
}

#[tokio::test]
async fn a_token_or_the_two_names_say_which_grant() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    for named in [key.as_str(), id_of(&key)] {
        let id = grant(&world, &key, "ann", &["Decrypt"]).await;
        world.kms("RetireGrant", retire(named, &id)).await;
    }
    let made = world.kms("CreateGrant", body(&key, "ann", &["Decrypt"])).await;
    let (token, id) = (&made["GrantToken"], &made["GrantId"]);
    for bad in [
        json!({}),
        json!({"KeyId": key}),
        json!({"GrantId": id}),
        json!({"GrantToken": token, "KeyId": key}),
        json!({"GrantToken": token, "GrantId": id}),
        json!({"GrantToken": token, "KeyId": key, "GrantId": id}),
    ] {
        let refused = world.kms_fails("RetireGrant", bad.clone()).await;
        assert_eq!(refused.code, "ValidationException", "{bad}");
    }
    world.kms("RetireGrant", json!({"GrantToken": token})).await;
    assert!(ids(&world, &key).await.is_empty());
    // Twice is once too often.
    let refused = world.kms_fails("RetireGrant", json!({"GrantToken": token})).await;
    let text = format!("Grant ID {} not found", id.as_str().unwrap());
    assert_eq!(refused, failed("NotFoundException", text));
}

#[tokio::test]
async fn a_grant_is_of_its_key() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let (key, neighbour) = (world.key().await, world.key().await);
    let id = grant(&world, &key, "ann", &["Decrypt"]).await;
    let text = |id: &str| format!("Grant ID {id} not found");
    for name in ["RetireGrant", "RevokeGrant"] {
        for (key, id) in [(&neighbour, id.as_str()), (&key, NO_GRANT)] {
            let refused = world.kms_fails(name, retire(key, id)).await;
            assert_eq!(refused, failed("NotFoundException", text(id)), "{name}");
        }
        for bad in ["x", &id[..63], &format!("{id}0"), &id.replace(|_: char| true, "A"), "\u{0}"] {
            let refused = world.kms_fails(name, retire(&key, bad)).await;
            assert_eq!(refused.code, "InvalidGrantIdException", "{name} {bad:?}");
        }
        let elsewhere = key.replace(REGION, "us-east-1");
        for bad in ["alias/x", "no-key", elsewhere.as_str(), "arn:aws:kms:eu-west-1:1:key"] {
            let refused = world.kms_fails(name, retire(bad, &id)).await;
            assert_eq!(refused.code, "NotFoundException", "{name} {bad}");
        }
    }
    assert_eq!(ids(&world, &key).await, [id]);
}

/// A key of another account that is there and one that is not read the same, with or without the
/// grant.
#[tokio::test]
async fn strangers_learn_nothing() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let id = grant(&world, &key, "ann", &["Decrypt"]).await;
    let absent = key.replace(id_of(&key), "00000000-0000-4000-8000-000000000000");
    let stranger = world.user_of(OTHER_ACCOUNT, "eve", allow(&["kms:*"])).await;
    let who = other("user/eve");
    for (name, action) in [("RetireGrant", "kms:RetireGrant"), ("RevokeGrant", "kms:RevokeGrant")] {
        for (key, id) in [(&key, id.as_str()), (&key, NO_GRANT), (&absent, id.as_str())] {
            let refused = world.kms_fails_as(&stranger, name, retire(key, id)).await;
            assert_eq!(refused, unknown_to(&who, action, "this resource"), "{name} {key} {id}");
        }
    }
    for (name, body) in
        [("ListGrants", json!({"KeyId": key})), ("CreateGrant", body(&key, "ann", &["Decrypt"]))]
    {
        let refused = world.kms_fails_as(&stranger, name, body).await;
        assert_eq!(refused, unknown_to(&who, &format!("kms:{name}"), "this resource"));
    }
}

#[tokio::test]
async fn revoking_takes_permission_on_the_key() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    let id = grant(&world, &key, "ann", &["Encrypt", "RetireGrant"]).await;
    let refused = world.kms_fails_as(&ann, "RevokeGrant", retire(&key, &id)).await;
    let text = format!(
        "User: {} is not authorized to perform: kms:RevokeGrant on resource: {key} because no \
         identity-based policy allows the kms:RevokeGrant action",
        user_arn("ann")
    );
    assert_eq!(refused, failed(DENIED, text));
    let admin = world.user("admin", allow(&["kms:RevokeGrant"])).await;
    world.kms_as(&admin, "RevokeGrant", retire(id_of(&key), &id)).await;
    assert!(ids(&world, &key).await.is_empty());
    // From another account, by both sides' leave.
    let theirs = json!({"Effect": "Allow", "Principal": {"AWS": other("root")},
        "Action": ["kms:RevokeGrant", "kms:ListGrants"], "Resource": "*"});
    let key = world.key_with_policy(policy(&[delegate(), theirs])).await;
    let id = grant(&world, &key, "ann", &["Encrypt"]).await;
    let far = world.user_of(OTHER_ACCOUNT, "far", allow(&["kms:RevokeGrant"])).await;
    world.kms_as(&far, "RevokeGrant", retire(&key, &id)).await;
}

#[tokio::test]
async fn dry_runs_end_no_grant() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    let id = grant(&world, &key, "ann", &["Encrypt"]).await;
    let dry = |id: &str| with(retire(&key, id), json!({"DryRun": true}));
    for name in ["RetireGrant", "RevokeGrant"] {
        assert_eq!(world.kms_fails(name, dry(&id)).await.code, "DryRunOperationException");
        assert_eq!(world.kms_fails(name, dry(NO_GRANT)).await.code, "NotFoundException");
        assert_eq!(attempt(&world, &ann, name, dry(&id)).await, Err(DENIED.into()), "{name}");
    }
    assert_eq!(ids(&world, &key).await, [id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_grant_ends_once() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    for _ in 0..10 {
        let id = grant(&world, &key, "ann", &["Encrypt"]).await;
        let end = |name| attempt(&world, &world.root, name, retire(&key, &id));
        let (one, two) = tokio::join!(end("RetireGrant"), end("RevokeGrant"));
        let mut outcomes = [one, two];
        outcomes.sort_by_key(Result::is_err);
        assert_eq!(outcomes, [Ok(Value::Null), Err("NotFoundException".into())]);
    }
}
