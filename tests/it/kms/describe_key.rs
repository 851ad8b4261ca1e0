//! DescribeKey, and with it every way to name a key.
use crate::support::{denied, failed, id_of, policy, unknown_to, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION, World, allow};
use serde_json::json;

const ABSENT: &str = "12345678-1234-1234-1234-123456789012";

#[tokio::test]
async fn four_names_are_one_key() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    let alias = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/app");
    for name in [&key, id_of(&key), "alias/app", &alias] {
        let metadata = world.kms("DescribeKey", json!({"KeyId": name})).await;
        assert_eq!(metadata["KeyMetadata"]["Arn"], *key, "{name}");
    }
}

#[tokio::test]
async fn what_names_no_key_is_not_found() {
    let world = World::new().await;
    let key = world.key().await;
    let here = |rest: &str| format!("arn:aws:kms:{REGION}:{ACCOUNT}:{rest}");
    let upper = id_of(&key).to_uppercase();
    for (name, text) in [
        ("fake-key-id".to_owned(), "Invalid keyId 'fake-key-id'".to_owned()),
        (upper.clone(), format!("Invalid keyId '{upper}'")),
        (format!("{} ", id_of(&key)), format!("Invalid keyId '{} '", id_of(&key))),
        (ABSENT.to_owned(), format!("Key '{}' does not exist", here(&format!("key/{ABSENT}")))),
        (
            here(&format!("key/{ABSENT}")),
            format!("Key '{}' does not exist", here(&format!("key/{ABSENT}"))),
        ),
        (here("key/fake"), "Invalid keyId 'fake'".to_owned()),
        ("alias/none".to_owned(), format!("Alias {} is not found.", here("alias/none"))),
        (here("alias/none"), format!("Alias {} is not found.", here("alias/none"))),
        (key.replace(REGION, OTHER_REGION), format!("Invalid arn {OTHER_REGION}")),
        (key.replace(REGION, "mars-1"), "Invalid arn mars-1".to_owned()),
    ] {
        let refused = world.kms_fails("DescribeKey", json!({"KeyId": name})).await;
        assert_eq!(refused, failed("NotFoundException", text), "{name}");
    }
    for name in ["arn:aws:kms", "arn:aws:s3:::bucket", "arn:", "key/", "alias/", "::::", "\u{0}"] {
        let refused = world.kms_fails("DescribeKey", json!({"KeyId": name})).await;
        assert_eq!(refused.code, "NotFoundException", "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn a_foreign_key_looks_the_same_whether_it_exists_or_not() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    let stranger = world.user_of(OTHER_ACCOUNT, "eve", allow(&["kms:*"])).await;
    let eve = format!("arn:aws:iam::{OTHER_ACCOUNT}:user/eve");
    for name in [
        key.clone(),
        key.replace(id_of(&key), ABSENT),
        format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/app"),
        format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/none"),
        format!("arn:aws:kms:{REGION}:999999999999:key/{}", id_of(&key)),
    ] {
        let (action, what) = ("kms:DescribeKey", "this resource");
        let refused = world.kms_fails_as(&stranger, "DescribeKey", json!({"KeyId": name})).await;
        assert_eq!(refused, unknown_to(&eve, action, what), "{name}");
    }
    let own = key.replace(ACCOUNT, OTHER_ACCOUNT);
    for name in [own.as_str(), id_of(&own)] {
        let refused = world.kms_fails_as(&stranger, "DescribeKey", json!({"KeyId": name})).await;
        assert_eq!(
            refused,
            failed("NotFoundException", format!("Key '{own}' does not exist")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn without_permission_the_denial_names_the_key_and_why() {
    let world = World::new().await;
    let key = world.key().await;
    let ann = world.user("ann", allow(&["kms:Encrypt"])).await;
    let why = "because no identity-based policy allows the kms:DescribeKey action";
    assert_eq!(
        world.kms_fails_as(&ann, "DescribeKey", json!({"KeyId": key})).await,
        denied(&user_arn("ann"), "kms:DescribeKey", &format!("resource: {key} {why}"))
    );
    let no = json!({"Effect": "Deny", "Action": "kms:DescribeKey", "Resource": "*"});
    let yes = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"});
    let bob = world.user("bob", policy(&[yes, no])).await;
    let why = "with an explicit deny in an identity-based policy";
    assert_eq!(
        world.kms_fails_as(&bob, "DescribeKey", json!({"KeyId": key})).await,
        denied(&user_arn("bob"), "kms:DescribeKey", &format!("resource: {key} {why}"))
    );
}

#[tokio::test]
async fn operations_on_keys_take_no_alias() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    for (name, mut body) in [
        ("CancelKeyDeletion", json!({})),
        ("DisableKey", json!({})),
        ("EnableKey", json!({})),
        ("GetKeyPolicy", json!({})),
        ("ListAliases", json!({})),
        ("ListResourceTags", json!({})),
        ("PutKeyPolicy", json!({"Policy": "{}"})),
        ("ScheduleKeyDeletion", json!({})),
        ("TagResource", json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("UntagResource", json!({"TagKeys": ["a"]})),
    ] {
        body["KeyId"] = json!("alias/app");
        let refused = world.kms_fails(name, body).await;
        assert_eq!(refused, failed("NotFoundException", "Invalid keyId 'alias/app'"), "{name}");
    }
    assert_eq!(world.state(&key).await, "Enabled");
}
