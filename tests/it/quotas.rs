//! Quotas: off until configured, then a bucket for each account, region and quota, and AWS's errors.
use crate::front::{Client, code_of};
use crate::support::{failed, id_of, token};
use crate::world::{ACCOUNT, Failed, OTHER_ACCOUNT, OTHER_REGION, World, allow};
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::error::ProvideErrorMetadata;
use claviger::api;
use claviger::quotas::{FIGURES, Quota};
use serde_json::{Value, json};
use std::time::Duration;

const AWS: &str = "requests = \"aws\"";
const KMS_TEXT: &str =
    "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";

fn throttled() -> Failed {
    failed("ThrottlingException", KMS_TEXT)
}

fn secret(name: &str) -> Value {
    json!({"Name": name, "SecretString": "s", "ClientRequestToken": token(1)})
}

/// How many of `tries` calls of root succeed; the others must be throttled.
async fn passed(world: &World, service: &str, name: &str, body: Value, tries: usize) -> usize {
    let mut passed = 0;
    for _ in 0..tries {
        match world.call(service, name, body.clone()).await {
            Ok(_) => passed += 1,
            Err(error) => assert!(error.code.starts_with("Throttling"), "{name}: {error:?}"),
        }
    }
    passed
}

#[tokio::test]
async fn rates_are_not_limited_by_default() {
    let world = World::new().await;
    let key = world.key().await;
    // AWS would let five through.
    let body = json!({"KeyId": key});
    assert_eq!(passed(&world, "kms", "EnableKey", body, 50).await, 50);
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    assert_eq!(passed(&world, "kms", "Encrypt", body, 500).await, 500);
}

#[tokio::test]
async fn what_comes_too_fast_is_refused_until_time_has_passed() {
    let world = World::with_quotas(AWS).await;
    assert_eq!(passed(&world, "kms", "CreateKey", json!({}), 8).await, 5);
    assert_eq!(world.kms_fails("CreateKey", json!({})).await, throttled());
    // Other operations are counted apart.
    assert_eq!(passed(&world, "kms", "ListKeys", json!({}), 100).await, 100);
    world.advance(1).await;
    assert_eq!(passed(&world, "kms", "CreateKey", json!({}), 8).await, 5);
    world.clock.advance(-3600);
    assert_eq!(passed(&world, "kms", "CreateKey", json!({}), 8).await, 0);
    world.clock.advance(1);
    assert_eq!(passed(&world, "kms", "CreateKey", json!({}), 8).await, 5);
}

#[tokio::test]
async fn every_account_and_every_region_is_counted_for_itself() {
    let world = World::with_quotas("[rates]\nkms.CreateKey = 1").await;
    let (root, other) = (world.root.clone(), world.other_root());
    let user = world.user("alice", allow(&["kms:*"])).await;
    world.key().await;
    assert_eq!(world.kms_fails_as(&user, "CreateKey", json!({})).await, throttled());
    world.kms_as(&other, "CreateKey", json!({})).await;
    let there = || world.call_in(&root, OTHER_REGION, "kms", "CreateKey", json!({}));
    assert!(there().await.is_ok());
    assert_eq!(there().await.unwrap_err(), throttled());
}

#[tokio::test]
async fn the_account_that_calls_is_counted_not_the_owner_of_the_key() {
    let world = World::with_quotas("[rates]\nkms.DescribeKey = 1").await;
    let everyone = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}]});
    let key = world.key_with_policy(everyone).await;
    let (other, body) = (world.other_root(), json!({"KeyId": key}));
    world.kms_as(&other, "DescribeKey", body.clone()).await;
    assert_eq!(world.kms_fails_as(&other, "DescribeKey", body.clone()).await, throttled());
    world.kms("DescribeKey", body).await;
}

