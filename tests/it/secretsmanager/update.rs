//! UpdateSecret: description, value, and a change of keys that takes the versions in use along.
use super::{NOW_SECS, kms_denied, not_found, token, token_in_use};
use crate::support::{failed, policy};
use crate::world::World;
use serde_json::{Value, json};

fn update(n: usize, members: Value) -> Value {
    let mut body = json!({"SecretId": "a", "ClientRequestToken": token(n)});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_description_alone() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    world.clock.advance(60);
    let answer = world.sm("UpdateSecret", update(2, json!({"Description": "mine"}))).await;
    assert_eq!(answer, json!({"ARN": arn, "Name": "a"}));
    let described = world.describe("a").await;
    assert_eq!(described["Description"], "mine");
    assert_eq!(described["LastChangedDate"], NOW_SECS + 60);
    assert_eq!(world.labels("a").await, "1:AWSCURRENT");
    world.sm("UpdateSecret", update(2, json!({"Description": ""}))).await;
    assert_eq!(world.describe("a").await.get("Description"), None);
}

#[tokio::test]
async fn a_value() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let body = update(2, json!({"SecretString": "two"}));
    let answer = world.sm("UpdateSecret", body.clone()).await;
    assert_eq!(answer, json!({"ARN": arn, "Name": "a", "VersionId": token(2)}));
    assert_eq!(world.sm("UpdateSecret", body).await, answer);
    assert_eq!(world.labels("a").await, "1:AWSPREVIOUS 2:AWSCURRENT");
    assert_eq!(world.value("a").await, "two");
    // All or nothing.
    let body = update(2, json!({"SecretString": "other", "Description": "new"}));
    let refused = world.sm_fails("UpdateSecret", body).await;
    assert_eq!(refused, token_in_use(&token(2), &arn));
    assert_eq!(world.describe("a").await.get("Description"), None);
    assert_eq!(world.value("a").await, "two");
    world.sm("UpdateSecret", update(3, json!({"SecretBinary": "AAEC"}))).await;
    let got = world.sm("GetSecretValue", json!({"SecretId": "a"})).await;
    assert_eq!(got["SecretBinary"], "AAEC");
}

#[tokio::test]
async fn requests_that_make_no_sense() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let mut missing = update(2, json!({"Description": "x"}));
    missing["SecretId"] = json!("b");
    assert_eq!(world.sm_fails("UpdateSecret", missing).await, not_found());
    let refused = world.sm_fails("UpdateSecret", json!({"SecretId": "a"})).await;
    let text = "You must provide a ClientRequestToken value. We recommend a UUID-type value.";
    assert_eq!(refused, failed("InvalidRequestException", text));
    for (members, code) in [
        (json!({"SecretString": "x", "SecretBinary": "AAEC"}), "InvalidParameterException"),
        (json!({"Type": "x y"}), "InvalidParameterException"),
        (json!({"SecretString": ""}), "ValidationException"),
        (json!({"Description": "x".repeat(2049)}), "ValidationException"),
        (json!({"KmsKeyId": "alias/none"}), "EncryptionFailure"),
    ] {
        let refused = world.sm_fails("UpdateSecret", update(2, members.clone())).await;
        assert_eq!(refused.code, code, "{members}");
    }
    assert_eq!(world.labels("a").await, "1:AWSCURRENT");
}

/// The keys of every version, in the order of their tokens.
async fn keys(world: &World) -> Vec<String> {
    let key = |version: &Value| version["KmsKeyIds"][0].as_str().unwrap().to_owned();
    world.versions("a").await.iter().map(key).collect()
}

#[tokio::test]
async fn a_new_key_takes_the_versions_in_use_along() {
    let world = World::new().await;
    let (old, new) = (world.key().await, world.key().await);
    world.secret_under("a", "one", &old).await;
    world.put("a", 2, "two").await;
    world.put("a", 3, "three").await;
    let mut pending = super::version("a", 4, "four");
    pending["VersionStages"] = json!(["AWSPENDING"]);
    world.sm("PutSecretValue", pending).await;
    let mut custom = super::version("a", 5, "five");
    custom["VersionStages"] = json!(["blue"]);
    world.sm("PutSecretValue", custom).await;
    let answer = world.sm("UpdateSecret", update(6, json!({"KmsKeyId": new}))).await;
    assert_eq!(answer.get("VersionId"), None);
    assert_eq!(world.describe("a").await["KmsKeyId"], new);
    // Neither the deprecated version nor one with a label of the caller's only.
    assert_eq!(keys(&world).await, [&old, &new, &new, &new, &old].map(String::clone));

    world.kms("DisableKey", json!({"KeyId": old})).await;
    for (n, value) in [(2, "two"), (3, "three"), (4, "four")] {
        assert_eq!(world.value_at("a", n).await, value);
    }
    for n in [1, 5] {
        let body = json!({"SecretId": "a", "VersionId": token(n)});
        let refused = world.sm_fails("GetSecretValue", body).await;
        assert_eq!(refused.code, "DecryptionFailure");
    }
    world.kms("EnableKey", json!({"KeyId": old})).await;
    assert_eq!(world.value_at("a", 1).await, "one");
    world.kms("DisableKey", json!({"KeyId": new})).await;
    let refused = world.sm_fails("GetSecretValue", json!({"SecretId": "a"})).await;
    assert_eq!(refused.code, "DecryptionFailure");
    assert!(refused.message.contains("is disabled"), "{refused:?}");
}

