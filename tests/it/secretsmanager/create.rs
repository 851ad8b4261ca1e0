//! CreateSecret: values, names, sizes, and what happens when it is asked twice.
use super::{NOW_SECS, creation, no_version, token};
use crate::support::failed;
use crate::world::{REGION, World};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Value, json};

#[tokio::test]
async fn text_bytes_or_nothing() {
    let world = World::new().await;
    let text = world.sm("CreateSecret", creation("text", "grüße")).await;
    let arn = text["ARN"].as_str().unwrap();
    let suffix = arn
        .strip_prefix(&format!("arn:aws:secretsmanager:{REGION}:111122223333:secret:text-"))
        .unwrap();
    assert!(suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric()), "{arn}");
    assert_eq!(text, json!({"ARN": arn, "Name": "text", "VersionId": token(1)}));
    let got = world.sm("GetSecretValue", json!({"SecretId": "text"})).await;
    let expected = json!({
        "ARN": arn, "Name": "text", "VersionId": token(1), "SecretString": "grüße",
        "VersionStages": ["AWSCURRENT"], "CreatedDate": NOW_SECS,
    });
    assert_eq!(got, expected);

    let body = json!({"Name": "bytes", "ClientRequestToken": token(1), "SecretBinary": "AAH/"});
    world.sm("CreateSecret", body).await;
    let got = world.sm("GetSecretValue", json!({"SecretId": "bytes"})).await;
    assert_eq!((&got["SecretBinary"], got.get("SecretString")), (&json!("AAH/"), None));

    let body = json!({"Name": "none", "ClientRequestToken": token(1)});
    let none = world.sm("CreateSecret", body).await;
    assert_eq!(none.get("VersionId"), None);
    let missing = world.sm_fails("GetSecretValue", json!({"SecretId": "none"})).await;
    assert_eq!(missing, no_version("staging label: AWSCURRENT"));
    assert_eq!(world.describe("none").await.get("VersionIdsToStages"), None);
    world.put("none", 2, "first").await;
    assert_eq!(world.labels("none").await, "2:AWSCURRENT");
}

#[tokio::test]
async fn what_was_given_is_described() {
    let world = World::new().await;
    let mut body = creation("prod/db", "hunter2");
    body["Description"] = json!("of the database");
    body["Tags"] = json!([{"Key": "b", "Value": "2"}, {"Key": "a", "Value": ""}, {"Key": "c"}]);
    let arn = world.sm("CreateSecret", body).await["ARN"].clone();
    let expected = json!({
        "ARN": arn, "Name": "prod/db", "Description": "of the database",
        "CreatedDate": NOW_SECS, "LastChangedDate": NOW_SECS,
        "Tags": [
            {"Key": "a", "Value": ""}, {"Key": "b", "Value": "2"}, {"Key": "c", "Value": ""},
        ],
        "VersionIdsToStages": {(token(1)): ["AWSCURRENT"]},
    });
    assert_eq!(world.describe("prod/db").await, expected);
}

#[tokio::test]
async fn names() {
    let world = World::new().await;
    let long = "n".repeat(512);
    for name in ["a", "prod/db", "/a//b/", "A_b+c=d.e@f!g-", "-", "db-abcdef", &long] {
        let arn = world.secret(name, "v").await;
        for id in [name, &arn] {
            assert_eq!(world.value(id).await, "v", "{id}");
        }
    }
    let text = "Invalid name. Must be a valid name containing alphanumeric characters, or any of \
                the following: -/_+=.@!";
    for name in ["a b", "a:b", "a#", "ä", "a*", "a\0", "a\\b", "a\n", "<a>"] {
        let refused = world.sm_fails("CreateSecret", creation(name, "v")).await;
        assert_eq!(refused, failed("ValidationException", text), "{name:?}");
    }
    for name in [String::new(), "n".repeat(513)] {
        let refused = world.sm_fails("CreateSecret", creation(&name, "v")).await;
        assert_eq!(refused.code, "ValidationException", "{} letters", name.len());
        assert!(refused.message.contains("Value"), "{refused:?}");
    }
}