#[tokio::test]
async fn a_refused_call_has_its_event_and_changes_nothing() {
    let world = World::with_quotas("[rates]\nkms.ScheduleKeyDeletion = 0.1").await;
    let (one, two) = (world.key().await, world.key().await);
    world.kms("ScheduleKeyDeletion", json!({"KeyId": one})).await;
    let refused = world.kms_fails("ScheduleKeyDeletion", json!({"KeyId": two})).await;
    assert_eq!(refused, throttled());
    assert_eq!(world.state(&two).await, "Enabled");
    let events = world.events();
    let event = &events[events.len() - 2];
    assert_eq!(event.event_name, "ScheduleKeyDeletion");
    assert_eq!(event.error_code.as_deref(), Some("ThrottlingException"));
    assert_eq!(event.error_message.as_deref(), Some(KMS_TEXT));
    assert_eq!(event.recipient_account_id, ACCOUNT);
    // It was refused before anything of it was read.
    assert_eq!(event.request_parameters, None);
    world.advance(9).await;
    assert_eq!(
        world.kms_fails("ScheduleKeyDeletion", json!({"KeyId": two})).await.code,
        "ThrottlingException"
    );
    world.advance(1).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": two})).await;
}

#[tokio::test]
async fn uses_of_keys_share_a_quota_by_the_kind_of_key() {
    let world = World::with_quotas("[rates]\nkms.CryptographicOperations_symmetric = 6").await;
    let (key, other) = (world.key().await, world.key().await);
    let blob = world.hello(&key).await;
    let body = json!({"CiphertextBlob": blob});
    world.kms("Decrypt", body.clone()).await;
    // Two keys, one request.
    let re_encrypt = json!({"CiphertextBlob": blob, "DestinationKeyId": other});
    world.kms("ReEncrypt", re_encrypt.clone()).await;
    world.kms("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})).await;
    world.kms("GenerateRandom", json!({"NumberOfBytes": 8})).await;
    let dry = json!({"KeyId": key, "Plaintext": "aGVsbG8=", "DryRun": true});
    assert_eq!(world.kms_fails("Encrypt", dry).await.code, "DryRunOperationException");
    for (name, body) in [
        ("Decrypt", body),
        ("ReEncrypt", re_encrypt),
        ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "NumberOfBytes": 16})),
        ("GenerateRandom", json!({"NumberOfBytes": 8})),
    ] {
        assert_eq!(world.kms_fails(name, body).await, throttled(), "{name}");
    }
    // Management goes on, and who may not use the key does not learn how busy it is.
    world.kms("DescribeKey", json!({"KeyId": key})).await;
    let nobody = world.nobody().await;
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    assert_eq!(world.kms_fails_as(&nobody, "Encrypt", body).await.code, "AccessDeniedException");
}

#[tokio::test]
async fn kinds_of_keys_and_pairs_are_counted_apart() {
    let world = World::with_quotas(
        "[rates]
kms.CryptographicOperations_symmetric = 1
kms.CryptographicOperations_ECC = 2
kms.GenerateDataKeyPair_ECC_NIST_P256 = 1
kms.GenerateDataKeyPair_ECC_NIST_P384 = 0.5",
    )
    .await;
    let key = world.key().await;
    let spec = json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"});
    let made = world.kms("CreateKey", spec).await;
    let signer = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let sign = json!({"KeyId": signer, "Message": "aGVsbG8=", "SigningAlgorithm": "ECDSA_SHA_256"});
    let mut verify = sign.clone();
    verify["Signature"] = world.kms("Sign", sign.clone()).await["Signature"].clone();
    world.kms("Verify", verify.clone()).await;
    assert_eq!(world.kms_fails("Sign", sign).await, throttled());
    assert_eq!(world.kms_fails("Verify", verify).await, throttled());
    // GetPublicKey is counted as itself, pairs by their spec and not by the key that wraps them.
    world.kms("GetPublicKey", json!({"KeyId": signer})).await;
    let pair = |curve: &str| json!({"KeyId": key, "KeyPairSpec": format!("ECC_NIST_{curve}")});
    let without = "GenerateDataKeyPairWithoutPlaintext";
    world.kms("GenerateDataKeyPair", pair("P256")).await;
    world.kms("GenerateDataKeyPair", pair("P384")).await;
    world.kms("GenerateDataKeyPair", pair("P521")).await;
    world.hello(&key).await;
    assert_eq!(world.kms_fails(without, pair("P256")).await, throttled());
    world.clock.advance(1);
    world.kms(without, pair("P256")).await;
    assert_eq!(world.kms_fails("GenerateDataKeyPair", pair("P384")).await, throttled());
    world.clock.advance(1);
    world.kms(without, pair("P384")).await;
}

