//! What the audit log says of secrets, and that it never says a value. Data keys that only open in
//! their place.
use super::{ALIAS, not_found, token, version};
use crate::counting::Counting;
use crate::world::{ACCOUNT, OTHER_REGION, REGION, Someone, World, allow};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use claviger::audit::Event;
use claviger::call::replay;
use claviger::quotas::Settings;
use claviger::secrets::{Secret, Version};
use claviger::store::StoreError;
use claviger_hsm::SoftwareHsm;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

const SERVICE: &str = "secretsmanager.amazonaws.com";

async fn default_key(world: &World) -> String {
    let described = world.kms("DescribeKey", json!({"KeyId": ALIAS})).await;
    described["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

fn context(arn: &str, n: usize) -> Value {
    json!({"SecretARN": arn, "SecretVersionId": token(n)})
}

/// What every event of a call that Secrets Manager made has.
fn assert_on_behalf(event: &Event, who: &Someone, key: &str, context: &Value) {
    assert_eq!(event.event_source, "kms.amazonaws.com");
    assert_eq!(event.user_identity.invoked_by.as_deref(), Some(SERVICE));
    assert_eq!(event.user_identity.access_key_id.as_deref(), Some(&*who.access_key_id));
    assert_eq!((event.source_ip_address.as_str(), event.user_agent.as_str()), (SERVICE, SERVICE));
    assert_eq!(event.resources.len(), 1);
    assert_eq!(event.resources[0].arn, key);
    assert_eq!(event.request_parameters.as_ref().unwrap()["encryptionContext"], *context);
    assert_eq!(event.recipient_account_id, ACCOUNT);
}

#[tokio::test]
async fn a_read_is_two_events() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let key = default_key(&world).await;
    let ann = world.user("ann", allow(&["secretsmanager:GetSecretValue"])).await;
    for _ in 0..2 {
        let from = world.events().len();
        world.sm_as(&ann, "GetSecretValue", json!({"SecretId": "a"})).await;
        let events = world.events().split_off(from);
        assert_eq!(world.event_names(from), ["Decrypt", "GetSecretValue"]);
        assert_on_behalf(&events[0], &ann, &key, &context(&arn, 1));
        assert!(events[0].read_only);
        let read = &events[1];
        assert_eq!((read.event_source.as_str(), read.read_only), (SERVICE, true));
        assert_eq!(read.user_identity.invoked_by, None);
        assert_eq!(read.user_identity.user_name.as_deref(), Some("ann"));
        assert_eq!(read.source_ip_address, "127.0.0.1");
        assert_eq!(read.request_parameters, Some(json!({"secretId": "a"})));
        assert_eq!(read.response_elements, None);
        assert_eq!(read.resources[0].arn, arn);
        assert_eq!(read.request_id, events[0].request_id);
        assert_ne!(read.event_id, events[0].event_id);
    }
}

#[tokio::test]
async fn a_write_is_two_events() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let key = default_key(&world).await;
    let from = world.events().len();
    world.put("a", 2, "two").await;
    let events = world.events().split_off(from);
    assert_eq!(world.event_names(from), ["GenerateDataKey", "PutSecretValue"]);
    assert_on_behalf(&events[0], &world.root, &key, &context(&arn, 2));
    assert_eq!(events[0].request_parameters.as_ref().unwrap()["keySpec"], "AES_256");
    let expected = json!({"secretId": "a", "clientRequestToken": token(2)});
    assert_eq!(events[1].request_parameters, Some(expected));
    assert!(!events[1].read_only);
}

#[tokio::test]
async fn what_fails_is_recorded_too() {
    let world = World::new().await;
    let key = world.key().await;
    let arn = world.secret_under("a", "one", &key).await;
    let ann = world.user("ann", allow(&["secretsmanager:*"])).await;
    let from = world.events().len();
    world.sm_fails_as(&ann, "GetSecretValue", json!({"SecretId": "a"})).await;
    let events = world.events().split_off(from);
    assert_eq!(world.event_names(from), ["Decrypt", "GetSecretValue"]);
    assert_on_behalf(&events[0], &ann, &key, &context(&arn, 1));
    // The user reads little; the operator reads which permission was missing.
    assert_eq!(events[0].error_code.as_deref(), Some("AccessDeniedException"));
    assert!(events[0].error_message.as_ref().unwrap().contains("kms:Decrypt"));
    assert_eq!(events[1].error_code.as_deref(), Some("AccessDeniedException"));
    assert_eq!(events[1].error_message.as_deref(), Some("Access to KMS is not allowed"));
    assert_eq!(events[1].resources[0].arn, arn);

    let from = world.events().len();
    assert_eq!(world.sm_fails("GetSecretValue", json!({"SecretId": "b"})).await, not_found());
    let event = &world.events()[from];
    assert_eq!(event.error_code.as_deref(), Some("ResourceNotFoundException"));
}

