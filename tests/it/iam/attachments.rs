//! Managed policies on users, groups and roles, and policies written into groups and roles.
use crate::support::{failed, policy};
use crate::world::{ACCOUNT, World, allow};
use serde_json::{Value, json};

const KINDS: [&str; 3] = ["User", "Group", "Role"];

fn arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/{name}")
}

/// A user, a group and a role, each called `x`, and policies called `p0`, `p1`, ….
async fn scene(policies: usize) -> World {
    let world = World::new().await;
    let trust = policy(&[json!({"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": ACCOUNT}})]);
    world.iam("CreateUser", json!({"UserName": "x"})).await;
    world.iam("CreateGroup", json!({"GroupName": "x"})).await;
    let role = json!({"RoleName": "x", "AssumeRolePolicyDocument": trust.to_string()});
    world.iam("CreateRole", role).await;
    for at in 0..policies {
        let document = allow(&["kms:ListKeys"]).to_string();
        let body = json!({"PolicyName": format!("p{at}"), "PolicyDocument": document});
        world.iam("CreatePolicy", body).await;
    }
    world
}

fn on(kind: &str, policy: &str) -> Value {
    json!({format!("{kind}Name"): "x", "PolicyArn": policy})
}

async fn count(world: &World, policy: &str) -> Value {
    world.iam("GetPolicy", json!({"PolicyArn": policy})).await["Policy"]["AttachmentCount"].clone()
}

#[tokio::test]
async fn attaching_counts_and_keeps_from_deleting() {
    let world = scene(1).await;
    for policy in [arn("p0"), "arn:aws:iam::aws:policy/IAMReadOnlyAccess".into()] {
        for (at, kind) in KINDS.iter().enumerate() {
            for _ in 0..2 {
                world.iam(&format!("Attach{kind}Policy"), on(kind, &policy)).await;
                assert_eq!(count(&world, &policy).await, at + 1);
            }
        }
    }
    let refused = world.iam_fails("DeletePolicy", json!({"PolicyArn": arn("p0")})).await;
    let text = "Cannot delete a policy attached to entities.";
    assert_eq!(refused, failed("DeleteConflict", text));
    for kind in KINDS {
        let refused =
            world.iam_fails(&format!("Delete{kind}"), json!({format!("{kind}Name"): "x"})).await;
        let text = "Cannot delete entity, must detach all policies first.";
        assert_eq!(refused, failed("DeleteConflict", text));
        let body = json!({format!("{kind}Name"): "x"});
        let listed = world.iam(&format!("ListAttached{kind}Policies"), body).await;
        let expected = json!([
            {"PolicyName": "p0", "PolicyArn": arn("p0")},
            {"PolicyName": "IAMReadOnlyAccess",
             "PolicyArn": "arn:aws:iam::aws:policy/IAMReadOnlyAccess"},
        ]);
        assert_eq!(listed["AttachedPolicies"], expected, "{kind}");
    }
    for (at, kind) in KINDS.iter().enumerate() {
        world.iam(&format!("Detach{kind}Policy"), on(kind, &arn("p0"))).await;
        assert_eq!(count(&world, &arn("p0")).await, 2 - at);
        let again = world.iam_fails(&format!("Detach{kind}Policy"), on(kind, &arn("p0"))).await;
        let text = format!("Policy {} was not found.", arn("p0"));
        assert_eq!(again, failed("NoSuchEntity", text));
    }
    world.iam("DeletePolicy", json!({"PolicyArn": arn("p0")})).await;
    let missing = world.iam_fails("AttachUserPolicy", on("User", &arn("p0"))).await;
    let text = format!("Policy {} does not exist or is not attachable.", arn("p0"));
    assert_eq!(missing, failed("NoSuchEntity", text));
}

#[tokio::test]
async fn ten_policies_are_attached_at_most() {
    let world = scene(11).await;
    for kind in KINDS {
        for at in 0..10 {
            let policy = arn(&format!("p{at}"));
            world.iam(&format!("Attach{kind}Policy"), on(kind, &policy)).await;
        }
        let refused = world.iam_fails(&format!("Attach{kind}Policy"), on(kind, &arn("p10"))).await;
        let text = format!("Cannot exceed quota for PoliciesPer{kind}: 10");
        assert_eq!(refused, failed("LimitExceeded", text));
        assert_eq!(count(&world, &arn("p10")).await, 0);
        let (mut seen, mut marker) = (0, Value::Null);
        loop {
            let body = json!({format!("{kind}Name"): "x", "MaxItems": 4, "Marker": marker});
            let page = world.iam(&format!("ListAttached{kind}Policies"), body).await;
            seen += page["AttachedPolicies"].as_array().unwrap().len();
            let Some(next) = page.get("Marker") else { break };
            marker = next.clone();
        }
        assert_eq!(seen, 10);
    }
}

#[tokio::test]
async fn what_is_attached_holds_from_the_next_request() {
    let world = scene(1).await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let may = async || world.call_as(&ann, "kms", "ListKeys", json!({})).await.is_ok();
    assert!(!may().await);
    let body = json!({"UserName": "ann", "PolicyArn": arn("p0")});
    world.iam("AttachUserPolicy", body.clone()).await;
    assert!(may().await);
    world.iam("DetachUserPolicy", body).await;
    assert!(!may().await);
    world.iam("AttachGroupPolicy", on("Group", &arn("p0"))).await;
    assert!(!may().await);
    let body = json!({"UserName": "ann", "GroupName": "x"});
    world.iam("AddUserToGroup", body.clone()).await;
    assert!(may().await);
    let deny = policy(&[json!({"Effect": "Deny", "Action": "kms:*", "Resource": "*"})]);
    let put = json!({"GroupName": "x", "PolicyName": "d", "PolicyDocument": deny.to_string()});
    world.iam("PutGroupPolicy", put).await;
    assert!(!may().await);
    world.iam("DeleteGroupPolicy", json!({"GroupName": "x", "PolicyName": "d"})).await;
    assert!(may().await);
    world.iam("RemoveUserFromGroup", body).await;
    assert!(!may().await);
}

