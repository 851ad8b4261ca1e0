//! Trust policies mean whom they named when they were put.
use crate::sts::{Temporary, assuming, role_arn, trust};
use crate::support::{failed, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, Someone, World, allow};
use serde_json::{Value, json};

fn decoded(text: &Value) -> String {
    let text = text.as_str().unwrap();
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// The trust policy of a role, from each operation that shows it.
async fn shown(world: &World, role: &str) -> String {
    let got = world.iam("GetRole", json!({"RoleName": role})).await;
    let text = decoded(&got["Role"]["AssumeRolePolicyDocument"]);
    for (operation, list) in
        [("ListRoles", "Roles"), ("GetAccountAuthorizationDetails", "RoleDetailList")]
    {
        let answer = world.iam(operation, json!({})).await;
        let all = answer[list].as_array().unwrap();
        let same = all.iter().find(|entry| entry["RoleName"] == role).unwrap();
        assert_eq!(decoded(&same["AssumeRolePolicyDocument"]), text, "{operation}");
    }
    text
}

async fn may_assume(world: &World, who: &Someone, role: &str) -> bool {
    let outcome = world.call_as(who, "sts", "AssumeRole", assuming(role, json!({}))).await;
    assert!(outcome.as_ref().err().is_none_or(|e| e.code == "AccessDenied"), "{outcome:?}");
    outcome.is_ok()
}

#[tokio::test]
async fn a_user_made_anew_is_not_trusted() {
    let world = World::new().await;
    for account in [ACCOUNT, OTHER_ACCOUNT] {
        let make = async || world.user_of(account, "ann", allow(&["sts:*"])).await;
        let ann = make().await;
        let arn = format!("arn:aws:iam::{account}:user/ann");
        let role = format!("r{account}");
        let text = trust(&arn).to_string();
        let body = json!({"RoleName": role, "AssumeRolePolicyDocument": text});
        let made = world.iam("CreateRole", body).await;
        assert_eq!(decoded(&made["Role"]["AssumeRolePolicyDocument"]), text);
        assert!(may_assume(&world, &ann, &role).await);
        assert_eq!(shown(&world, &role).await, text);
        world.delete_user(&ann, "ann").await;
        let left = shown(&world, &role).await;
        let id = left.split("\"AWS\":\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(id.starts_with("AIDA"), "{left}");
        assert_eq!(left, trust(id).to_string());
        let new = make().await;
        assert!(!may_assume(&world, &new, &role).await);
        assert_eq!(shown(&world, &role).await, left);

        let gone = failed(
            "MalformedPolicyDocument",
            format!("Invalid principal in policy: \"AWS\":\"{id}\""),
        );
        let body = json!({"RoleName": "other", "AssumeRolePolicyDocument": left});
        assert_eq!(world.iam_fails("CreateRole", body).await, gone);
        let update = |text: &str| json!({"RoleName": role, "PolicyDocument": text});
        assert_eq!(world.iam_fails("UpdateAssumeRolePolicy", update(&left)).await, gone);
        assert!(!may_assume(&world, &new, &role).await);
        // Another change does not bind anew.
        let body = json!({"RoleName": role, "Description": "seen"});
        let changed = world.iam("UpdateRoleDescription", body).await;
        assert_eq!(decoded(&changed["Role"]["AssumeRolePolicyDocument"]), left);
        assert!(!may_assume(&world, &new, &role).await);
        world.iam("UpdateAssumeRolePolicy", update(&text)).await;
        assert!(may_assume(&world, &new, &role).await);
        assert_eq!(shown(&world, &role).await, text);
    }
}

/// From one role to the next: by the role, and by one of its sessions.
#[tokio::test]
async fn a_role_made_anew_is_not_trusted() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let first = async || {
        world.role("first", trust(ACCOUNT), allow(&["sts:*"])).await;
        world.assume(&ann, "first", json!({})).await
    };
    let old = first().await;
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/first/s1");
    world.role("by-role", trust(&role_arn("first")), allow(&["s3:*"])).await;
    world.role("by-session", trust(&session), allow(&["s3:*"])).await;
    let may = async |who: &Temporary| {
        let first = world.may_with(who, "sts", "AssumeRole", assuming("by-role", json!({}))).await;
        let body = assuming("by-session", json!({}));
        [first, world.may_with(who, "sts", "AssumeRole", body).await]
    };
    assert_eq!(may(&old).await, [true, true]);
    let other = world.assume(&ann, "first", json!({"RoleSessionName": "s2"})).await;
    assert_eq!(may(&other).await, [true, false]);
    world.delete_role("first").await;
    let new = first().await;
    assert_eq!(may(&new).await, [false, false]);
    assert!(shown(&world, "by-role").await.contains("\"AWS\":\"AROA"));
    assert!(shown(&world, "by-session").await.contains(":s1\""));
    assert!(!shown(&world, "by-session").await.contains("assumed-role"));
}

/// A session names its role as it is written, and the role must exist.
#[tokio::test]
async fn sessions_are_of_roles_that_exist() {
    let world = World::new().await;
    world.role("There", trust(ACCOUNT), allow(&["s3:*"])).await;
    for (role, good) in [("There", true), ("there", false), ("gone", false)] {
        let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/s");
        let body = json!({"RoleName": format!("by-{role}-{good}"),
            "AssumeRolePolicyDocument": trust(&session).to_string()});
        let outcome = world.call("iam", "CreateRole", body).await;
        let text = format!("Invalid principal in policy: \"AWS\":\"{session}\"");
        let expected = (!good).then(|| failed("MalformedPolicyDocument", text));
        assert_eq!(outcome.err(), expected);
    }
}

#[tokio::test]
async fn who_is_renamed_stays_trusted() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(&user_arn("ann")), allow(&["s3:*"])).await;
    let body = json!({"UserName": "ann", "NewUserName": "bea", "NewPath": "/team/"});
    world.iam("UpdateUser", body).await;
    assert!(may_assume(&world, &ann, "r").await);
    assert_eq!(shown(&world, "r").await, trust(&user_arn("team/bea")).to_string());
    let other = world.user("ann", allow(&["sts:*"])).await;
    assert!(!may_assume(&world, &other, "r").await);
}
