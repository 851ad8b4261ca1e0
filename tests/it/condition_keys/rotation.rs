//! The condition keys of RotateSecret, and those of a secret that rotates.
use crate::support::{policy, token};
use crate::world::{ACCOUNT, REGION, World};
use serde_json::{Value, json};

const KEYS: [&str; 6] = [
    "secretsmanager:RotationLambdaARN",
    "secretsmanager:ModifyRotationRules",
    "secretsmanager:RotateImmediately",
    "secretsmanager:ExternalSecretRotationRoleArn",
    "secretsmanager:resource/AllowRotationLambdaArn",
    "secretsmanager:resource/ExternalSecretRotationRoleArn",
];

/// The keys of this file.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.into_iter()
}

fn function(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

async fn world() -> World {
    let section = |name: &str| {
        let (arn, role) = (function(name), role("f"));
        format!("[[function]]\narn = '{arn}'\nrole = '{role}'\nurl = 'http://127.0.0.1:1'\n")
    };
    World::with_functions(&(section("good") + &section("bad"))).await
}

fn rotation(secret: &str, function_name: &str, more: Value) -> Value {
    let mut body = json!({"SecretId": secret, "ClientRequestToken": token(2),
        "RotationLambdaARN": function(function_name)});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Whether somebody with this condition may do it.
async fn may(world: &World, n: usize, condition: Value, operation: &str, body: Value) -> bool {
    let secrets = json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*",
        "Condition": condition});
    let rest = json!({"Effect": "Allow", "Action": ["kms:*", "lambda:*"], "Resource": "*"});
    let who = world.user(&format!("u{n}"), policy(&[secrets, rest])).await;
    match world.call_as(&who, "secretsmanager", operation, body).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code, "AccessDeniedException", "{condition}: {error:?}");
            false
        }
    }
}

#[tokio::test]
async fn of_rotations() {
    let world = world().await;
    let [lambda, modify, immediately, external, on_lambda, on_external] = KEYS;
    let rules = json!({"RotationRules": {"AutomaticallyAfterDays": 1}});
    let of_role = |name: &str| json!({"ExternalSecretRotationRoleArn": role(name)});
    let rows = [
        (json!({"ArnEquals": {lambda: function("good")}}), ("good", json!({})), ("bad", json!({}))),
        (json!({"Bool": {modify: "false"}}), ("good", json!({})), ("good", rules)),
        (
            json!({"Bool": {immediately: "false"}}),
            ("good", json!({"RotateImmediately": false})),
            ("good", json!({})),
        ),
        (
            json!({"ArnEquals": {external: role("good")}}),
            ("good", of_role("good")),
            ("good", of_role("bad")),
        ),
    ];
    let mut users = 0;
    for (at, (condition, good, bad)) in rows.into_iter().enumerate() {
        for ((name, more), allowed) in [(bad, false), (good, true)] {
            users += 1;
            let secret = format!("s{at}");
            let body = json!({"Name": secret, "SecretString": "v", "Type": "SalesforceClientSecret",
                "ClientRequestToken": token(1)});
            world.call("secretsmanager", "CreateSecret", body).await.unwrap();
            let body = rotation(&secret, name, more);
            let found = may(&world, users, condition.clone(), "RotateSecret", body).await;
            assert_eq!(found, allowed, "{condition}");
        }
    }
    // What a secret has is known to every operation on it; s3 has both.
    for (key, good) in [(on_lambda, function("good")), (on_external, role("good"))] {
        for (value, allowed) in [(good, true), (function("bad"), false)] {
            for operation in ["GetSecretValue", "DescribeSecret", "CancelRotateSecret"] {
                users += 1;
                let condition = json!({"ArnEquals": {key: value}});
                let body = json!({"SecretId": "s3"});
                let found = may(&world, users, condition, operation, body).await;
                assert_eq!(found, allowed, "{operation} with {key} {value}");
            }
        }
    }
}
