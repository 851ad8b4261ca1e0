//! ReEncrypt: two keys, two contexts, two permissions.
use crate::support::{denied, failed, policy, user_arn};
use crate::world::{World, allow};
use serde_json::{Value, json};

async fn sealed(world: &World, key: &str, context: Value) -> Value {
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": context});
    world.kms("Encrypt", body).await["CiphertextBlob"].clone()
}

#[tokio::test]
async fn key_and_context_change_and_the_plaintext_stays() {
    let world = World::new().await;
    let (from, to) = (world.key().await, world.key().await);
    world.kms("CreateAlias", json!({"AliasName": "alias/to", "TargetKeyId": to})).await;
    let blob = sealed(&world, &from, json!({"a": "1"})).await;
    for (source, target) in [(None, to.as_str()), (Some(&from), "alias/to"), (None, from.as_str())]
    {
        let body = json!({
            "CiphertextBlob": blob, "SourceEncryptionContext": {"a": "1"}, "SourceKeyId": source,
            "DestinationKeyId": target, "DestinationEncryptionContext": {"b": "2"},
        });
        let answer = world.kms("ReEncrypt", body).await;
        let to = if target == from { &from } else { &to };
        assert_eq!((&answer["SourceKeyId"], &answer["KeyId"]), (&json!(from), &json!(to)));
        assert_eq!(answer["SourceEncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
        assert_eq!(answer["DestinationEncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
        assert_ne!(answer["CiphertextBlob"], blob);
        let body = json!({"CiphertextBlob": answer["CiphertextBlob"], "KeyId": to,
            "EncryptionContext": {"b": "2"}});
        assert_eq!(world.kms("Decrypt", body).await["Plaintext"], "aGVsbG8=");
        let body =
            json!({"CiphertextBlob": answer["CiphertextBlob"], "EncryptionContext": {"a": "1"}});
        assert_eq!(world.kms_fails("Decrypt", body).await.code, "InvalidCiphertextException");
    }
    let body = json!({"CiphertextBlob": blob, "DestinationKeyId": to});
    let refused = world.kms_fails("ReEncrypt", body).await;
    assert_eq!(refused, failed("InvalidCiphertextException", ""));
    let missing = world.kms_fails("ReEncrypt", json!({"DestinationKeyId": to})).await;
    assert_eq!(missing.code, "ValidationException");
}

#[tokio::test]
async fn from_and_to_are_permissions_of_their_own() {
    let world = World::new().await;
    let (from, to) = (world.key().await, world.key().await);
    let blob = sealed(&world, &from, json!({})).await;
    let on =
        |action: &str, key: &str| json!({"Effect": "Allow", "Action": action, "Resource": key});
    let (read, write) = (on("kms:ReEncryptFrom", &from), on("kms:ReEncryptTo", &to));
    let body = json!({"CiphertextBlob": blob, "DestinationKeyId": to});
    let both = world.user("both", policy(&[read.clone(), write.clone()])).await;
    world.kms_as(&both, "ReEncrypt", body.clone()).await;
    for (name, statements, action, key) in [
        ("reads", vec![read.clone()], "kms:ReEncryptTo", &to),
        ("writes", vec![write.clone()], "kms:ReEncryptFrom", &from),
        (
            "swapped",
            vec![on("kms:ReEncryptFrom", &to), on("kms:ReEncryptTo", &from)],
            "kms:ReEncryptFrom",
            &from,
        ),
        (
            "crypts",
            vec![on("kms:Decrypt", &from), on("kms:Encrypt", &to)],
            "kms:ReEncryptFrom",
            &from,
        ),
    ] {
        let who = world.user(name, policy(&statements)).await;
        let why =
            format!("resource: {key} because no identity-based policy allows the {action} action");
        let refused = world.kms_fails_as(&who, "ReEncrypt", body.clone()).await;
        assert_eq!(refused, denied(&user_arn(name), action, &why), "{name}");
    }
    let all = world.user("all", allow(&["kms:ReEncrypt*"])).await;
    world.kms_as(&all, "ReEncrypt", body).await;
}

#[tokio::test]
async fn a_policy_can_keep_ciphertexts_under_their_key() {
    let world = World::new().await;
    let (from, to) = (world.key().await, world.key().await);
    let blob = sealed(&world, &from, json!({})).await;
    for (name, only, may_stay, may_go) in
        [("stays", "true", true, false), ("goes", "false", false, true)]
    {
        let when = json!({"Bool": {"kms:ReEncryptOnSameKey": only}});
        let allow = json!({"Effect": "Allow", "Action": "kms:ReEncrypt*", "Resource": "*",
            "Condition": when});
        let who = world.user(name, policy(&[allow])).await;
        for (source, target, may) in
            [(None, &from, may_stay), (Some(&from), &from, may_stay), (None, &to, may_go)]
        {
            let body = json!({"CiphertextBlob": blob, "SourceKeyId": source,
                "DestinationKeyId": target});
            let outcome = world.call_as(&who, "kms", "ReEncrypt", body).await;
            assert_eq!(
                outcome.err().map(|e| e.code),
                (!may).then(|| "AccessDeniedException".into())
            );
        }
    }
}

#[tokio::test]
async fn the_source_is_asked_about_before_the_target() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = sealed(&world, &key, json!({})).await;
    let nobody = world.nobody().await;
    let body = json!({"CiphertextBlob": blob, "DestinationKeyId": "nope"});
    let refused = world.kms_fails_as(&nobody, "ReEncrypt", body.clone()).await;
    assert_eq!(refused.code, "AccessDeniedException");
    let refused = world.kms_fails("ReEncrypt", body).await;
    assert_eq!(refused, failed("NotFoundException", "Invalid keyId 'nope'"));
}

#[tokio::test]
async fn the_event_names_both_keys_and_both_contexts() {
    let world = World::new().await;
    let (from, to) = (world.key().await, world.key().await);
    let blob = sealed(&world, &from, json!({"A": "1"})).await;
    let body = json!({"CiphertextBlob": blob, "SourceEncryptionContext": {"A": "1"},
        "DestinationKeyId": to, "DestinationEncryptionContext": {"B": "2"}});
    world.kms("ReEncrypt", body).await;
    let event = world.last_event();
    let arns: Vec<&str> = event.resources.iter().map(|r| r.arn.as_str()).collect();
    assert_eq!(arns, [&from, &to]);
    assert_eq!(
        event.request_parameters,
        Some(json!({"destinationKeyId": to, "sourceEncryptionContext": {"A": "1"},
            "destinationEncryptionContext": {"B": "2"}}))
    );
}
