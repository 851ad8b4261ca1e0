//! Keys used from another account: both sides must allow, and only what AWS offers across accounts.
use crate::support::{delegate, failed, policy, unknown_to};
use crate::world::{OTHER_ACCOUNT, Someone, World, allow};
use serde_json::{Value, json};

const USE: [&str; 6] = [
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncrypt*",
    "kms:GenerateDataKey*",
    "kms:DescribeKey",
    "kms:GenerateRandom",
];

fn foreign(name: &str) -> String {
    format!("arn:aws:iam::{OTHER_ACCOUNT}:{name}")
}

fn letting(who: &str) -> Value {
    let theirs = json!({"Effect": "Allow", "Principal": {"AWS": who}, "Action": "kms:*",
        "Resource": "*"});
    policy(&[delegate(), theirs])
}

async fn uses(world: &World, who: &Someone, key: &str) -> Result<(), String> {
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    let sealed = world.call_as(who, "kms", "Encrypt", body).await.map_err(|e| e.code)?;
    assert_eq!(sealed["KeyId"], key);
    let body = json!({"CiphertextBlob": sealed["CiphertextBlob"]});
    let opened = world.call_as(who, "kms", "Decrypt", body).await.map_err(|e| e.code)?;
    assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!("aGVsbG8="), &json!(key)));
    for name in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
        let body = json!({"KeyId": key, "KeySpec": "AES_256"});
        world.call_as(who, "kms", name, body).await.map_err(|e| e.code)?;
    }
    let body = json!({"CiphertextBlob": sealed["CiphertextBlob"], "DestinationKeyId": key});
    world.call_as(who, "kms", "ReEncrypt", body).await.map_err(|e| e.code)?;
    Ok(())
}

#[tokio::test]
async fn both_accounts_must_allow() {
    let world = World::new().await;
    let able = world.user_of(OTHER_ACCOUNT, "able", allow(&USE)).await;
    let unable = world.user_of(OTHER_ACCOUNT, "unable", allow(&["s3:*"])).await;
    let no = Err("AccessDeniedException".to_owned());
    for (who, able_may, root_may) in [
        (foreign("root"), Ok(()), Ok(())),
        (OTHER_ACCOUNT.to_owned(), Ok(()), Ok(())),
        (foreign("user/able"), Ok(()), no.clone()),
        (foreign("user/unable"), no.clone(), no.clone()),
    ] {
        let key = world.key_with_policy(letting(&who)).await;
        assert_eq!(uses(&world, &able, &key).await, able_may, "{who}");
        assert_eq!(uses(&world, &world.other_root(), &key).await, root_may, "{who}");
        // A key policy alone is never enough for another account's user.
        assert_eq!(uses(&world, &unable, &key).await, no, "{who}");
        assert_eq!(uses(&world, &world.root, &key).await, Ok(()), "{who}");
    }
    let key = world.key().await;
    assert_eq!(uses(&world, &able, &key).await, no);
    assert_eq!(uses(&world, &world.other_root(), &key).await, no);
}

#[tokio::test]
async fn a_foreign_key_goes_by_its_arn_or_alias_arn_only() {
    let world = World::new().await;
    let key = world.key_with_policy(letting(&foreign("root"))).await;
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    let able = world.user_of(OTHER_ACCOUNT, "able", allow(&USE)).await;
    let alias = key.split(":key/").next().unwrap().to_owned() + ":alias/app";
    let body = json!({"KeyId": alias, "Plaintext": "aGVsbG8="});
    assert_eq!(world.kms_as(&able, "Encrypt", body).await["KeyId"], *key);
    for name in [key.rsplit('/').next().unwrap(), "alias/app"] {
        let body = json!({"KeyId": name, "Plaintext": "aGVsbG8="});
        let refused = world.kms_fails_as(&able, "Encrypt", body).await;
        assert_eq!(refused.code, "NotFoundException", "{name}");
        assert!(refused.message.contains(OTHER_ACCOUNT), "{}", refused.message);
    }
}

#[tokio::test]
async fn keys_are_managed_by_their_own_account() {
    let world = World::new().await;
    let key = world.key_with_policy(letting(&foreign("root"))).await;
    let admin = world.user_of(OTHER_ACCOUNT, "admin", allow(&["kms:*"])).await;
    for (name, mut body) in [
        ("CancelKeyDeletion", json!({})),
        ("DisableKey", json!({})),
        ("EnableKey", json!({})),
        ("GetKeyPolicy", json!({})),
        ("ListAliases", json!({})),
        ("ListResourceTags", json!({})),
        ("PutKeyPolicy", json!({"Policy": letting(&foreign("root")).to_string()})),
        ("ScheduleKeyDeletion", json!({})),
        ("TagResource", json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("UntagResource", json!({"TagKeys": ["a"]})),
    ] {
        body["KeyId"] = json!(key);
        let refused = world.kms_fails_as(&admin, name, body).await;
        let text = format!("Key '{key}' does not exist");
        assert_eq!(refused, failed("NotFoundException", text), "{name}");
    }
    let body = json!({"AliasName": "alias/mine", "TargetKeyId": key});
    assert_eq!(world.kms_fails_as(&admin, "CreateAlias", body).await.code, "NotFoundException");
    assert_eq!(world.state(&key).await, "Enabled");
}

#[tokio::test]
async fn somebody_elses_ciphertext_says_nothing() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    let able = world.user_of(OTHER_ACCOUNT, "able", allow(&USE)).await;
    let (who, what) = (foreign("user/able"), "the resource associated with this ciphertext");
    let expected = unknown_to(&who, "kms:Decrypt", what);
    let refused = world.kms_fails_as(&able, "Decrypt", json!({"CiphertextBlob": blob})).await;
    assert_eq!(refused, expected);
    // The same once the key is no more.
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    world.advance(8 * 86_400).await;
    let refused = world.kms_fails_as(&able, "Decrypt", json!({"CiphertextBlob": blob})).await;
    assert_eq!(refused, expected);
}
