//! Who may do what with which secret.
use super::{creation, not_found, partial, token, version};
use crate::support::{denied, policy, user_arn};
use crate::world::{ACCOUNT, REGION, World, allow};
use serde_json::{Value, json};

/// It denies strangers what they may not do anyway.
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":
    {"AWS":"444455556666"},"Action":"secretsmanager:*","Resource":"*"}]}"#;

/// Every operation, on a secret if it is about one.
fn operations(id: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("BatchGetSecretValue", json!({"SecretIdList": [id]})),
        ("CreateSecret", json!({"Name": "new", "ClientRequestToken": token(1)})),
        ("DescribeSecret", json!({"SecretId": id})),
        ("GetRandomPassword", json!({})),
        ("GetSecretValue", json!({"SecretId": id})),
        ("ListSecretVersionIds", json!({"SecretId": id})),
        ("ListSecrets", json!({})),
        ("PutSecretValue", version(id, 2, "two")),
        (
            "UpdateSecret",
            json!({"SecretId": id, "ClientRequestToken": token(3), "SecretString": "three"}),
        ),
        (
            "UpdateSecretVersionStage",
            json!({"SecretId": id, "VersionStage": "blue", "MoveToVersionId": token(1)}),
        ),
        ("TagResource", json!({"SecretId": id, "Tags": [{"Key": "a", "Value": "b"}]})),
        ("UntagResource", json!({"SecretId": id, "TagKeys": ["a"]})),
        ("PutResourcePolicy", json!({"SecretId": id, "ResourcePolicy": POLICY})),
        ("GetResourcePolicy", json!({"SecretId": id})),
        ("ListResourcePolicies", json!({"SecretId": id})),
        ("ValidateResourcePolicy", json!({"SecretId": id, "ResourcePolicy": POLICY})),
        ("DeleteResourcePolicy", json!({"SecretId": id})),
        ("DeleteSecret", json!({"SecretId": id})),
        ("RestoreSecret", json!({"SecretId": id})),
        ("DeleteSecret", json!({"SecretId": id, "ForceDeleteWithoutRecovery": true})),
    ]
}

#[tokio::test]
async fn secretsmanager_alone_is_enough_under_the_default_key() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let ann = world.user("ann", allow(&["secretsmanager:*"])).await;
    for (name, body) in operations("a") {
        world.sm_as(&ann, name, body).await;
    }
    // Also where the default key does not exist yet.
    let world = World::new().await;
    let ann = world.user("ann", allow(&["secretsmanager:*"])).await;
    world.sm_as(&ann, "CreateSecret", creation("a", "one")).await;
    let got = world.sm_as(&ann, "GetSecretValue", json!({"SecretId": "a"})).await;
    assert_eq!(got["SecretString"], "one");
}

#[tokio::test]
async fn each_operation_is_its_own_action() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let all: Vec<String> =
        operations("").iter().map(|(name, _)| format!("secretsmanager:{name}")).collect();
    for (name, body) in operations("a") {
        let action = format!("secretsmanager:{name}");
        // Every permission but this one.
        let others: Vec<&str> =
            all.iter().filter(|other| **other != action).map(String::as_str).collect();
        let user = format!("no{name}{}", world.events().len());
        let who = world.user(&user, allow(&others)).await;
        // In the caller's own words: the suffix is for those who may see the secret.
        let named = body["SecretId"].as_str().unwrap_or_default().to_owned();
        let refused = world.sm_fails_as(&who, name, body).await;
        let resource = match name {
            "BatchGetSecretValue" | "GetRandomPassword" | "ListSecrets" => "*".to_owned(),
            "CreateSecret" => {
                // The ARN that it would have got.
                let start = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:new-");
                assert!(refused.message.contains(&start), "{refused:?}");
                continue;
            }
            _ => named,
        };
        let because = format!(
            "resource: {resource} because no identity-based policy allows the {action} action"
        );
        assert_eq!(refused, denied(&user_arn(&user), &action, &because));
    }
    assert_eq!(world.labels("a").await, "1:AWSCURRENT");
}

#[tokio::test]
async fn a_missing_secret_looks_like_a_forbidden_one() {
    let world = World::new().await;
    let arn = world.secret("there", "one").await;
    let gone = arn.replace(":there", ":gone");
    let nobody = world.nobody().await;
    for (existing, missing) in
        [("there", "gone"), (arn.as_str(), gone.as_str()), (partial(&arn), partial(&gone))]
    {
        for ((name, body), (_, other)) in operations(existing).into_iter().zip(operations(missing))
        {
            let (one, two) = (
                world.sm_fails_as(&nobody, name, body.clone()).await,
                world.sm_fails_as(&nobody, name, other).await,
            );
            assert_eq!((&one.code, &two.code), (&"AccessDeniedException".into(), &one.code));
            if body.get("SecretId").is_some() {
                assert_eq!(one.message.replace("there", "gone"), two.message);
            }
        }
    }
}

