//! Permissions boundaries of users and roles.
use crate::support::{failed, policy};
use crate::world::{ACCOUNT, World, allow};
use serde_json::{Value, json};

const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

async fn made(world: &World, name: &str, document: &Value) -> String {
    let body = json!({"PolicyName": name, "PolicyDocument": document.to_string()});
    let made = world.iam("CreatePolicy", body).await;
    made["Policy"]["Arn"].as_str().unwrap().to_owned()
}

fn trust() -> String {
    policy(&[json!({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})])
        .to_string()
}

#[tokio::test]
async fn a_boundary_limits_from_the_next_request_on() {
    let world = World::new().await;
    let limit = made(&world, "limit", &allow(&["kms:ListAliases", "s3:*"])).await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let may = async |name: &str| world.call_as(&ann, "kms", name, json!({})).await.is_ok();
    assert!(may("ListKeys").await && may("ListAliases").await);
    let body = json!({"UserName": "ann", "PermissionsBoundary": limit});
    world.iam("PutUserPermissionsBoundary", body).await;
    assert!(!may("ListKeys").await && may("ListAliases").await);
    let shown = world.iam("GetUser", json!({"UserName": "ann"})).await;
    let boundary = json!({"PermissionsBoundaryType": "Policy",
        "PermissionsBoundaryArn": limit});
    assert_eq!(shown["User"]["PermissionsBoundary"], boundary);
    world.iam("DeleteUserPermissionsBoundary", json!({"UserName": "ann"})).await;
    assert!(may("ListKeys").await);
    let shown = world.iam("GetUser", json!({"UserName": "ann"})).await;
    assert!(shown["User"].get("PermissionsBoundary").is_none());
}

#[tokio::test]
async fn a_policy_counts_whose_boundary_it_is() {
    let world = World::new().await;
    let (a, b) =
        (made(&world, "a", &allow(&["s3:*"])).await, made(&world, "b", &allow(&["s3:*"])).await);
    let count = async |arn: &str| {
        world.iam("GetPolicy", json!({"PolicyArn": arn})).await["Policy"]
            ["PermissionsBoundaryUsageCount"].clone()
    };
    world.iam("CreateUser", json!({"UserName": "u", "PermissionsBoundary": a})).await;
    world
        .iam(
            "CreateRole",
            json!({"RoleName": "r", "PermissionsBoundary": a,
        "AssumeRolePolicyDocument": trust()}),
        )
        .await;
    assert_eq!((count(&a).await, count(&b).await), (json!(2), json!(0)));
    // The same again, then another.
    world
        .iam("PutUserPermissionsBoundary", json!({"UserName": "u", "PermissionsBoundary": a}))
        .await;
    assert_eq!((count(&a).await, count(&b).await), (json!(2), json!(0)));
    world
        .iam("PutRolePermissionsBoundary", json!({"RoleName": "r", "PermissionsBoundary": b}))
        .await;
    assert_eq!((count(&a).await, count(&b).await), (json!(1), json!(1)));
    for arn in [&a, &b] {
        let refused = world.iam_fails("DeletePolicy", json!({"PolicyArn": arn})).await;
        assert_eq!(refused.code, "DeleteConflict");
    }
    world.iam("DeleteUser", json!({"UserName": "u"})).await;
    world.iam("DeleteRole", json!({"RoleName": "r"})).await;
    assert_eq!((count(&a).await, count(&b).await), (json!(0), json!(0)));
    world.iam("CreateUser", json!({"UserName": "v", "PermissionsBoundary": ADMINISTRATOR})).await;
    world.iam("DeleteUserPermissionsBoundary", json!({"UserName": "v"})).await;
    // Twice is once.
    world.iam("DeleteUserPermissionsBoundary", json!({"UserName": "v"})).await;
    for arn in [&a, &b] {
        world.iam("DeletePolicy", json!({"PolicyArn": arn})).await;
    }
}

