//! The account as a whole: its alias, its figures, everybody in it; and the condition keys of policies.
use crate::support::{failed, policy, user_arn};
use crate::world::{ACCOUNT, World, allow};
use serde_json::{Value, json};

#[tokio::test]
async fn an_account_has_one_alias_that_no_other_has() {
    let world = World::new().await;
    let other = world.other_root();
    let aliases = async || world.iam("ListAccountAliases", json!({})).await;
    let name = |alias: &str| json!({"AccountAlias": alias});
    assert_eq!(aliases().await["AccountAliases"], json!([]));
    for alias in ["acme", "acme-two"] {
        world.iam("CreateAccountAlias", name(alias)).await;
        assert_eq!(aliases().await["AccountAliases"], json!([alias]));
    }
    let taken = world.fails(&other, "iam", "CreateAccountAlias", name("acme-two")).await;
    let text = "The account alias acme-two already exists.";
    assert_eq!(taken, failed("EntityAlreadyExists", text));
    // The one that was given up is free.
    world.call_as(&other, "iam", "CreateAccountAlias", name("acme")).await.unwrap();
    let gone = world.iam_fails("DeleteAccountAlias", name("acme")).await;
    assert_eq!(gone, failed("NoSuchEntity", "The account alias acme does not exist."));
    world.iam("DeleteAccountAlias", name("acme-two")).await;
    assert_eq!(aliases().await["AccountAliases"], json!([]));
    for bad in ["ab", "Acme", "a--b", "-acme", "acme-"] {
        let refused = world.iam_fails("CreateAccountAlias", name(bad)).await;
        assert_eq!(refused.code, "ValidationError", "{bad}");
    }
    let nobody = world.nobody().await;
    let refused = world.fails(&nobody, "iam", "CreateAccountAlias", name("mine")).await;
    assert_eq!(refused.code, "AccessDenied");
}

/// A user in a group, a role, a policy with two versions, each with what it can carry.
async fn scene() -> World {
    let world = World::new().await;
    let trust = policy(&[json!({"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": ACCOUNT}})]);
    let text = allow(&["s3:*"]).to_string();
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/p");
    world.iam("CreatePolicy", json!({"PolicyName": "p", "PolicyDocument": text})).await;
    world.iam("CreatePolicyVersion", json!({"PolicyArn": arn, "PolicyDocument": text})).await;
    let tags = json!([{"Key": "k", "Value": "v"}]);
    world.iam("CreateUser", json!({"UserName": "u", "Tags": tags})).await;
    world.iam("CreateGroup", json!({"GroupName": "g"})).await;
    let role = json!({"RoleName": "r", "AssumeRolePolicyDocument": trust.to_string()});
    world.iam("CreateRole", role).await;
    world.iam("AddUserToGroup", json!({"UserName": "u", "GroupName": "g"})).await;
    for (kind, name) in [("User", "u"), ("Group", "g"), ("Role", "r")] {
        let whom = format!("{kind}Name");
        let body = json!({&whom: name, "PolicyArn": arn});
        world.iam(&format!("Attach{kind}Policy"), body).await;
        let body = json!({whom: name, "PolicyName": "i", "PolicyDocument": text});
        world.iam(&format!("Put{kind}Policy"), body).await;
    }
    world
}

