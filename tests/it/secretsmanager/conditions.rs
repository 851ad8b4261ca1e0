//! The condition keys of Secrets Manager.
use super::{creation, token, version};
use crate::support::policy;
use crate::world::{REGION, World};
use serde_json::{Value, json};

/// A policy that allows everything of Secrets Manager and KMS under one condition.
fn when(condition: Value) -> Value {
    let secrets = json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*",
        "Condition": condition});
    let keys = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"});
    policy(&[secrets, keys])
}

#[tokio::test]
async fn of_requests() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/k", "TargetKeyId": key})).await;
    world.secret("a", "one").await;
    world.put("a", 2, "two").await;
    let equals = |name: &str, value: &str| json!({"StringEquals": {name: value}});
    let create = |member: &str, value: Value| {
        let mut body = creation("new", "v");
        body[member] = value;
        body
    };
    let read = |member: &str, value: &str| json!({"SecretId": "a", member: value});
    for (condition, name, good, bad) in [
        (
            equals("secretsmanager:Name", "new"),
            "CreateSecret",
            creation("new", "v"),
            creation("news", "v"),
        ),
        (
            equals("secretsmanager:Description", "d"),
            "CreateSecret",
            create("Description", json!("d")),
            creation("other", "v"),
        ),
        (
            equals("secretsmanager:KmsKeyId", "alias/k"),
            "CreateSecret",
            create("KmsKeyId", json!("alias/k")),
            create("KmsKeyId", json!(key)),
        ),
        (
            equals("secretsmanager:KmsKeyArn", &key),
            "CreateSecret",
            create("KmsKeyId", json!("alias/k")),
            creation("other", "v"),
        ),
        (
            equals("aws:RequestTag/dept", "hr"),
            "CreateSecret",
            create("Tags", json!([{"Key": "dept", "Value": "hr"}])),
            create("Tags", json!([{"Key": "dept", "Value": "it"}])),
        ),
        (
            equals("secretsmanager:VersionStage", "AWSCURRENT"),
            "GetSecretValue",
            json!({"SecretId": "a"}),
            read("VersionStage", "AWSPREVIOUS"),
        ),
        (
            equals("secretsmanager:VersionId", &token(1)),
            "GetSecretValue",
            read("VersionId", &token(1)),
            read("VersionId", &token(2)),
        ),
        (
            equals("secretsmanager:SecretPrimaryRegion", REGION),
            "DescribeSecret",
            json!({"SecretId": "a"}),
            json!({"SecretId": "missing"}),
        ),
        (
            json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["dept"]}}),
            "TagResource",
            json!({"SecretId": "a", "Tags": [{"Key": "dept", "Value": "x"}]}),
            json!({"SecretId": "a", "Tags": [{"Key": "cost", "Value": "x"}]}),
        ),
        (
            json!({"NumericGreaterThanEquals": {"secretsmanager:RecoveryWindowInDays": "14"}}),
            "DeleteSecret",
            json!({"SecretId": "a", "RecoveryWindowInDays": 14}),
            json!({"SecretId": "a", "RecoveryWindowInDays": 13}),
        ),
        (
            json!({"Bool": {"secretsmanager:ForceDeleteWithoutRecovery": "false"}}),
            "DeleteSecret",
            json!({"SecretId": "a"}),
            json!({"SecretId": "a", "ForceDeleteWithoutRecovery": true}),
        ),
    ] {
        let user = format!("u{}", world.events().len());
        let who = world.user(&user, when(condition.clone())).await;
        let refused = world.sm_fails_as(&who, name, bad).await;
        assert_eq!(refused.code, "AccessDeniedException", "{condition}");
        assert!(refused.message.contains("secretsmanager:"), "{refused:?}");
        world.sm_as(&who, name, good).await;
        if name == "CreateSecret" {
            let body = json!({"SecretId": "new", "ForceDeleteWithoutRecovery": true});
            world.sm("DeleteSecret", body).await;
        }
        world.sm("RestoreSecret", json!({"SecretId": "a"})).await;
    }
}

#[tokio::test]
async fn the_secret_itself() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    world.secret("b", "two").await;
    let condition = json!({"StringEquals": {"secretsmanager:SecretId": arn}});
    let who = world.user("ann", when(condition)).await;
    for (name, more) in [("GetSecretValue", json!({})), ("PutSecretValue", version("", 2, "x"))] {
        let mut body = more;
        body["SecretId"] = json!("b");
        let refused = world.sm_fails_as(&who, name, body.clone()).await;
        assert_eq!(refused.code, "AccessDeniedException");
        body["SecretId"] = json!("a");
        world.sm_as(&who, name, body).await;
    }
}