#[tokio::test]
async fn one_secret_only() {
    let world = World::new().await;
    let arn = world.secret("mine", "one").await;
    world.secret("mine-too", "two").await;
    let action = "secretsmanager:GetSecretValue";
    let on = |resource: &str| {
        policy(&[json!({"Effect": "Allow", "Action": action, "Resource": resource})])
    };
    let six = format!("{}-??????", partial(&arn));
    let star = format!("{}-*", partial(&arn));
    for (n, (resource, sees_other)) in
        [(&arn, false), (&six, false), (&star, true)].into_iter().enumerate()
    {
        let user = format!("user{n}");
        let who = world.user(&user, on(resource)).await;
        for id in ["mine", &arn, partial(&arn)] {
            let got = world.sm_as(&who, "GetSecretValue", json!({"SecretId": id})).await;
            assert_eq!(got["SecretString"], "one");
        }
        let body = json!({"SecretId": "mine-too"});
        let outcome = world.call_as(&who, "secretsmanager", "GetSecretValue", body).await;
        let because = format!(
            "resource: mine-too because no identity-based policy allows the {action} action"
        );
        let refused = Err(denied(&user_arn(&user), action, &because));
        assert_eq!(outcome.map(|_| ()), if sees_other { Ok(()) } else { refused }, "{resource}");
        let refused = world.sm_fails_as(&who, "DescribeSecret", json!({"SecretId": "mine"})).await;
        assert_eq!(refused.code, "AccessDeniedException");
    }
}

#[tokio::test]
async fn only_who_could_use_it_is_told_that_it_is_missing() {
    let world = World::new().await;
    let start = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:");
    let rights = json!({"Effect": "Allow", "Action": "secretsmanager:*",
        "Resource": format!("{start}app/*")});
    let who = world.user("app", policy(&[rights])).await;
    let read = |id: &str| json!({"SecretId": id});
    for id in ["app/x", &format!("{start}app/x-AAAAAA"), &format!("{start}app/x")] {
        assert_eq!(world.sm_fails_as(&who, "GetSecretValue", read(id)).await, not_found());
    }
    for id in ["apps/x", &format!("{start}apps/x-AAAAAA")] {
        let refused = world.sm_fails_as(&who, "GetSecretValue", read(id)).await;
        assert_eq!(refused.code, "AccessDeniedException");
    }
    world.sm_as(&who, "CreateSecret", creation("app/x", "v")).await;
    assert_eq!(world.value("app/x").await, "v");
    let refused = world.sm_fails_as(&who, "CreateSecret", creation("apps/x", "v")).await;
    assert_eq!(refused.code, "AccessDeniedException");
    // Force is no way to learn of others' secrets either.
    let body = json!({"SecretId": "apps/x", "ForceDeleteWithoutRecovery": true});
    let refused = world.sm_fails_as(&who, "DeleteSecret", body).await;
    assert_eq!(refused.code, "AccessDeniedException");
}

#[tokio::test]
async fn a_deny_wins() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let action = "secretsmanager:GetSecretValue";
    let statements = [
        json!({"Effect": "Allow", "Action": "*", "Resource": "*"}),
        json!({"Effect": "Deny", "Action": "secretsmanager:Get*", "Resource": arn}),
    ];
    let who = world.user("ann", policy(&statements)).await;
    let refused = world.sm_fails_as(&who, "GetSecretValue", json!({"SecretId": "a"})).await;
    let because = "resource: a with an explicit deny in an identity-based policy";
    assert_eq!(refused, denied(&user_arn("ann"), action, because));
    world.sm_as(&who, "DescribeSecret", json!({"SecretId": "a"})).await;
}

#[tokio::test]
async fn guesses_at_a_value_need_the_key() {
    let world = World::new().await;
    let key = world.key().await;
    world.secret_under("a", "one", &key).await;
    let write = json!({"Effect": "Allow", "Resource": "*",
        "Action": ["secretsmanager:*", "kms:GenerateDataKey"]});
    let who = world.user("writer", policy(&[write])).await;
    // A repeated token would say whether the value was the same.
    for guess in ["one", "other"] {
        let refused = world.sm_fails_as(&who, "PutSecretValue", version("a", 1, guess)).await;
        assert_eq!(refused, super::kms_denied());
        let refused = world.sm_fails_as(&who, "CreateSecret", creation("a", guess)).await;
        assert_eq!(refused, super::kms_denied());
    }
}