#[tokio::test]
async fn a_value_and_a_key_together_and_back_to_the_default() {
    let world = World::new().await;
    let key = world.key().await;
    world.secret("a", "one").await;
    let body = update(2, json!({"SecretString": "two", "KmsKeyId": key}));
    let from = world.events().len();
    assert_eq!(world.sm("UpdateSecret", body).await["VersionId"], token(2));
    let expected = [
        "GenerateDataKey", // the key is tried out
        "Decrypt",
        "GenerateDataKey", // the new version
        "Decrypt",         // the previous one moves
        "GenerateDataKey",
        "UpdateSecret",
    ];
    assert_eq!(world.event_names(from), expected);
    assert_eq!(keys(&world).await, [&key, &key].map(String::clone));
    world.sm("UpdateSecret", update(3, json!({"KmsKeyId": ""}))).await;
    assert_eq!(world.describe("a").await.get("KmsKeyId"), None);
    assert_eq!(keys(&world).await, ["DefaultEncryptionKey"; 2]);
    world.kms("DisableKey", json!({"KeyId": key})).await;
    assert_eq!(world.value("a").await, "two");
    assert_eq!(world.value_at("a", 1).await, "one");
}

#[tokio::test]
async fn an_alias_that_points_elsewhere_counts_from_the_next_write() {
    let world = World::new().await;
    let (first, second) = (world.key().await, world.key().await);
    world.kms("CreateAlias", json!({"AliasName": "alias/s", "TargetKeyId": first})).await;
    world.secret_under("a", "one", "alias/s").await;
    world.kms("UpdateAlias", json!({"AliasName": "alias/s", "TargetKeyId": second})).await;
    world.put("a", 2, "two").await;
    assert_eq!(keys(&world).await, [&first, &second].map(String::clone));
    assert_eq!(world.value_at("a", 1).await, "one");
    // Naming the key again takes the others along.
    world.sm("UpdateSecret", update(3, json!({"KmsKeyId": "alias/s"}))).await;
    assert_eq!(keys(&world).await, [&second, &second].map(String::clone));
}

#[tokio::test]
async fn a_key_that_cannot_be_used_changes_nothing() {
    let world = World::new().await;
    let (old, new) = (world.key().await, world.key().await);
    world.secret_under("a", "one", &old).await;
    let secrets = json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"});
    let on = |key: &str| json!({"Effect": "Allow", "Action": "kms:*", "Resource": key});
    // To move a secret takes both keys.
    for (name, key) in [("olds", &old), ("news", &new)] {
        let who = world.user(name, policy(&[secrets.clone(), on(key)])).await;
        let body = update(2, json!({"KmsKeyId": new, "Description": "x"}));
        assert_eq!(world.sm_fails_as(&who, "UpdateSecret", body).await, kms_denied(), "{name}");
    }
    world.kms("DisableKey", json!({"KeyId": new})).await;
    let body = update(2, json!({"KmsKeyId": new, "SecretString": "x"}));
    assert_eq!(world.sm_fails("UpdateSecret", body).await.code, "EncryptionFailure");
    world.kms("EnableKey", json!({"KeyId": new})).await;
    world.kms("DisableKey", json!({"KeyId": old})).await;
    let body = update(2, json!({"KmsKeyId": new}));
    assert_eq!(world.sm_fails("UpdateSecret", body).await.code, "DecryptionFailure");
    world.kms("EnableKey", json!({"KeyId": old})).await;
    let described = world.describe("a").await;
    assert_eq!((&described["KmsKeyId"], described.get("Description")), (&json!(old), None));
    assert_eq!(keys(&world).await, [old]);
    assert_eq!(world.value("a").await, "one");
}
