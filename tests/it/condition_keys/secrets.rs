//! The condition keys of Secrets Manager, in each operation that has them.
use crate::support::{policy, token};
use crate::world::{OTHER_REGION, REGION, Someone, World};
use serde_json::{Value, json};

const DENIED: &str = "AccessDeniedException";

/// What a request says.
const OF_REQUESTS: [&str; 10] = [
    "secretsmanager:Name",
    "secretsmanager:Description",
    "secretsmanager:KmsKeyId",
    "secretsmanager:KmsKeyArn",
    "secretsmanager:VersionId",
    "secretsmanager:VersionStage",
    "secretsmanager:RecoveryWindowInDays",
    "secretsmanager:ForceDeleteWithoutRecovery",
    "aws:RequestTag/dept",
    "aws:TagKeys",
];

/// What every operation on a secret knows of it.
const OF_SECRETS: [&str; 4] = [
    "secretsmanager:SecretId",
    "secretsmanager:SecretPrimaryRegion",
    "secretsmanager:ResourceTag/dept",
    "aws:ResourceTag/dept",
];

/// The operations on a secret, and what their requests have beside it.
type Body = fn() -> Value;

const OPERATIONS: [(&str, Body); 16] = [
    ("DescribeSecret", || json!({})),
    ("GetSecretValue", || json!({})),
    ("ListSecretVersionIds", || json!({})),
    ("PutSecretValue", || json!({"SecretString": "w", "ClientRequestToken": token(20)})),
    ("UpdateSecret", || json!({"Description": "d", "ClientRequestToken": token(21)})),
    ("UpdateSecretVersionStage", || json!({"VersionStage": "blue", "MoveToVersionId": token(1)})),
    ("TagResource", || json!({"Tags": [{"Key": "more", "Value": "x"}]})),
    ("UntagResource", || json!({"TagKeys": ["more"]})),
    ("PutResourcePolicy", || json!({"ResourcePolicy": POLICY})),
    ("GetResourcePolicy", || json!({})),
    ("ListResourcePolicies", || json!({})),
    ("ValidateResourcePolicy", || json!({"ResourcePolicy": POLICY})),
    ("DeleteResourcePolicy", || json!({})),
    ("DeleteSecret", || json!({})),
    ("RestoreSecret", || json!({})),
    ("ReplicateSecretToRegions", || json!({"AddReplicaRegions": [{"Region": OTHER_REGION}]})),
];

/// A policy that lets nobody do anything.
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":
    {"AWS":"444455556666"},"Action":"secretsmanager:*","Resource":"*"}]}"#;

/// The keys of this file.
pub fn keys() -> impl Iterator<Item = &'static str> {
    OF_REQUESTS.into_iter().chain(OF_SECRETS)
}

pub async fn who_may(world: &World, name: &str, condition: Value) -> Someone {
    let secrets = json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*",
        "Condition": condition});
    let keys = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"});
    world.user(name, policy(&[secrets, keys])).await
}