#[tokio::test]
async fn a_replica_counts_as_two_keys_made_in_its_region() {
    let world = World::with_quotas("[rates]\nkms.CreateKey = 3\n[resources]\nkeys = 2").await;
    let made = world.kms("CreateKey", json!({"MultiRegion": true})).await;
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let there = || world.call_in(&world.root, OTHER_REGION, "kms", "CreateKey", json!({}));
    let replicate =
        || world.call("kms", "ReplicateKey", json!({"KeyId": key, "ReplicaRegion": OTHER_REGION}));
    there().await.unwrap();
    there().await.unwrap();
    assert_eq!(replicate().await.unwrap_err(), throttled());
    world.clock.advance(1);
    assert_eq!(replicate().await.unwrap_err().code, "LimitExceededException");
    // Refused, but counted: two of three.
    assert_eq!(there().await.unwrap_err().code, "LimitExceededException");
    assert_eq!(there().await.unwrap_err(), throttled());
}

#[tokio::test]
async fn what_secrets_manager_asks_of_kms_counts_for_its_caller() {
    let world = World::with_quotas("[rates]\nkms.CryptographicOperations_symmetric = 2").await;
    world.call("secretsmanager", "CreateSecret", secret("one")).await.unwrap();
    world.call("secretsmanager", "GetSecretValue", json!({"SecretId": "one"})).await.unwrap();
    let random = world.kms_fails("GenerateRandom", json!({"NumberOfBytes": 8})).await;
    assert_eq!(random, throttled());
    let rate = failed("ThrottlingException", "Rate exceeded");
    for (name, body) in
        [("GetSecretValue", json!({"SecretId": "one"})), ("CreateSecret", secret("two"))]
    {
        let refused = world.call("secretsmanager", name, body).await.unwrap_err();
        assert_eq!(refused, rate, "{name}");
        // The call to KMS has its own event, with KMS's words.
        let events = world.events();
        let inner = &events[events.len() - 2];
        assert_eq!(inner.event_source, "kms.amazonaws.com");
        assert_eq!(inner.error_message.as_deref(), Some(KMS_TEXT), "{name}");
    }
    world.advance(1).await;
    world.call("secretsmanager", "CreateSecret", secret("two")).await.unwrap();
}

#[tokio::test]
async fn other_services_have_their_own_quotas_and_words() {
    let rates = "[rates]\nsecretsmanager.ReadSecret = 2\nsts.Requests = 1\niam.Requests = 1";
    let world = World::with_quotas(rates).await;
    world.call("secretsmanager", "CreateSecret", secret("one")).await.unwrap();
    let one = json!({"SecretId": "one"});
    world.call("secretsmanager", "DescribeSecret", one.clone()).await.unwrap();
    world.call("secretsmanager", "GetSecretValue", one.clone()).await.unwrap();
    for name in ["DescribeSecret", "GetSecretValue"] {
        let refused = world.call("secretsmanager", name, one.clone()).await.unwrap_err();
        assert_eq!(refused, failed("ThrottlingException", "Rate exceeded"), "{name}");
    }
    let throttling = failed("Throttling", "Rate exceeded");
    world.call("sts", "GetCallerIdentity", json!({})).await.unwrap();
    let refused = world.call("sts", "GetCallerIdentity", json!({})).await.unwrap_err();
    assert_eq!(refused, throttling);
    // All operations of IAM together.
    world.iam("ListUsers", json!({})).await;
    assert_eq!(world.iam_fails("CreateUser", json!({"UserName": "bob"})).await, throttling);
}