#[tokio::test]
async fn everybody_is_listed_with_their_policies() {
    let world = scene().await;
    let all = world.iam("GetAccountAuthorizationDetails", json!({})).await;
    let attached = json!([{"PolicyName": "p",
        "PolicyArn": format!("arn:aws:iam::{ACCOUNT}:policy/p")}]);
    for kind in ["User", "Group", "Role"] {
        let list = all[format!("{kind}DetailList")].as_array().unwrap();
        assert_eq!(list.len(), 1, "{kind}");
        assert_eq!(list[0]["AttachedManagedPolicies"], attached);
        let inline = &list[0][format!("{kind}PolicyList")][0];
        assert_eq!(inline["PolicyName"], "i");
        assert!(inline["PolicyDocument"].as_str().unwrap().starts_with("%7B%22"));
    }
    assert_eq!(all["UserDetailList"][0]["GroupList"], json!(["g"]));
    assert_eq!(all["UserDetailList"][0]["Tags"], json!([{"Key": "k", "Value": "v"}]));
    let trust = all["RoleDetailList"][0]["AssumeRolePolicyDocument"].as_str().unwrap();
    assert!(trust.starts_with("%7B%22"));
    let policies = all["Policies"].as_array().unwrap();
    assert_eq!(policies.len(), 11);
    assert_eq!(policies[0]["AttachmentCount"], 3);
    let versions = policies[0]["PolicyVersionList"].as_array().unwrap();
    assert_eq!((versions.len(), &versions[0]["VersionId"]), (2, &json!("v2")));
    assert!(versions[1]["Document"].is_string());
    let body = json!({"Filter": ["Role", "LocalManagedPolicy"]});
    let some = world.iam("GetAccountAuthorizationDetails", body).await;
    assert_eq!((&some["UserDetailList"], &some["GroupDetailList"]), (&json!([]), &json!([])));
    assert_eq!(some["Policies"].as_array().unwrap().len(), 1);
    let (mut seen, mut marker) = (0, Value::Null);
    loop {
        let body = json!({"MaxItems": 3, "Marker": marker});
        let page = world.iam("GetAccountAuthorizationDetails", body).await;
        for list in ["UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"] {
            seen += page[list].as_array().unwrap().len();
        }
        let Some(next) = page.get("Marker") else { break };
        marker = next.clone();
    }
    assert_eq!(seen, 14);
}

#[tokio::test]
async fn the_account_is_summed_up() {
    let world = scene().await;
    let summary = world.iam("GetAccountSummary", json!({})).await["SummaryMap"].clone();
    for (name, figure) in [
        ("Users", 1),
        ("Groups", 1),
        ("Roles", 1),
        ("Policies", 1),
        ("PolicyVersionsInUse", 2),
        ("MFADevices", 0),
        ("AccessKeysPerUserQuota", 2),
        ("AttachedPoliciesPerUserQuota", 10),
        ("PolicySizeQuota", 6144),
        ("VersionsPerPolicyQuota", 5),
    ] {
        assert_eq!(summary[name], figure, "{name}");
    }
}

#[tokio::test]
async fn condition_keys_of_policies_are_found() {
    let world = World::new().await;
    let text = policy(&[json!({"Effect": "Allow", "Action": "s3:*",
        "Resource": "arn:aws:s3:::b/${aws:username}",
        "Condition": {"Bool": {"aws:SecureTransport": "true"}}})]);
    let list = json!([text.to_string(), allow(&["kms:*"]).to_string()]);
    let body = json!({"PolicyInputList": list});
    let keys = world.iam("GetContextKeysForCustomPolicy", body).await;
    assert_eq!(keys["ContextKeyNames"], json!(["aws:SecureTransport", "aws:username"]));
    let body = json!({"PolicyInputList": ["{}"]});
    let refused = world.iam_fails("GetContextKeysForCustomPolicy", body).await;
    assert_eq!(refused.code, "InvalidInput");
    // The user's own, the group's, and what is handed in.
    world.user("ann", text).await;
    world.iam("CreateGroup", json!({"GroupName": "g"})).await;
    world.iam("AddUserToGroup", json!({"UserName": "ann", "GroupName": "g"})).await;
    let conditional = |key: &str| {
        let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {"StringEquals": {key: "a"}}});
        policy(&[statement]).to_string()
    };
    let body = json!({"PolicyName": "p", "PolicyDocument": conditional("kms:ViaService")});
    let made = world.iam("CreatePolicy", body).await;
    let body = json!({"GroupName": "g", "PolicyArn": made["Policy"]["Arn"]});
    world.iam("AttachGroupPolicy", body).await;
    let body = json!({"PolicySourceArn": user_arn("ann"),
        "PolicyInputList": [conditional("kms:CallerAccount")]});
    let keys = world.iam("GetContextKeysForPrincipalPolicy", body).await;
    let expected = ["aws:SecureTransport", "aws:username", "kms:CallerAccount", "kms:ViaService"];
    assert_eq!(keys["ContextKeyNames"], json!(expected));
    for (arn, code) in [
        (user_arn("nobody"), "NoSuchEntity"),
        (user_arn("other/path/ann"), "NoSuchEntity"),
        (format!("arn:aws:iam::{ACCOUNT}:policy/p"), "InvalidInput"),
        ("arn:aws:iam::444455556666:user/ann".to_owned(), "InvalidInput"),
    ] {
        let body = json!({"PolicySourceArn": arn});
        let refused = world.iam_fails("GetContextKeysForPrincipalPolicy", body).await;
        assert_eq!(refused.code, code, "{arn}");
    }
}