#[tokio::test]
async fn what_is_no_policy_of_the_account_is_no_boundary() {
    let world = World::new().await;
    let foreign = world
        .call_as(
            &world.other_root(),
            "iam",
            "CreatePolicy",
            json!({"PolicyName": "p", "PolicyDocument": allow(&["s3:*"]).to_string()}),
        )
        .await
        .unwrap()["Policy"]["Arn"]
        .as_str()
        .unwrap()
        .to_owned();
    world.iam("CreateUser", json!({"UserName": "u"})).await;
    world.iam("CreateRole", json!({"RoleName": "r", "AssumeRolePolicyDocument": trust()})).await;
    let missing = format!("arn:aws:iam::{ACCOUNT}:policy/none");
    for arn in [foreign.as_str(), missing.as_str()] {
        let text = format!("Scope ARN: {arn} does not exist or is not attachable.");
        for (name, code, body) in [
            ("PutUserPermissionsBoundary", "NoSuchEntity", json!({"UserName": "u"})),
            ("PutRolePermissionsBoundary", "NoSuchEntity", json!({"RoleName": "r"})),
            ("CreateUser", "NoSuchEntity", json!({"UserName": "new"})),
            (
                "CreateRole",
                "InvalidInput",
                json!({"RoleName": "new", "AssumeRolePolicyDocument": trust()}),
            ),
        ] {
            let mut body = body;
            body["PermissionsBoundary"] = json!(arn);
            assert_eq!(world.iam_fails(name, body).await, failed(code, text.clone()), "{name}");
        }
    }
    for (arn, code) in [("x".repeat(20), "InvalidInput"), ("short".to_owned(), "ValidationError")] {
        let body = json!({"UserName": "u", "PermissionsBoundary": arn});
        assert_eq!(world.iam_fails("PutUserPermissionsBoundary", body).await.code, code);
    }
}

/// How administrators are delegated: they may make users only with this boundary, and never take it
/// away.
#[tokio::test]
async fn users_may_be_made_with_a_boundary_only() {
    let world = World::new().await;
    let limit = made(&world, "limit", &allow(&["s3:*"])).await;
    let ann = world
        .user(
            "ann",
            policy(&[json!({"Effect": "Allow", "Resource": "*",
            "Action": ["iam:CreateUser", "iam:CreateRole", "iam:PutUserPolicy",
                "iam:PutUserPermissionsBoundary"],
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": limit}}})]),
        )
        .await;
    let try_to = async |name: &str, body: Value| {
        world.call_as(&ann, "iam", name, body).await.map_err(|error| error.code)
    };
    let denied = Err("AccessDenied".to_owned());
    let text = allow(&["s3:*"]).to_string();
    world.iam("CreateUser", json!({"UserName": "free"})).await;
    for (name, body, may) in [
        ("CreateUser", json!({"UserName": "a"}), false),
        ("CreateUser", json!({"UserName": "a", "PermissionsBoundary": ADMINISTRATOR}), false),
        ("CreateUser", json!({"UserName": "a", "PermissionsBoundary": limit}), true),
        ("CreateRole", json!({"RoleName": "a", "AssumeRolePolicyDocument": trust()}), false),
        (
            "CreateRole",
            json!({"RoleName": "a", "AssumeRolePolicyDocument": trust(),
            "PermissionsBoundary": limit}),
            true,
        ),
        (
            "PutUserPolicy",
            json!({"UserName": "free", "PolicyName": "p", "PolicyDocument": text}),
            false,
        ),
        (
            "PutUserPolicy",
            json!({"UserName": "a", "PolicyName": "p", "PolicyDocument": text}),
            true,
        ),
        (
            "PutUserPermissionsBoundary",
            json!({"UserName": "a", "PermissionsBoundary": ADMINISTRATOR}),
            false,
        ),
        (
            "PutUserPermissionsBoundary",
            json!({"UserName": "a", "PermissionsBoundary": limit}),
            true,
        ),
        ("DeleteUserPermissionsBoundary", json!({"UserName": "a"}), false),
    ] {
        let outcome = try_to(name, body.clone()).await.map(|_| ());
        let expected = if may { Ok(()) } else { denied.clone() };
        assert_eq!(outcome, expected, "{name} {body}");
    }
}