#[tokio::test]
async fn its_tags() {
    let world = World::new().await;
    for (name, dept) in [("hr", "hr"), ("it", "it")] {
        let mut body = creation(name, "v");
        body["Tags"] = json!([{"Key": "dept", "Value": dept}]);
        world.sm("CreateSecret", body).await;
    }
    world.secret("none", "v").await;
    for (n, key) in
        ["aws:ResourceTag/dept", "secretsmanager:ResourceTag/dept"].into_iter().enumerate()
    {
        let user = format!("u{n}");
        let who = world.user(&user, when(json!({"StringEquals": {key: "hr"}}))).await;
        let read = |id: &str| json!({"SecretId": id});
        for id in ["it", "none"] {
            let refused = world.sm_fails_as(&who, "GetSecretValue", read(id)).await;
            assert_eq!(refused.code, "AccessDeniedException", "{key} {id}");
        }
        world.sm_as(&who, "GetSecretValue", read("hr")).await;
        // A tag that changes, changes who may read.
        let tag = |dept: &str| json!({"SecretId": "hr", "Tags": [{"Key": "dept", "Value": dept}]});
        world.sm("TagResource", tag("it")).await;
        let refused = world.sm_fails_as(&who, "GetSecretValue", read("hr")).await;
        assert_eq!(refused.code, "AccessDeniedException");
        world.sm("TagResource", tag("hr")).await;
        world.sm_as(&who, "GetSecretValue", read("hr")).await;
    }
}

#[tokio::test]
async fn nobody_locks_themselves_out_with_a_tag() {
    let world = World::new().await;
    let mut body = creation("a", "v");
    body["Tags"] = json!([{"Key": "dept", "Value": "hr"}, {"Key": "cost", "Value": "1"}]);
    world.sm("CreateSecret", body).await;
    let condition = json!({"StringEquals": {"aws:ResourceTag/dept": "hr"}});
    let who = world.user("ann", when(condition)).await;
    let before = world.describe("a").await;
    for (name, body) in [
        ("TagResource", json!({"SecretId": "a", "Tags": [{"Key": "dept", "Value": "it"}]})),
        ("UntagResource", json!({"SecretId": "a", "TagKeys": ["cost", "dept"]})),
    ] {
        let refused = world.sm_fails_as(&who, name, body).await;
        assert_eq!(refused.code, "AccessDeniedException", "{name}");
        assert_eq!(world.describe("a").await, before);
    }
    let body = json!({"SecretId": "a", "TagKeys": ["cost"]});
    world.sm_as(&who, "UntagResource", body).await;
    let body = json!({"SecretId": "a", "Tags": [{"Key": "dept", "Value": "hr"}]});
    world.sm_as(&who, "TagResource", body).await;
}

#[tokio::test]
async fn a_condition_on_the_key_does_not_tell_which_foreign_keys_exist() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/prod", "TargetKeyId": key})).await;
    let spy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "secretsmanager:CreateSecret", "Resource": "*",
            "Condition": {"Null": {"secretsmanager:KmsKeyArn": "true"}}}]});
    let spy = world.user_of(crate::world::OTHER_ACCOUNT, "spy", spy).await;
    let (place, _) = key.rsplit_once(":key/").unwrap();
    let missing = format!("{place}:key/00000000-0000-4000-8000-000000000000");
    let pairs =
        [(key.clone(), missing), (format!("{place}:alias/prod"), format!("{place}:alias/none"))];
    for (there, absent) in pairs {
        let mut answers = Vec::new();
        for named in [there, absent] {
            let body = json!({"Name": "s", "SecretString": "v", "KmsKeyId": named,
                "ClientRequestToken": crate::support::token(1)});
            let error = world.call_as(&spy, "secretsmanager", "CreateSecret", body).await;
            let error = error.unwrap_err();
            // The six characters at the end of the secret's ARN are drawn anew each time.
            let (before, after) = error.message.split_once("secret:s-").unwrap_or(("", ""));
            answers.push((error.code, before.to_owned(), after.get(6..).unwrap_or("").to_owned()));
        }
        assert_eq!(answers[0], answers[1]);
    }
}