#[tokio::test]
async fn strangers_do_not_use_up_the_quota_of_the_account_they_name() {
    let world = World::with_quotas("[rates]\nsts.Requests = 3").await;
    let client = Client::new(&world).await;
    let ask = async |account: &str| {
        let role = format!("RoleArn=arn:aws:iam::{account}:role/any&RoleSessionName=s1");
        let form = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=x.y.z";
        code_of(&client.send(&client.form(&format!("{form}&{role}"))).await).unwrap()
    };
    for _ in 0..3 {
        assert_eq!(ask(ACCOUNT).await, "InvalidIdentityToken");
    }
    // Nor do they get more by naming others.
    for account in [ACCOUNT, OTHER_ACCOUNT, "999999999999"] {
        assert_eq!(ask(account).await, "Throttling");
    }
    let form = client.form("Action=GetCallerIdentity&Version=2011-06-15");
    for who in [&world.root, &world.other_root()] {
        for _ in 0..3 {
            assert_eq!(client.send(&client.sign(form.clone(), who, "sts")).await.status, 200);
        }
    }
    world.clock.advance(1);
    assert_eq!(ask(ACCOUNT).await, "InvalidIdentityToken");
}

#[tokio::test]
async fn an_sdk_sees_a_throttling_error() {
    let world = World::with_quotas("[rates]\nkms.ListKeys = 0.01").await;
    let config = world.sdk(&world.root).await;
    let once = aws_sdk_kms::config::Builder::from(&config).retry_config(RetryConfig::disabled());
    let client = aws_sdk_kms::Client::from_conf(once.build());
    client.list_keys().send().await.unwrap();
    let refused = client.list_keys().send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 400);
    let refused = refused.into_service_error();
    assert_eq!(refused.code(), Some("ThrottlingException"));
    assert_eq!(refused.message(), Some(KMS_TEXT));
    // The SDK's own judgement: it tries again, as it does only where the server is too busy.
    let retry =
        RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1));
    let thrice = aws_sdk_kms::config::Builder::from(&config).retry_config(retry).build();
    let before = world.events().len();
    aws_sdk_kms::Client::from_conf(thrice).list_keys().send().await.unwrap_err();
    assert_eq!(world.events().len() - before, 3);
    let sts = aws_sdk_sts::config::Builder::from(&config).retry_config(RetryConfig::disabled());
    aws_sdk_sts::Client::from_conf(sts.build()).get_caller_identity().send().await.unwrap();
}

#[tokio::test]
async fn keys_are_counted_in_every_state_if_there_is_a_quota() {
    let world = World::with_quotas("[resources]\nkeys = 2").await;
    // The key of Secrets Manager is AWS's, not the account's.
    world.call("secretsmanager", "CreateSecret", secret("one")).await.unwrap();
    let (one, two) = (world.key().await, world.key().await);
    let text = "The account has 2 KMS keys in this Region, which is the limit.";
    let full = failed("LimitExceededException", text);
    assert_eq!(world.kms_fails("CreateKey", json!({})).await, full);
    world.kms("DisableKey", json!({"KeyId": one})).await;
    let body = json!({"KeyId": two, "PendingWindowInDays": 7});
    world.kms("ScheduleKeyDeletion", body).await;
    assert_eq!(world.kms_fails("CreateKey", json!({})).await, full);
    // Another region and another account have room.
    let there = world.call_in(&world.root, OTHER_REGION, "kms", "CreateKey", json!({})).await;
    there.unwrap();
    world.kms_as(&world.other_root(), "CreateKey", json!({})).await;
    // Who may not make keys learns nothing of the quota.
    let nobody = world.nobody().await;
    let refused = world.kms_fails_as(&nobody, "CreateKey", json!({})).await;
    assert_eq!(refused.code, "AccessDeniedException");
    world.advance(7 * 86_400 + 1).await;
    world.key().await;
    assert_eq!(world.kms_fails("CreateKey", json!({})).await, full);
}

