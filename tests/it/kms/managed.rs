//! The AWS managed key `aws/secretsmanager`.
use crate::support::{failed, token};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION, World, allow};
use serde_json::{Value, json};

const ALIAS: &str = "alias/aws/secretsmanager";

async fn managed(world: &World) -> Value {
    world.kms("DescribeKey", json!({"KeyId": ALIAS})).await["KeyMetadata"].clone()
}

#[tokio::test]
async fn describing_it_makes_it_once() {
    let world = World::new().await;
    assert_eq!(world.kms("ListKeys", json!({})).await["Keys"], json!([]));
    let key = managed(&world).await;
    assert_eq!((&key["KeyManager"], &key["KeyState"]), (&json!("AWS"), &json!("Enabled")));
    assert_eq!(managed(&world).await, key);
    assert_eq!(world.kms("DescribeKey", json!({"KeyId": key["Arn"]})).await["KeyMetadata"], key);
    assert_eq!(world.kms("ListKeys", json!({})).await["Keys"].as_array().unwrap().len(), 1);
    let aliases = world.kms("ListAliases", json!({})).await;
    assert_eq!(aliases["Aliases"][0]["AliasName"], ALIAS);
    assert_eq!(aliases["Aliases"][0]["TargetKeyId"], key["KeyId"]);
    let text = world.kms("GetKeyPolicy", json!({"KeyId": key["Arn"]})).await;
    assert!(text["Policy"].as_str().unwrap().contains("auto-secretsmanager-1"));
    // One for each region and account.
    let body = json!({"KeyId": ALIAS});
    let there = world.call_in(&world.root, OTHER_REGION, "kms", "DescribeKey", body.clone()).await;
    assert_ne!(there.unwrap()["KeyMetadata"]["KeyId"], key["KeyId"]);
    let theirs = world.kms_as(&world.other_root(), "DescribeKey", body).await;
    assert_ne!(theirs["KeyMetadata"]["KeyId"], key["KeyId"]);
}

#[tokio::test]
async fn describing_it_by_the_arn_of_its_alias_makes_it_too() {
    let world = World::new().await;
    let arn = |region: &str, account: &str| format!("arn:aws:kms:{region}:{account}:{ALIAS}");
    // Nobody makes another account's or another region's.
    for (region, account) in [(REGION, OTHER_ACCOUNT), (OTHER_REGION, ACCOUNT)] {
        world.kms_fails("DescribeKey", json!({"KeyId": arn(region, account)})).await;
    }
    let ann = world.user("ann", allow(&["kms:ListKeys"])).await;
    let body = json!({"KeyId": arn(REGION, ACCOUNT)});
    let refused = world.kms_fails_as(&ann, "DescribeKey", body.clone()).await;
    assert_eq!(refused.code, "AccessDeniedException");
    assert_eq!(world.kms("ListKeys", json!({})).await["Keys"], json!([]));
    assert_eq!(
        world.kms_as(&world.other_root(), "ListKeys", json!({})).await["Keys"],
        json!([]),
        "nor by asking from here"
    );
    let key = world.kms("DescribeKey", body).await["KeyMetadata"].clone();
    assert_eq!((&key["KeyManager"], &key["KeyState"]), (&json!("AWS"), &json!("Enabled")));
    assert_eq!(managed(&world).await, key);
}

#[tokio::test]
async fn whoever_may_not_describe_it_does_not_make_it() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["kms:ListKeys"])).await;
    let refused = world.kms_fails_as(&ann, "DescribeKey", json!({"KeyId": ALIAS})).await;
    assert_eq!(refused.code, "AccessDeniedException");
    assert_eq!(world.kms("ListKeys", json!({})).await["Keys"], json!([]));
    let absent = world.kms_fails("DescribeKey", json!({"KeyId": "alias/aws/s3"})).await;
    assert_eq!(absent.code, "NotFoundException");
}

#[tokio::test]
async fn nobody_changes_it() {
    let world = World::new().await;
    let key = managed(&world).await["Arn"].clone();
    let own = world.key().await;
    let policy = world.kms("GetKeyPolicy", json!({"KeyId": own})).await["Policy"].clone();
    for (name, body) in [
        ("PutKeyPolicy", json!({"KeyId": key, "Policy": policy})),
        ("TagResource", json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("UntagResource", json!({"KeyId": key, "TagKeys": ["a"]})),
        ("EnableKey", json!({"KeyId": key})),
        ("DisableKey", json!({"KeyId": key})),
        ("ScheduleKeyDeletion", json!({"KeyId": key})),
        ("CancelKeyDeletion", json!({"KeyId": key})),
        ("CreateAlias", json!({"AliasName": "alias/mine", "TargetKeyId": key})),
    ] {
        let refused = world.kms_fails(name, body).await;
        assert_eq!(refused.code, "AccessDeniedException", "{name}: {refused:?}");
    }
    world.kms("CreateAlias", json!({"AliasName": "alias/own", "TargetKeyId": own})).await;
    let body = json!({"AliasName": "alias/own", "TargetKeyId": key});
    assert_eq!(world.kms_fails("UpdateAlias", body).await.code, "AccessDeniedException");
    let reserved = failed(
        "ValidationException",
        "Alias names that begin with alias/aws/ are reserved for AWS managed keys.",
    );
    let body = json!({"AliasName": ALIAS, "TargetKeyId": own});
    assert_eq!(world.kms_fails("UpdateAlias", body).await, reserved);
    assert_eq!(world.kms_fails("DeleteAlias", json!({"AliasName": ALIAS})).await, reserved);
    assert_eq!(managed(&world).await["Arn"], key);
}

#[tokio::test]
async fn it_works_through_secrets_manager_and_never_directly() {
    let world = World::new().await;
    let key = managed(&world).await["Arn"].clone();
    let admin = world.user("admin", allow(&["*"])).await;
    let own = world.key().await;
    let blob = world.hello(&own).await;
    for who in [&world.root, &admin] {
        for (name, body) in [
            ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
            ("Encrypt", json!({"KeyId": ALIAS, "Plaintext": "aGVsbG8="})),
            ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
            ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "KeySpec": "AES_256"})),
            ("Decrypt", json!({"KeyId": key, "CiphertextBlob": blob})),
            ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key})),
        ] {
            let refused = world.kms_fails_as(who, name, body).await;
            assert_eq!(refused.code, "AccessDeniedException", "{name}: {refused:?}");
        }
    }
    let body = json!({"Name": "s", "SecretString": "v", "ClientRequestToken": token(1)});
    world.call_as(&admin, "secretsmanager", "CreateSecret", body).await.unwrap();
    let body = json!({"SecretId": "s"});
    let read = world.call_as(&admin, "secretsmanager", "GetSecretValue", body).await.unwrap();
    assert_eq!(read["SecretString"], "v");
}
