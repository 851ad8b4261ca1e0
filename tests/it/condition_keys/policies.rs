//! The condition keys of resource policies and of managed external secrets.
use crate::support::{policy, token};
use crate::world::{ACCOUNT, World};
use serde_json::{Value, json};

const DENIED: &str = "AccessDeniedException";

/// The key, a value, an operation, a request with that value and one with another.
type Row = (&'static str, &'static str, &'static str, Value, Value);

fn rows() -> Vec<Row> {
    let text = policy(&[json!({"Effect": "Allow", "Principal": {"AWS": ACCOUNT},
        "Action": "secretsmanager:GetSecretValue", "Resource": "*"})])
    .to_string();
    let put = |block: Option<bool>| json!({"SecretId": "s", "ResourcePolicy": text, "BlockPublicPolicy": block});
    let create = |kind: &str| json!({"Name": "new", "ClientRequestToken": token(5), "Type": kind});
    let update =
        |kind: &str| json!({"SecretId": "s", "ClientRequestToken": token(6), "Type": kind});
    let named = |name: &str| json!({"SecretId": "s", "PolicyName": name});
    let unnamed = json!({"SecretId": "s"});
    let (block, kind) = ("secretsmanager:BlockPublicPolicy", "secretsmanager:Type");
    let (name, of_secret) = ("secretsmanager:PolicyName", "secretsmanager:resource/Type");
    let other = || json!({"SecretId": "other"});
    vec![
        (block, "true", "PutResourcePolicy", put(Some(true)), put(Some(false))),
        // Left out, it is off.
        (block, "false", "PutResourcePolicy", put(None), put(Some(true))),
        (name, "default", "GetResourcePolicy", unnamed.clone(), named("mine")),
        (name, "default", "DeleteResourcePolicy", named("default"), named("mine")),
        (name, "default", "PutResourcePolicy", put(None), {
            let mut body = put(None);
            body["PolicyName"] = json!("mine");
            body
        }),
        (kind, "BigIDClientSecret", "CreateSecret", create("BigIDClientSecret"), create("Mine")),
        (kind, "BigIDClientSecret", "UpdateSecret", update("BigIDClientSecret"), update("Mine")),
        (of_secret, "SalesforceClientSecret", "GetSecretValue", unnamed.clone(), other()),
        (of_secret, "SalesforceClientSecret", "DescribeSecret", unnamed, other()),
    ]
}

/// The keys of this file.
pub fn keys() -> Vec<&'static str> {
    rows().iter().map(|row| row.0).collect()
}

#[tokio::test]
async fn each_allows_and_denies() {
    let world = World::new().await;
    for (at, (key, value, operation, good, bad)) in rows().into_iter().enumerate() {
        for (name, kind) in [("s", "SalesforceClientSecret"), ("other", "")] {
            let body = json!({"Name": name, "SecretString": "v", "ClientRequestToken": token(1),
                "Type": kind});
            world.call("secretsmanager", "CreateSecret", body).await.unwrap();
        }
        let may = json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*",
            "Condition": {"StringEquals": {key: value}}});
        let who = world.user(&format!("u{at}"), policy(&[may])).await;
        let refused = world.fails(&who, "secretsmanager", operation, bad).await;
        assert_eq!(refused.code, DENIED, "{key} {operation}");
        let outcome = world.call_as(&who, "secretsmanager", operation, good).await;
        assert!(outcome.is_ok(), "{key} {operation}: {outcome:?}");
        for name in ["s", "other", "new"] {
            let body = json!({"SecretId": name, "ForceDeleteWithoutRecovery": true});
            world.call("secretsmanager", "DeleteSecret", body).await.unwrap();
        }
    }
}
