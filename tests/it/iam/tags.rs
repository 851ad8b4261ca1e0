//! Tags of users and roles.
use crate::support::{failed, policy};
use crate::world::{ACCOUNT, World};
use serde_json::{Value, json};

async fn world() -> World {
    let world = World::new().await;
    world.iam("CreateUser", json!({"UserName": "x"})).await;
    let trust = policy(&[json!({"Effect": "Allow", "Principal": {"AWS": ACCOUNT},
        "Action": "sts:AssumeRole"})])
    .to_string();
    world.iam("CreateRole", json!({"RoleName": "x", "AssumeRolePolicyDocument": trust})).await;
    world
}

fn tags(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

const KINDS: [&str; 2] = ["User", "Role"];

fn body(kind: &str, member: &str, value: Value) -> Value {
    json!({format!("{kind}Name"): "x", member: value})
}

#[tokio::test]
async fn they_are_added_replaced_listed_and_removed() {
    let world = world().await;
    for kind in KINDS {
        let (tag, untag) = (format!("Tag{kind}"), format!("Untag{kind}"));
        let list = async || {
            world.iam(&format!("List{kind}Tags"), json!({format!("{kind}Name"): "x"})).await["Tags"]
                .clone()
        };
        world.iam(&tag, body(kind, "Tags", tags(&[("Dept", "a"), ("b", "")]))).await;
        assert_eq!(list().await, tags(&[("Dept", "a"), ("b", "")]));
        // A name in another case is the same tag.
        world.iam(&tag, body(kind, "Tags", tags(&[("dept", "c")]))).await;
        assert_eq!(list().await, tags(&[("b", ""), ("dept", "c")]));
        let shown = world.iam(&format!("Get{kind}"), json!({format!("{kind}Name"): "x"})).await;
        assert_eq!(shown[kind]["Tags"], list().await);
        let page = world
            .iam(&format!("List{kind}Tags"), json!({format!("{kind}Name"): "x", "MaxItems": 1}))
            .await;
        assert_eq!((&page["Tags"], &page["IsTruncated"]), (&tags(&[("b", "")]), &json!(true)));
        let rest = json!({format!("{kind}Name"): "x", "Marker": page["Marker"]});
        let rest = world.iam(&format!("List{kind}Tags"), rest).await;
        assert_eq!(rest["Tags"], tags(&[("dept", "c")]));
        world.iam(&untag, body(kind, "TagKeys", json!(["DEPT", "nope"]))).await;
        assert_eq!(list().await, tags(&[("b", "")]));
    }
}

#[tokio::test]
async fn fifty_at_most_and_none_of_aws() {
    let world = world().await;
    for kind in KINDS {
        let tag = format!("Tag{kind}");
        let many: Vec<Value> =
            (0..50).map(|at| json!({"Key": format!("k{at}"), "Value": "v"})).collect();
        world.iam(&tag, body(kind, "Tags", json!(many))).await;
        world.iam(&tag, body(kind, "Tags", tags(&[("K7", "w")]))).await;
        let refused = world.iam_fails(&tag, body(kind, "Tags", tags(&[("more", "v")]))).await;
        let text = "The number of tags has reached the maximum limit of 50.";
        assert_eq!(refused, failed("LimitExceeded", text));
        for (bad, code) in [
            (tags(&[("aws:x", "v")]), "InvalidInput"),
            (tags(&[("a", "v"), ("A", "w")]), "InvalidInput"),
            (tags(&[("", "v")]), "ValidationError"),
            (tags(&[("k".repeat(129).as_str(), "v")]), "ValidationError"),
            (tags(&[("k", "v".repeat(257).as_str())]), "ValidationError"),
        ] {
            assert_eq!(world.iam_fails(&tag, body(kind, "Tags", bad)).await.code, code);
        }
    }
}

#[tokio::test]
async fn permission_may_depend_on_them() {
    let world = world().await;
    let ann = world
        .user(
            "ann",
            policy(&[
                json!({"Effect": "Allow", "Action": ["iam:TagUser", "iam:TagRole"], "Resource": "*",
                    "Condition": {"StringEquals": {"aws:RequestTag/stage": "dev"}}}),
                json!({"Effect": "Allow", "Action": ["iam:GetUser", "iam:GetRole"], "Resource": "*",
                    "Condition": {"StringEquals": {"iam:ResourceTag/stage": "dev"}}}),
                json!({"Effect": "Allow", "Action": ["iam:UntagUser", "iam:UntagRole"],
                    "Resource": "*", "Condition":
                    {"ForAllValues:StringEquals": {"aws:TagKeys": ["free"]}, "Null": {"aws:TagKeys": "false"}}}),
            ]),
        )
        .await;
    for kind in KINDS {
        let may = async |name: &str, body: Value| {
            world.call_as(&ann, "iam", &format!("{name}{kind}"), body).await.is_ok()
        };
        let get = json!({format!("{kind}Name"): "x"});
        assert!(!may("Get", get.clone()).await);
        assert!(!may("Tag", body(kind, "Tags", tags(&[("stage", "prod")]))).await);
        assert!(may("Tag", body(kind, "Tags", tags(&[("stage", "dev")]))).await);
        assert!(may("Get", get).await);
        assert!(!may("Untag", body(kind, "TagKeys", json!(["stage"]))).await);
        assert!(may("Untag", body(kind, "TagKeys", json!(["free"]))).await);
    }
}

/// Tags are changed without regard to case, and so it is asked for what is changed as it is written.
#[tokio::test]
async fn another_case_is_no_way_around_a_deny() {
    let world = world().await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/x");
    let text = policy(&[json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})]).to_string();
    world.iam("CreatePolicy", json!({"PolicyName": "x", "PolicyDocument": text})).await;
    let ann = world
        .user(
            "ann",
            policy(&[
                json!({"Effect": "Allow", "Action": "iam:*", "Resource": "*"}),
                json!({"Effect": "Deny", "Action": ["iam:Tag*", "iam:Untag*"], "Resource": "*",
                    "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": "Owner"}}}),
            ]),
        )
        .await;
    for kind in ["User", "Role", "Policy"] {
        let (tag, untag) = (format!("Tag{kind}"), format!("Untag{kind}"));
        let whom = |member: &str, value: Value| match kind {
            "Policy" => json!({"PolicyArn": arn, member: value}),
            _ => body(kind, member, value),
        };
        world.iam(&tag, whom("Tags", tags(&[("Owner", "bob"), ("free", "x")]))).await;
        for name in ["owner", "OWNER", "Owner"] {
            let removed = world.fails(&ann, "iam", &untag, whom("TagKeys", json!([name]))).await;
            assert_eq!(removed.code, "AccessDenied", "{untag} {name}");
            let new = tags(&[("more", "y"), (name, "ann")]);
            let replaced = world.fails(&ann, "iam", &tag, whom("Tags", new)).await;
            assert_eq!(replaced.code, "AccessDenied", "{tag} {name}");
        }
        world.call_as(&ann, "iam", &untag, whom("TagKeys", json!(["FREE"]))).await.unwrap();
        let left = world.iam(&format!("List{kind}Tags"), whom("MaxItems", json!(9))).await;
        assert_eq!(left["Tags"], tags(&[("Owner", "bob")]));
        // What is not there yet is named as the request names it.
        world.iam(&untag, whom("TagKeys", json!(["owner"]))).await;
        world.call_as(&ann, "iam", &tag, whom("Tags", tags(&[("owner", "ann")]))).await.unwrap();
    }
}