#[tokio::test]
async fn who_may_attach_what_is_a_condition() {
    let world = scene(2).await;
    let only = policy(&[json!({"Effect": "Allow", "Resource": "*",
        "Action": ["iam:AttachUserPolicy", "iam:AttachRolePolicy", "iam:AttachGroupPolicy"],
        "Condition": {"ArnEquals": {"iam:PolicyARN": arn("p0")}}})]);
    let ann = world.user("ann", only).await;
    for kind in KINDS {
        let operation = format!("Attach{kind}Policy");
        let refused = world.fails(&ann, "iam", &operation, on(kind, &arn("p1"))).await;
        assert_eq!(refused.code, "AccessDenied");
        world.call_as(&ann, "iam", &operation, on(kind, &arn("p0"))).await.unwrap();
    }
}

#[tokio::test]
async fn who_has_a_policy_is_listed() {
    let world = scene(1).await;
    for name in ["a", "b", "c"] {
        world.iam("CreateUser", json!({"UserName": name, "Path": "/team/"})).await;
    }
    for kind in KINDS {
        world.iam(&format!("Attach{kind}Policy"), on(kind, &arn("p0"))).await;
    }
    for name in ["a", "c"] {
        let body = json!({"UserName": name, "PolicyArn": arn("p0")});
        world.iam("AttachUserPolicy", body).await;
    }
    let body = json!({"UserName": "b", "PermissionsBoundary": arn("p0")});
    world.iam("PutUserPermissionsBoundary", body).await;
    let list = async |mut body: Value| {
        let mut seen = Vec::new();
        body["PolicyArn"] = json!(arn("p0"));
        body["MaxItems"] = json!(2);
        loop {
            let page = world.iam("ListEntitiesForPolicy", body.clone()).await;
            for kind in KINDS {
                for entity in page[format!("Policy{kind}s")].as_array().unwrap() {
                    let name = entity[format!("{kind}Name")].as_str().unwrap();
                    assert!(entity[format!("{kind}Id")].as_str().unwrap().len() == 21);
                    seen.push(format!("{}:{name}", &kind[..1]));
                }
            }
            let Some(next) = page.get("Marker") else { return seen.join(" ") };
            body["Marker"] = next.clone();
        }
    };
    assert_eq!(list(json!({})).await, "U:a U:b U:c U:x G:x R:x");
    assert_eq!(list(json!({"EntityFilter": "Role"})).await, "R:x");
    assert_eq!(list(json!({"PathPrefix": "/team/"})).await, "U:a U:b U:c");
    let usage = |usage: &str| json!({"PolicyUsageFilter": usage});
    assert_eq!(list(usage("PermissionsPolicy")).await, "U:a U:c U:x G:x R:x");
    assert_eq!(list(usage("PermissionsBoundary")).await, "U:b");
    let body = json!({"PolicyArn": arn("p0")});
    let counted = world.iam("GetPolicy", body.clone()).await["Policy"].clone();
    let counts = (&counted["AttachmentCount"], &counted["PermissionsBoundaryUsageCount"]);
    assert_eq!(counts, (&json!(5), &json!(1)));
}

#[tokio::test]
async fn policies_are_written_into_groups_and_roles() {
    let world = scene(0).await;
    let document = allow(&["s3:*"]).to_string();
    for (kind, most) in [("Group", 5120), ("Role", 10_240)] {
        let whom = format!("{kind}Name");
        let put = format!("Put{kind}Policy");
        let body = |name: &str, text: &str| json!({&whom: "x", "PolicyName": name, "PolicyDocument": text});
        for name in ["p", "q"] {
            world.iam(&put, body(name, &document)).await;
        }
        let named = json!({&whom: "x", "PolicyName": "p"});
        let read = world.iam(&format!("Get{kind}Policy"), named.clone()).await;
        assert!(read["PolicyDocument"].as_str().unwrap().starts_with("%7B%22"));
        let listed = world.iam(&format!("List{kind}Policies"), json!({&whom: "x"})).await;
        assert_eq!(listed["PolicyNames"], json!(["p", "q"]));
        assert_eq!(world.iam_fails(&put, body("r", "{}")).await.code, "MalformedPolicyDocument");
        let actions: Vec<String> = (0..most / 100).map(|at| format!("s3:{at:0>97}")).collect();
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        let refused = world.iam_fails(&put, body("r", &allow(&actions).to_string())).await;
        let who = kind.to_lowercase();
        let text = format!("Maximum policy size of {most} bytes exceeded for {who} x");
        assert_eq!(refused, failed("LimitExceeded", text));
        let refused = world.iam_fails(&format!("Delete{kind}"), json!({&whom: "x"})).await;
        let text = "Cannot delete entity, must delete policies first.";
        assert_eq!(refused, failed("DeleteConflict", text));
        let delete = format!("Delete{kind}Policy");
        world.iam(&delete, named.clone()).await;
        let text = format!("The {who} policy with name p cannot be found.");
        for operation in [format!("Get{kind}Policy"), delete] {
            let gone = world.iam_fails(&operation, named.clone()).await;
            assert_eq!(gone, failed("NoSuchEntity", text.clone()));
        }
    }
}
