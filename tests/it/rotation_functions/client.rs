//! Secrets Manager as functions inside the server see it: the permissions, the events and the limits
//! of a caller from outside.
use super::{Stage, function_arn};
use crate::support::token;
use crate::world::{ACCOUNT, REGION, allow};
use claviger::rotation::{Failure, FailureKind, SecretsClient};
use claviger::types::SecretText;
use serde_json::json;

async fn stage() -> Stage {
    let stage = Stage::new(|_| "url = \"http://127.0.0.1:1\"".into()).await;
    let body = json!({"Name": "a", "SecretString": "first", "ClientRequestToken": token(1)});
    stage.world.call("secretsmanager", "CreateSecret", body).await.unwrap();
    stage
}

async fn client(stage: &Stage) -> Result<SecretsClient, Failure> {
    SecretsClient::of(&stage.world.server, &stage.function(), &REGION.parse().unwrap()).await
}

async fn permissions(stage: &Stage, actions: &[&str]) {
    let policy = allow(actions).to_string();
    let body = json!({"RoleName": "rotator", "PolicyName": "p", "PolicyDocument": policy});
    stage.world.iam("PutRolePolicy", body).await;
}

#[tokio::test]
async fn it_reads_and_writes_as_the_functions_role() {
    let stage = stage().await;
    let client = client(&stage).await.unwrap();
    let value = client.value("a", None, None).await.unwrap().unwrap();
    assert_eq!((value.version_id.as_str(), value.text.expose()), (token(1).as_str(), "first"));
    let read = stage.world.last_event();
    assert_eq!(read.event_name, "GetSecretValue");
    let who = serde_json::to_value(&read.user_identity).unwrap();
    assert_eq!(who["arn"], format!("arn:aws:sts::{ACCOUNT}:assumed-role/rotator/rotator"));
    assert_eq!(read.user_agent, "function/rotator");
    assert!(client.value("a", Some(&token(2)), Some("AWSPENDING")).await.unwrap().is_none());
    assert!(client.value("nothing", None, None).await.unwrap().is_none());
    let described = client.describe("a").await.unwrap();
    assert_eq!(described.version("AWSCURRENT"), Some(token(1).as_str()));
    assert_eq!(described.version("AWSPENDING"), None);
    assert!(!described.rotation_enabled);
    let password = client.random_password(20, "\"'").await.unwrap();
    assert_eq!(password.expose().len(), 20);
    // What a rotation does, without one: a second version, made the current one, twice.
    let body = json!({"SecretId": "a", "SecretString": "second", "ClientRequestToken": token(2),
        "VersionStages": ["AWSPENDING"]});
    stage.world.call("secretsmanager", "PutSecretValue", body).await.unwrap();
    for _ in 0..2 {
        client.finish("a", &token(2)).await.unwrap();
        let described = client.describe("a").await.unwrap();
        assert_eq!(described.version("AWSCURRENT"), Some(token(2).as_str()));
        assert_eq!(described.version("AWSPREVIOUS"), Some(token(1).as_str()));
        assert_eq!(described.version("AWSPENDING"), None);
    }
}

#[tokio::test]
async fn what_the_role_may_not_is_refused_and_lasts() {
    let stage = stage().await;
    permissions(&stage, &["secretsmanager:DescribeSecret"]).await;
    let client = client(&stage).await.unwrap();
    client.describe("a").await.unwrap();
    let failure = client.value("a", None, None).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Lasting);
    assert!(
        failure.message.starts_with("GetSecretValue: AccessDeniedException: User: "),
        "{}",
        failure.message
    );
    let text = SecretText::new("very secret".into());
    let failure = client.put_pending("a", &token(2), &text, &text).await.unwrap_err();
    assert!(!failure.message.contains("very secret"), "{}", failure.message);
    for event in stage.world.events() {
        let event = serde_json::to_string(&event).unwrap();
        assert!(!event.contains("very secret") && !event.contains("first"), "{event}");
    }
}

#[tokio::test]
async fn the_secrets_key_asks_for_the_roles_permission_too() {
    let stage = stage().await;
    let key = stage.world.key().await;
    let body = json!({"SecretId": "a", "KmsKeyId": key, "ClientRequestToken": token(2)});
    stage.world.call("secretsmanager", "UpdateSecret", body).await.unwrap();
    permissions(&stage, &["secretsmanager:*"]).await;
    let failure = client(&stage).await.unwrap().value("a", None, None).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Lasting);
    permissions(&stage, &["secretsmanager:*", "kms:Decrypt"]).await;
    assert!(client(&stage).await.unwrap().value("a", None, None).await.unwrap().is_some());
}

#[tokio::test]
async fn inside_the_server_is_a_secure_way_from_no_address() {
    let stage = stage().await;
    for (condition, allowed) in [
        (json!({"Bool": {"aws:SecureTransport": "true"}}), true),
        (json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), false),
        (json!({"Null": {"aws:SourceIp": "true"}}), true),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/rotator"}}), true),
    ] {
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition
        }]});
        let body =
            json!({"RoleName": "rotator", "PolicyName": "p", "PolicyDocument": policy.to_string()});
        stage.world.iam("PutRolePolicy", body).await;
        let described = client(&stage).await.unwrap().describe("a").await;
        assert_eq!(described.is_ok(), allowed, "{condition}");
    }
}

#[tokio::test]
async fn the_trust_policy_may_name_the_function() {
    let stage = stage().await;
    for (key, value, allowed) in [
        ("aws:SourceArn", function_arn(), true),
        ("aws:SourceArn", format!("{}x", function_arn()), false),
        ("aws:SourceAccount", ACCOUNT.to_owned(), true),
        ("sts:RoleSessionName", "rotator".to_owned(), true),
        ("sts:RoleSessionName", "another".to_owned(), false),
    ] {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {key: value}},
        }]});
        let body = json!({"RoleName": "rotator", "PolicyDocument": trust.to_string()});
        stage.world.iam("UpdateAssumeRolePolicy", body).await;
        assert_eq!(client(&stage).await.is_ok(), allowed, "{key} {value}");
    }
    // A role that trusts the account is not Lambda's to take.
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"
    }]});
    let body = json!({"RoleName": "rotator", "PolicyDocument": trust.to_string()});
    stage.world.iam("UpdateAssumeRolePolicy", body).await;
    let failure = client(&stage).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Lasting);
    // Nor one that is gone.
    let body = json!({"RoleName": "rotator", "PolicyName": "p"});
    stage.world.iam("DeleteRolePolicy", body).await;
    stage.world.iam("DeleteRole", json!({"RoleName": "rotator"})).await;
    let failure = client(&stage).await.unwrap_err();
    assert!(failure.message.contains("cannot be assumed by Lambda"), "{}", failure.message);
}