/// The data key of a version as KMS encrypted it: what a thief of the store would hold.
async fn data_key(world: &World, name: &str, n: usize) -> String {
    let mut tx = world.server.store.begin();
    let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
    let secret = Secret::load(&mut tx, &account, &region, name).await.unwrap().unwrap();
    let version = Version::load(&mut tx, &secret, &token(n)).await.unwrap();
    B64.encode(&version.data_key.0)
}

#[tokio::test]
async fn a_data_key_opens_only_through_secrets_manager_and_in_its_place() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let blob = data_key(&world, "a", 1).await;
    let key = default_key(&world).await;
    let user = world.user("user", allow(&["secretsmanager:*", "kms:*"])).await;
    assert_eq!(world.sm_as(&user, "GetSecretValue", json!({"SecretId": "a"})).await["Name"], "a");
    let everyone = [&world.root, &user, &world.other_root()];
    let with = |member: &str, value: &str| {
        let mut body = json!({"CiphertextBlob": blob, "EncryptionContext": context(&arn, 1)});
        body[member] = json!(value);
        body
    };
    for who in everyone {
        for body in [
            json!({"CiphertextBlob": blob, "EncryptionContext": context(&arn, 1)}),
            json!({"CiphertextBlob": blob}),
            with("KeyId", &key),
            with("EncryptionAlgorithm", "SYMMETRIC_DEFAULT"),
        ] {
            let refused = world.kms_fails_as(who, "Decrypt", body).await;
            assert_eq!(refused.code, "AccessDeniedException", "{refused:?}");
        }
        let body = json!({"CiphertextBlob": blob, "SourceEncryptionContext": context(&arn, 1),
            "DestinationKeyId": world.key().await});
        let refused = world.kms_fails_as(who, "ReEncrypt", body).await;
        assert_eq!(refused.code, "AccessDeniedException", "{refused:?}");
    }
    for who in &everyone[..2] {
        let refused = world.kms_fails_as(who, "Decrypt", with("KeyId", ALIAS)).await;
        assert_eq!(refused.code, "AccessDeniedException", "{refused:?}");
    }

    // With a customer key, whoever may use the key may open it, but only in its place.
    let key = world.key().await;
    let arn = world.secret_under("b", "one", &key).await;
    world.put("b", 2, "two").await;
    let blob = data_key(&world, "b", 1).await;
    let open = async |context: Value| {
        let body = json!({"CiphertextBlob": blob, "EncryptionContext": context});
        world.call("kms", "Decrypt", body).await.map_err(|error| error.code)
    };
    let opened = open(context(&arn, 1)).await.unwrap();
    assert_eq!(B64.decode(opened["Plaintext"].as_str().unwrap()).unwrap().len(), 32);
    let other = arn.replace(":secret:b", ":secret:a");
    for wrong in [context(&arn, 2), context(&other, 1), json!({"SecretARN": arn}), json!({})] {
        assert_eq!(open(wrong).await, Err("InvalidCiphertextException".into()));
    }
    assert_ne!(data_key(&world, "b", 2).await, blob, "each version has its own");
}