pub fn creation(name: &str, more: Value) -> Value {
    let mut body = json!({"Name": name, "SecretString": "v", "ClientRequestToken": token(1)});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn of_requests() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/k", "TargetKeyId": key})).await;
    let secret = |more: Value| {
        let mut body = json!({"SecretId": "s"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let update = |more: Value| {
        let mut body = secret(more);
        body["ClientRequestToken"] = json!(token(30));
        body
    };
    let tags = |key: &str, value: &str| json!({"Tags": [{"Key": key, "Value": value}]});
    let [name, description, key_id, key_arn, version, stage, days, force, tag, tag_keys] =
        OF_REQUESTS;
    let is = "StringEquals";
    let each = "ForAllValues:StringEquals";
    let rows = [
        (name, is, "new", "CreateSecret", creation("new", json!({})), creation("news", json!({}))),
        (
            description,
            is,
            "d",
            "CreateSecret",
            creation("new", json!({"Description": "d"})),
            creation("new", json!({})),
        ),
        (
            description,
            is,
            "d",
            "UpdateSecret",
            update(json!({"Description": "d"})),
            update(json!({"Description": "e"})),
        ),
        (
            key_id,
            is,
            "alias/k",
            "CreateSecret",
            creation("new", json!({"KmsKeyId": "alias/k"})),
            creation("new", json!({"KmsKeyId": key})),
        ),
        (
            key_id,
            is,
            "alias/k",
            "UpdateSecret",
            update(json!({"KmsKeyId": "alias/k"})),
            update(json!({"KmsKeyId": key})),
        ),
        (
            key_arn,
            "ArnEquals",
            &key,
            "CreateSecret",
            creation("new", json!({"KmsKeyId": "alias/k"})),
            creation("new", json!({})),
        ),
        (
            key_arn,
            "ArnEquals",
            &key,
            "UpdateSecret",
            update(json!({"KmsKeyId": "alias/k"})),
            update(json!({"Description": "d"})),
        ),
        (
            version,
            is,
            &token(1),
            "GetSecretValue",
            secret(json!({"VersionId": token(1)})),
            secret(json!({})),
        ),
        (
            stage,
            is,
            "AWSCURRENT",
            "GetSecretValue",
            secret(json!({})),
            secret(json!({"VersionStage": "AWSPREVIOUS"})),
        ),
        (
            stage,
            is,
            "blue",
            "UpdateSecretVersionStage",
            secret(json!({"VersionStage": "blue", "MoveToVersionId": token(1)})),
            secret(json!({"VersionStage": "red", "MoveToVersionId": token(1)})),
        ),
        (
            days,
            "NumericGreaterThanEquals",
            "14",
            "DeleteSecret",
            secret(json!({"RecoveryWindowInDays": 14})),
            secret(json!({"RecoveryWindowInDays": 13})),
        ),
        (
            force,
            "Bool",
            "false",
            "DeleteSecret",
            secret(json!({})),
            secret(json!({"ForceDeleteWithoutRecovery": true})),
        ),
        (
            tag,
            is,
            "hr",
            "CreateSecret",
            creation("new", tags("dept", "hr")),
            creation("new", tags("dept", "it")),
        ),
        (tag, is, "hr", "TagResource", secret(tags("dept", "hr")), secret(tags("dept", "it"))),
        (
            tag_keys,
            each,
            "dept",
            "CreateSecret",
            creation("new", tags("dept", "x")),
            creation("new", tags("cost", "x")),
        ),
        (
            tag_keys,
            each,
            "dept",
            "TagResource",
            secret(tags("dept", "x")),
            secret(tags("cost", "x")),
        ),
        (
            tag_keys,
            each,
            "dept",
            "UntagResource",
            secret(json!({"TagKeys": ["dept"]})),
            secret(json!({"TagKeys": ["cost"]})),
        ),
    ];
    let mut seen = Vec::new();
    for (at, (key, operator, value, operation, good, bad)) in rows.into_iter().enumerate() {
        world.call("secretsmanager", "CreateSecret", creation("s", json!({}))).await.unwrap();
        let condition = json!({operator: {key: value}});
        let who = who_may(&world, &format!("u{at}"), condition.clone()).await;
        let what = format!("{operation} with {condition}");
        let refused = world.fails(&who, "secretsmanager", operation, bad).await;
        assert_eq!(refused.code, DENIED, "{what}");
        let outcome = world.call_as(&who, "secretsmanager", operation, good).await;
        assert!(outcome.is_ok(), "{what}: {outcome:?}");
        for name in ["s", "new"] {
            let body = json!({"SecretId": name, "ForceDeleteWithoutRecovery": true});
            world.call("secretsmanager", "RestoreSecret", json!({"SecretId": name})).await.ok();
            world.call("secretsmanager", "DeleteSecret", body).await.ok();
        }
        seen.push(key);
    }
    for key in OF_REQUESTS {
        assert!(seen.contains(&key), "{key}");
    }
}

#[tokio::test]
async fn every_operation_knows_the_secret() {
    let world = World::new().await;
    let made = creation("s", json!({"Tags": [{"Key": "dept", "Value": "hr"}]}));
    let made = world.call("secretsmanager", "CreateSecret", made).await.unwrap();
    let arn = made["ARN"].as_str().unwrap();
    let mut users = 0;
    for (operation, more) in OPERATIONS {
        let mut body = more();
        body["SecretId"] = json!("s");
        for (key, (good, bad)) in OF_SECRETS.into_iter().zip([
            (arn, "arn:aws:secretsmanager:eu-west-1:111122223333:secret:other-abcdef"),
            (REGION, OTHER_REGION),
            ("hr", "it"),
            ("hr", "it"),
        ]) {
            for (value, allowed) in [(bad, false), (good, true)] {
                users += 1;
                let condition = json!({"StringEquals": {key: value}});
                let who = who_may(&world, &format!("u{users}"), condition).await;
                let outcome = world.call_as(&who, "secretsmanager", operation, body.clone()).await;
                let code = outcome.err().map(|error| error.code);
                let expected = (!allowed).then_some(DENIED);
                assert_eq!(code.as_deref(), expected, "{operation} with {key} {value}");
                if operation == "DeleteSecret" && allowed {
                    let body = json!({"SecretId": "s"});
                    world.call("secretsmanager", "RestoreSecret", body).await.unwrap();
                }
            }
        }
    }
}
