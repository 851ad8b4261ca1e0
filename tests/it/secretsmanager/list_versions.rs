//! ListSecretVersionIds.
use super::{DAY, NOW_SECS, not_found, token};
use crate::support::failed;
use crate::world::World;
use serde_json::{Value, json};

fn ids(page: &Value) -> Vec<String> {
    let versions = page["Versions"].as_array().unwrap();
    versions.iter().map(|version| version["VersionId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn versions_with_their_labels_dates_and_keys() {
    let world = World::new().await;
    let key = world.key().await;
    let arn = world.secret("a", "one").await;
    world.clock.advance(60);
    world.put("a", 2, "two").await;
    let body = json!({"SecretId": "a", "ClientRequestToken": token(3), "SecretString": "three",
        "KmsKeyId": key});
    world.sm("UpdateSecret", body).await;
    world.clock.advance(DAY);
    world.value("a").await;
    world.advance(0).await;
    let current = json!({
        "VersionId": token(3), "VersionStages": ["AWSCURRENT"], "CreatedDate": NOW_SECS + 60,
        "LastAccessedDate": NOW_SECS + DAY, "KmsKeyIds": [key],
    });
    let previous = json!({
        "VersionId": token(2), "VersionStages": ["AWSPREVIOUS"], "CreatedDate": NOW_SECS + 60,
        "KmsKeyIds": [key],
    });
    let deprecated = json!({
        "VersionId": token(1), "CreatedDate": NOW_SECS, "KmsKeyIds": ["DefaultEncryptionKey"],
    });
    for (all, versions) in [
        (json!(null), json!([previous, current])),
        (json!(false), json!([previous, current])),
        (json!(true), json!([deprecated, previous, current])),
    ] {
        let body = json!({"SecretId": "a", "IncludeDeprecated": all});
        let listed = world.sm("ListSecretVersionIds", body).await;
        assert_eq!(listed, json!({"ARN": arn, "Name": "a", "Versions": versions}));
    }
}

#[tokio::test]
async fn pages() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    for n in 2..=5 {
        world.put("a", n, "x").await;
    }
    let list = |more: Value| {
        let mut body = json!({"SecretId": "a", "IncludeDeprecated": true, "MaxResults": 2});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let first = world.sm("ListSecretVersionIds", list(json!({}))).await;
    assert_eq!(ids(&first), [token(1), token(2)]);
    let next = first["NextToken"].clone();
    let body = list(json!({"NextToken": next, "SecretId": arn}));
    let second = world.sm("ListSecretVersionIds", body).await;
    assert_eq!(ids(&second), [token(3), token(4)]);
    let body = list(json!({"NextToken": second["NextToken"]}));
    let third = world.sm("ListSecretVersionIds", body).await;
    assert_eq!((ids(&third), third.get("NextToken")), (vec![token(5)], None));

    world.secret("b", "one").await;
    let invalid = failed("InvalidNextTokenException", "The NextToken value is invalid.");
    let elsewhere = list(json!({"NextToken": next, "SecretId": "b"}));
    assert_eq!(world.sm_fails("ListSecretVersionIds", elsewhere).await, invalid);
    assert_eq!(world.sm_fails("ListSecrets", json!({"NextToken": next})).await, invalid);
    for bad in [0, 101] {
        let refused =
            world.sm_fails("ListSecretVersionIds", list(json!({"MaxResults": bad}))).await;
        assert_eq!(refused.code, "ValidationException");
    }
}

#[tokio::test]
async fn no_versions_no_secret_and_a_scheduled_one() {
    let world = World::new().await;
    let body = json!({"Name": "a", "ClientRequestToken": token(1)});
    let arn = world.sm("CreateSecret", body).await["ARN"].clone();
    let listed = world.sm("ListSecretVersionIds", json!({"SecretId": "a"})).await;
    assert_eq!(listed, json!({"ARN": arn, "Name": "a", "Versions": []}));
    let missing = world.sm_fails("ListSecretVersionIds", json!({"SecretId": "b"})).await;
    assert_eq!(missing, not_found());
    world.put("a", 2, "x").await;
    world.sm("DeleteSecret", json!({"SecretId": "a"})).await;
    assert_eq!(world.labels("a").await, "2:AWSCURRENT");
}