#[tokio::test]
async fn no_event_ever_says_a_value() {
    let world = World::new().await;
    let key = world.key().await;
    let (text, bytes) = ("hunter2-SeCrEt", B64.encode(b"hunter2-SeCrEt"));
    let nobody = world.nobody().await;
    let from = world.events().len();
    let arn = world.secret_under("a", text, &key).await;
    for (name, body) in [
        ("CreateSecret", super::creation("a", text)),
        ("CreateSecret", super::creation("bad name", text)),
        ("CreateSecret", json!({"Name": "c", "SecretBinary": bytes})),
        ("CreateSecret", json!({"Name": "c", "SecretString": {"x": text}})),
        ("PutSecretValue", version("a", 2, text)),
        ("PutSecretValue", version("a", 1, &format!("{text}!"))),
        ("PutSecretValue", version("none", 2, text)),
        ("PutSecretValue", json!({"SecretId": "a", "SecretBinary": bytes})),
        (
            "PutSecretValue",
            json!({"SecretId": "a", "SecretBinary": bytes, "ClientRequestToken": token(3)}),
        ),
        ("PutSecretValue", json!({"SecretId": "a", "SecretBinary": bytes, "SecretString": text})),
        ("PutSecretValue", version("a", 4, &text.repeat(6000))),
        (
            "PutSecretValue",
            json!({"SecretId": "a", "SecretString": "x", "RotationToken": text.repeat(3)}),
        ),
        (
            "UpdateSecret",
            json!({"SecretId": "a", "SecretString": text, "ClientRequestToken": token(5)}),
        ),
        ("UpdateSecret", json!({"SecretId": "a", "SecretString": text, "Type": "x"})),
        ("GetSecretValue", json!({"SecretId": "a"})),
        ("GetSecretValue", json!({"SecretId": arn, "VersionId": token(3)})),
        ("GetSecretValue", json!({"SecretId": "a", "SecretString": text})),
    ] {
        for who in [&nobody, &world.root] {
            world.call_as(who, "secretsmanager", name, body.clone()).await.ok();
        }
    }
    let mut opened = Vec::new();
    for n in [1, 2, 3] {
        let blob = data_key(&world, "a", n).await;
        let body = json!({"CiphertextBlob": blob, "EncryptionContext": context(&arn, n)});
        let answer = world.kms("Decrypt", body).await;
        opened.push(answer["Plaintext"].as_str().unwrap().to_owned());
        opened.push(blob);
    }
    let events = world.events().split_off(from);
    assert!(events.len() > 40, "{}", events.len());
    for event in events {
        let line = event.to_json().unwrap();
        let line = std::str::from_utf8(&line).unwrap();
        let lower = line.to_lowercase();
        for never in ["hunter2", &bytes.to_lowercase(), "secretstring", "secretbinary", "plaintext"]
        {
            // A refusal names the member, never its value.
            let named = event.error_message.as_deref().unwrap_or_default().to_lowercase();
            let said = lower.matches(never).count() - named.matches(never).count();
            assert_eq!(said, 0, "{never} in {line}");
            assert!(!never.starts_with("hunter") || !named.contains(never), "{line}");
        }
        for key in &opened {
            assert!(!line.contains(key.as_str()), "{line}");
        }
    }
}

/// What KMS did for a call was done, whatever became of the call. What the call itself did is told if it
/// is there, and once.
#[tokio::test]
async fn a_commit_that_fails_undoes_no_use_of_a_key() {
    let unavailable = || StoreError::Unavailable("the disk is gone".into());
    let outcomes = [
        (unavailable(), false, "InternalServiceError"),
        (unavailable(), true, "InternalServiceError"),
        (StoreError::Conflict, false, "ThrottlingException"),
    ];
    for (error, made, code) in outcomes {
        let store = Arc::new(Counting::default());
        let hsm = Arc::new(SoftwareHsm::seeded([1; 32]));
        let world = World::on(hsm, store.clone(), 1, Settings::default()).await;
        let mut body = super::creation("a", "one");
        body["AddReplicaRegions"] = json!([{"Region": OTHER_REGION}]);
        world.sm("CreateSecret", body).await;
        // What is logged leaves the outbox.
        world.advance(1).await;
        let from = world.events().len();
        *store.commits.lock().unwrap() = Some((error, made));
        let body = version("a", 2, "two").to_string();
        let answer =
            world.raw(&world.root, "secretsmanager", "PutSecretValue", body.as_bytes()).await;
        *store.commits.lock().unwrap() = None;
        assert_eq!(answer.unwrap_err().code, code);
        let used = ["GenerateDataKey", "Decrypt", "GenerateDataKey"];
        let mut expected = used.to_vec();
        expected.push("PutSecretValue");
        assert_eq!(world.event_names(from), expected);
        let errors: Vec<_> =
            world.events()[from..].iter().map(|event| event.error_code.clone()).collect();
        assert_eq!(errors, [None, None, None, Some(code.to_owned())]);
        // A start after a crash: the log gets what it lacks.
        let known: HashSet<String> =
            world.events().into_iter().map(|event| event.event_id.into()).collect();
        let missing = replay(&world.server, |_| Ok(known.clone())).await.unwrap();
        if made {
            expected.extend(["ReplicationSucceeded", "PutSecretValue"]);
            assert_eq!(world.last_event().error_code, None);
        }
        assert_eq!((world.event_names(from).len(), missing), (expected.len(), expected.len() - 4));
        assert_eq!(world.event_names(from), expected);
        assert_eq!(world.value("a").await, if made { "two" } else { "one" });
    }
}
