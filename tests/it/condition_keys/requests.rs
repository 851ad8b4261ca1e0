//! The global keys that a key policy of one key in one region cannot tell apart: regions, tags, and
//! services that call for the caller.
use super::{From, Scene};
use crate::support::{policy, token};
use crate::world::{OTHER_REGION, REGION, Someone, World};
use serde_json::{Value, json};

/// The keys of this file.
pub const KEYS: [&str; 7] = [
    "aws:RequestedRegion",
    "aws:ResourceTag/Team",
    "aws:RequestTag/Team",
    "aws:TagKeys",
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
];

async fn who_may(world: &World, name: &str, action: &str, condition: Value) -> Someone {
    let statement =
        json!({"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition});
    world.user(name, policy(&[statement])).await
}

#[tokio::test]
async fn regions() {
    let world = World::new().await;
    let condition = json!({"StringEquals": {"aws:RequestedRegion": REGION}});
    let who = who_may(&world, "u", "*", condition).await;
    for (region, allowed) in [(REGION, true), (OTHER_REGION, false)] {
        for (service, name) in [("kms", "ListKeys"), ("secretsmanager", "ListSecrets")] {
            let outcome = world.call_in(&who, region, service, name, json!({})).await;
            let code = outcome.err().map(|error| error.code);
            let expected = (!allowed).then_some("AccessDeniedException");
            assert_eq!(code.as_deref(), expected, "{name} in {region}");
        }
    }
}

#[tokio::test]
async fn tags() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let tag = |user: &str, key: &str, value: &str| json!({"UserName": user, "Tags": [{"Key": key, "Value": value}]});
    for (at, (condition, name, good, bad)) in [
        (
            json!({"StringEquals": {"aws:ResourceTag/Team": "red"}}),
            "GetUser",
            json!({"UserName": "ann"}),
            json!({"UserName": "bob"}),
        ),
        (
            json!({"StringEquals": {"aws:RequestTag/Team": "green"}}),
            "TagUser",
            tag("bob", "team", "green"),
            tag("bob", "team", "red"),
        ),
        (
            json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["Group"]},
                "Null": {"aws:TagKeys": "false"}}),
            "TagUser",
            tag("bob", "Group", "red"),
            tag("bob", "Admin", "yes"),
        ),
        (
            json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "Team"}}),
            "UntagUser",
            json!({"UserName": "bob", "TagKeys": ["Team"]}),
            json!({"UserName": "bob", "TagKeys": ["Cost"]}),
        ),
        (
            json!({"StringEquals": {"aws:RequestTag/Team": "red"}}),
            "CreateUser",
            tag("new", "Team", "red"),
            json!({"UserName": "newer"}),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let who = who_may(world, &format!("u{at}"), "iam:*", condition.clone()).await;
        let refused = world.fails(&who, "iam", name, bad).await;
        assert_eq!(refused.code, "AccessDenied", "{condition}");
        let outcome = world.call_as(&who, "iam", name, good).await;
        assert!(outcome.is_ok(), "{condition}: {outcome:?}");
    }
}

/// A key that is there for one service: used by it in the caller's name, and by nobody directly.
#[tokio::test]
async fn through_services() {
    let scene = Scene::new().await;
    let service = "secretsmanager.amazonaws.com";
    let secrets = json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"});
    let who = scene.world.user("carol", policy(&[secrets])).await;
    for (at, (operator, key, value)) in [
        ("ForAnyValue:StringEquals", "aws:CalledVia", service),
        ("StringEquals", "aws:CalledViaFirst", service),
        ("StringEquals", "aws:CalledViaLast", service),
        ("Bool", "aws:ViaAWSService", "true"),
    ]
    .into_iter()
    .enumerate()
    {
        for (value, through) in [(value, true), ("dynamodb.amazonaws.com", false)] {
            if operator == "Bool" && !through {
                continue;
            }
            let statement = json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*",
                "Action": "kms:*", "Condition": {operator: {key: value}}});
            let id = scene.world.key_with_policy(policy(&[statement])).await;
            let name = format!("s{at}{through}");
            let body = json!({"Name": name, "SecretString": "v", "KmsKeyId": id,
                "ClientRequestToken": token(at)});
            let made = scene.world.call_as(&who, "secretsmanager", "CreateSecret", body).await;
            assert_eq!(made.is_ok(), through, "{key} {value}: {made:?}");
            let body = json!({"KeyId": id});
            for from in ["ann", "role", "root"] {
                let refused = scene.ask(&From::by(from), "kms", "DescribeKey", &body).await;
                assert_eq!(refused.as_deref(), Some("AccessDeniedException"), "{key} of {from}");
            }
        }
    }
}