#[tokio::test]
async fn keys_are_counted_beyond_a_page() {
    let world = World::with_quotas("[resources]\nkeys = 101").await;
    for _ in 0..101 {
        world.key().await;
    }
    assert_eq!(world.kms_fails("CreateKey", json!({})).await.code, "LimitExceededException");
}

#[tokio::test]
async fn an_account_can_have_resource_quotas_of_its_own() {
    let section = format!(
        "[resources]\naliases_per_key = 51\nkey_policy_bytes = 40000\n\
         [accounts.{ACCOUNT}.resources]\naliases_per_key = 1\nkey_policy_bytes = 400"
    );
    let world = World::with_quotas(&section).await;
    let (key, other) = (world.key().await, world.key().await);
    let alias = |name: &str, key: &str| json!({"AliasName": name, "TargetKeyId": id_of(key)});
    world.kms("CreateAlias", alias("alias/one", &key)).await;
    world.kms("CreateAlias", alias("alias/two", &other)).await;
    let text = format!("{key} has 1 aliases, which is the limit.");
    let full = failed("LimitExceededException", text);
    assert_eq!(world.kms_fails("CreateAlias", alias("alias/three", &key)).await, full);
    assert_eq!(world.kms_fails("UpdateAlias", alias("alias/two", &key)).await, full);

    let padded = |length: usize, account: &str| {
        let policy = |sid: &str| {
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*",
                "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}, "Resource": "*"}],
                "Id": sid})
            .to_string()
        };
        let rest = length - policy("").len();
        policy(&"x".repeat(rest))
    };
    let put = |key: &str, policy: String| json!({"KeyId": key, "Policy": policy});
    world.kms("PutKeyPolicy", put(&key, padded(400, ACCOUNT))).await;
    let text = "The policy is longer than 400 bytes.";
    let refused = world.kms_fails("PutKeyPolicy", put(&key, padded(401, ACCOUNT))).await;
    assert_eq!(refused, failed("LimitExceededException", text));

    let root = world.other_root();
    let made = world.kms_as(&root, "CreateKey", json!({})).await;
    let theirs = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    for n in 0..51 {
        world.kms_as(&root, "CreateAlias", alias(&format!("alias/{n}"), &theirs)).await;
    }
    let refused = world.kms_fails_as(&root, "CreateAlias", alias("alias/more", &theirs)).await;
    assert_eq!(refused.code, "LimitExceededException");
    world.kms_as(&root, "PutKeyPolicy", put(&theirs, padded(40_000, &root.account))).await;
    let body = put(&theirs, padded(40_001, &root.account));
    let refused = world.kms_fails_as(&root, "PutKeyPolicy", body).await;
    assert_eq!(refused.code, "LimitExceededException");
}

/// A name in the table that is no operation of the service would limit nothing.
#[test]
fn the_table_covers_the_services() {
    for figure in FIGURES {
        let table = api::SERVICES
            .iter()
            .find(|t| format!("{}", figure.quota).starts_with(&format!("{}.", t.signing_name)));
        let model = (table.expect("a service").model)();
        for name in figure.operations().filter(|name| *name != "*") {
            assert!(model.operation(name).is_some(), "{name}");
        }
    }
    // Whatever is not there uses a key, and counts by the key.
    let by_key = [
        "Decapsulate",
        "Decrypt",
        "DeriveSharedSecret",
        "Encapsulate",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateMac",
        "ReEncrypt",
        "Sign",
        "Verify",
        "VerifyMac",
    ];
    for entry in api::kms::OPERATIONS {
        let own = Quota::of_operation("kms", entry.name).is_some();
        assert_ne!(own, by_key.contains(&entry.name), "{}", entry.name);
    }
    for entry in api::secretsmanager::OPERATIONS {
        assert!(Quota::of_operation("secretsmanager", entry.name).is_some(), "{}", entry.name);
    }
}