#[tokio::test]
async fn values_of_up_to_64_kib() {
    let world = World::new().await;
    let body = |name: &str, member: &str, value: String| {
        let mut body = json!({"Name": name, "ClientRequestToken": token(1)});
        body[member] = json!(value);
        body
    };
    // The limit is in bytes, not in characters.
    for (n, text) in ["x".repeat(65_536), "é".repeat(32_768)].into_iter().enumerate() {
        let name = format!("text{n}");
        world.sm("CreateSecret", body(&name, "SecretString", text.clone())).await;
        assert_eq!(world.value(&name).await, json!(text));
    }
    let bytes = B64.encode(vec![7; 65_536]);
    world.sm("CreateSecret", body("bytes", "SecretBinary", bytes.clone())).await;
    let got = world.sm("GetSecretValue", json!({"SecretId": "bytes"})).await;
    assert_eq!(got["SecretBinary"], bytes);

    for (member, value) in [
        ("SecretString", "x".repeat(65_537)),
        ("SecretString", "é".repeat(32_769)),
        ("SecretString", String::new()),
        ("SecretBinary", B64.encode(vec![7; 65_537])),
        ("SecretBinary", String::new()),
    ] {
        let refused = world.sm_fails("CreateSecret", body("big", member, value.clone())).await;
        assert_eq!(refused.code, "ValidationException", "{member} {}", value.len());
        assert!(refused.message.contains("failed to satisfy constraint"), "{refused:?}");
        assert!(!refused.message.contains("xxx") && !refused.message.contains("BwcH"));
    }
}

#[tokio::test]
async fn requests_that_make_no_sense() {
    let world = World::new().await;
    let mut both = creation("a", "text");
    both["SecretBinary"] = json!("AAEC");
    let refused = world.sm_fails("CreateSecret", both).await;
    let text = "You can't specify both a binary secret value and a string secret value in the \
                same secret.";
    assert_eq!(refused, failed("InvalidParameterException", text));

    let text = "You must provide a ClientRequestToken value. We recommend a UUID-type value.";
    for body in [json!({"Name": "a"}), json!({"Name": "a", "SecretString": "v"})] {
        let refused = world.sm_fails("CreateSecret", body).await;
        assert_eq!(refused, failed("InvalidRequestException", text));
    }
    for bad in ["x".repeat(31), "x".repeat(65)] {
        let body = json!({"Name": "a", "ClientRequestToken": bad});
        let refused = world.sm_fails("CreateSecret", body).await;
        assert_eq!(refused.code, "ValidationException", "{bad}");
    }
    let many: Vec<Value> = (0..51).map(|n| json!({"Key": format!("k{n}")})).collect();
    for tags in [
        json!([{"Key": "a"}, {"Key": "a"}]),
        json!([{"Key": "aws:a"}]),
        json!([{"Value": "v"}]),
        json!(many),
    ] {
        let mut body = creation("a", "v");
        body["Tags"] = tags.clone();
        let refused = world.sm_fails("CreateSecret", body).await;
        assert_eq!(refused.code, "InvalidParameterException", "{tags}");
    }
    assert_eq!(world.sm("ListSecrets", json!({})).await["SecretList"], json!([]));
}

#[tokio::test]
async fn the_same_request_again_changes_nothing() {
    let world = World::new().await;
    let made = world.sm("CreateSecret", creation("a", "one")).await;
    world.clock.advance(60);
    assert_eq!(world.sm("CreateSecret", creation("a", "one")).await, made);
    assert_eq!(world.describe("a").await["LastChangedDate"], NOW_SECS);
    let body = json!({"Name": "b", "ClientRequestToken": token(1)});
    let valueless = world.sm("CreateSecret", body.clone()).await;
    assert_eq!(world.sm("CreateSecret", body).await, valueless);
    // Also when the secret has moved on since.
    world.put("a", 2, "two").await;
    assert_eq!(world.sm("CreateSecret", creation("a", "one")).await, made);
    assert_eq!(world.value("a").await, "two");
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    world.put("a", 2, "two").await;
    let exists = failed(
        "ResourceExistsException",
        "The operation failed because the secret a already exists.",
    );
    let body = |n: usize| json!({"Name": "a", "ClientRequestToken": token(n)});
    let with = |n: usize, value: &str| {
        let mut body = body(n);
        body["SecretString"] = json!(value);
        body
    };
    // Another token, another shape, or a version that was not made with the secret.
    for body in [body(3), body(1), body(2), with(3, "one"), with(2, "two")] {
        assert_eq!(world.sm_fails("CreateSecret", body.clone()).await, exists, "{body}");
    }
    let other = world.sm_fails("CreateSecret", with(1, "other")).await;
    assert_eq!(other, super::token_in_use(&token(1), &arn));
    assert_eq!(world.labels("a").await, "1:AWSPREVIOUS 2:AWSCURRENT");

    world.sm("DeleteSecret", json!({"SecretId": "a"})).await;
    let text = "You can't create this secret because a secret with this name is already scheduled \
                for deletion.";
    for body in [with(1, "one"), with(3, "x")] {
        let refused = world.sm_fails("CreateSecret", body).await;
        assert_eq!(refused, failed("InvalidRequestException", text));
    }
}
