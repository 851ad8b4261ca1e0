//! RotateSecret of a secret that a built-in function is to rotate: what the function looks for first, and
//! with whose permissions.
use super::rotate::{function, registered, rotation, world_with};
use super::token;
use crate::support::policy;
use crate::world::{ACCOUNT, REGION, allow};
use serde_json::json;

#[tokio::test]
async fn functions_of_ours_look_into_the_secret_first() {
    let strategies = [
        ("single", "single-user"),
        ("admin", "single-user-with-administrator"),
        ("turns", "alternating-users"),
        ("dual", "dual-passwords"),
    ];
    let sections = strategies
        .map(|(name, is)| registered(name, &format!("strategy = '{is}'\nhosts = ['db']")));
    let world = world_with(&sections.join("\n")).await;
    let master = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:admin-abcdef";
    let good = json!({"engine": "mysql", "host": "db", "port": "3306", "username": "app",
        "password": "pw-of-app", "masterarn": master, "more": 1});
    let without = |member: &str| {
        let mut value = good.clone();
        value.as_object_mut().unwrap().remove(member);
        value.to_string()
    };
    let with = |member: &str, to: &str| {
        let mut value = good.clone();
        value[member] = json!(to);
        value.to_string()
    };
    let long = with("username", &"u".repeat(125));
    for (at, (name, value, wrong)) in [
        ("single", without("username"), "has no username"),
        ("single", without("password"), "has no password"),
        ("single", with("engine", "pw-oracle"), "has an engine other than"),
        ("single", with("port", "pw-70000"), "has a port that is none"),
        ("single", "\"pw-of-app\"".into(), "is not the JSON object"),
        ("admin", without("masterarn"), "has no masterarn"),
        ("admin", with("masterarn", "pw-arn"), "has no masterarn"),
        ("turns", without("masterarn"), "has no masterarn"),
        ("turns", long, "too long for a second user"),
        ("dual", with("engine", "postgres"), "one password only"),
    ]
    .into_iter()
    .enumerate()
    {
        let secret = format!("bad-{at}");
        world.secret(&secret, &value).await;
        let body = rotation(&secret, 2, json!({"RotationLambdaARN": function(name)}));
        let refused = world.sm_fails("RotateSecret", body).await;
        assert_eq!(refused.code, "InvalidParameterException", "{refused:?}");
        assert!(refused.message.contains(wrong) && !refused.message.contains("pw-"), "{refused:?}");
        assert!(world.run_of(&secret).await.is_none());
        assert_eq!(world.describe(&secret).await.get("RotationEnabled"), None);
    }
    for (name, _) in strategies {
        world.secret(name, &good.to_string()).await;
        let from = world.events().len();
        let body = rotation(name, 2, json!({"RotationLambdaARN": function(name)}));
        world.sm("RotateSecret", body).await;
        let events = world.events();
        let [assumed, read] = ["AssumeRole", "GetSecretValue"].map(|name| {
            events[from..].iter().find(|event| event.event_name == name).unwrap().clone()
        });
        assert_eq!(assumed.user_identity.invoked_by.as_deref(), Some("lambda.amazonaws.com"));
        let who = read.user_identity.arn.as_deref().unwrap();
        assert_eq!(who, format!("arn:aws:sts::{ACCOUNT}:assumed-role/f/rotate-{name}"));
    }
    let role = world.iam("GetRole", json!({"RoleName": "f"})).await["Role"].clone();
    assert_eq!(role["RoleLastUsed"]["Region"], REGION);
    let text = serde_json::to_string(&world.events()).unwrap();
    assert!(!text.contains("pw-of-app"));
    let bytes = json!({"Name": "bytes", "SecretBinary": "AAEC", "ClientRequestToken": token(1)});
    world.sm("CreateSecret", bytes).await;
    let body = rotation("bytes", 2, json!({"RotationLambdaARN": function("single")}));
    let refused = world.sm_fails("RotateSecret", body).await;
    assert!(refused.message.contains("is not text"), "{refused:?}");
}

#[tokio::test]
async fn a_function_of_ours_reads_with_its_role_only() {
    let world = world_with(&registered("a", "strategy = 'single-user'\nhosts = ['db']")).await;
    let value = json!({"engine": "mysql", "host": "db", "username": "app", "password": "pw"});
    world.secret("s", &value.to_string()).await;
    let body = json!({"RoleName": "f", "PolicyName": "p"});
    world.iam("DeleteRolePolicy", body.clone()).await;
    let refused = world.sm_fails("RotateSecret", rotation("s", 2, json!({}))).await;
    assert_eq!(refused.code, "InvalidParameterException");
    assert!(
        refused.message.contains("cannot read the secret's value: AccessDenied"),
        "{refused:?}"
    );
    let mut body = body;
    body["PolicyDocument"] = json!(allow(&["secretsmanager:*", "kms:*"]).to_string());
    world.iam("PutRolePolicy", body).await;
    let trust = policy(&[json!({"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "ec2.amazonaws.com"}})]);
    let body = json!({"RoleName": "f", "PolicyDocument": trust.to_string()});
    world.iam("UpdateAssumeRolePolicy", body).await;
    let refused = world.sm_fails("RotateSecret", rotation("s", 2, json!({}))).await;
    let wanted = "The role defined for the function cannot be assumed by Lambda.";
    assert!(refused.message.ends_with(wanted), "{refused:?}");
    // The trust policy may name the function.
    let trust = policy(&[json!({"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Condition": {"ArnEquals": {"aws:SourceArn": function("a")}}})]);
    let body = json!({"RoleName": "f", "PolicyDocument": trust.to_string()});
    world.iam("UpdateAssumeRolePolicy", body).await;
    world.sm("RotateSecret", rotation("s", 2, json!({}))).await;
}
