//! Each of the operations that a grant can allow: by a grant that lists it, at once, and by no other.
use super::{DENIED, attempt, body, grant, idle, revoke, with};
use crate::support::{delegate, policy, user_arn};
use crate::world::{Someone, World, allow};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const P256_PUBLIC: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9\
                           KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==";

/// A grant operation, the call that needs it, and on which key.
struct Use {
    operation: &'static str,
    call: &'static str,
    key: String,
    body: Value,
}

/// Everything but RetireGrant, which the grant in question allows, not a grant on the key.
async fn uses(world: &World) -> Vec<Use> {
    let key = world.key().await;
    let other = world.key().await;
    let signer = world.key_of("ECC_NIST_P256", "SIGN_VERIFY").await;
    let mac = world.key_of("HMAC_256", "GENERATE_VERIFY_MAC").await;
    let agreement = world.key_of("ECC_NIST_P256", "KEY_AGREEMENT").await;
    let capsule = world.key_of("ML_KEM_768", "ENCAPSULATE_DECAPSULATE").await;
    let rsa = world.key_of("RSA_2048", "ENCRYPT_DECRYPT").await;
    let blob = world.hello(&key).await;
    let sign = json!({"KeyId": signer, "Message": "aGVsbG8=", "SigningAlgorithm": "ECDSA_SHA_256"});
    let signed = world.kms("Sign", sign.clone()).await["Signature"].clone();
    let authenticate = json!({"KeyId": mac, "Message": "aGVsbG8=", "MacAlgorithm": "HMAC_SHA_256"});
    let tag = world.kms("GenerateMac", authenticate.clone()).await["Mac"].clone();
    let encapsulate = json!({"KeyId": capsule, "EncapsulationAlgorithm": "ML_KEM"});
    let sealed = world.kms("Encapsulate", encapsulate.clone()).await;
    let sealed = sealed["SharedSecretCiphertextBlob"].clone();
    let oaep = json!({"KeyId": rsa, "Plaintext": "aGVsbG8=",
        "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    let closed = world.kms("Encrypt", oaep.clone()).await["CiphertextBlob"].clone();
    let open = json!({"KeyId": rsa, "CiphertextBlob": closed,
        "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    let data_key = json!({"KeyId": key, "KeySpec": "AES_256"});
    let pair = json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"});
    let again = json!({"CiphertextBlob": blob, "DestinationKeyId": other});
    let child = body(&key, "bob", &["CreateGrant"]);
    // Whoever may do one half of ReEncrypt has the other half too.
    grant(world, &key, "from", &["ReEncryptFrom"]).await;
    grant(world, &other, "to", &["ReEncryptTo"]).await;
    [
        ("Decrypt", "Decrypt", &key, json!({"CiphertextBlob": blob})),
        ("Encrypt", "Encrypt", &key, json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
        ("Decrypt", "Decrypt", &rsa, open),
        ("Encrypt", "Encrypt", &rsa, oaep),
        ("GenerateDataKey", "GenerateDataKey", &key, data_key.clone()),
        ("GenerateDataKeyWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", &key, data_key),
        ("ReEncryptFrom", "ReEncrypt", &key, again.clone()),
        ("ReEncryptTo", "ReEncrypt", &other, again),
        ("Sign", "Sign", &signer, sign.clone()),
        ("Verify", "Verify", &signer, with(sign, json!({"Signature": signed}))),
        ("GetPublicKey", "GetPublicKey", &signer, json!({"KeyId": signer})),
        ("CreateGrant", "CreateGrant", &key, child),
        ("DescribeKey", "DescribeKey", &key, json!({"KeyId": key})),
        ("DescribeKey", "DescribeKey", &mac, json!({"KeyId": mac})),
        ("GenerateDataKeyPair", "GenerateDataKeyPair", &key, pair.clone()),
        ("GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyPairWithoutPlaintext", &key, pair),
        ("GenerateMac", "GenerateMac", &mac, authenticate.clone()),
        ("VerifyMac", "VerifyMac", &mac, with(authenticate, json!({"Mac": tag}))),
        (
            "DeriveSharedSecret",
            "DeriveSharedSecret",
            &agreement,
            json!({"KeyId": agreement, "KeyAgreementAlgorithm": "ECDH", "PublicKey": P256_PUBLIC}),
        ),
        ("Encapsulate", "Encapsulate", &capsule, encapsulate.clone()),
        (
            "Decapsulate",
            "Decapsulate",
            &capsule,
            with(encapsulate, json!({"SharedSecretCiphertextBlob": sealed})),
        ),
    ]
    .into_iter()
    .map(|(operation, call, key, body)| Use { operation, call, key: key.clone(), body })
    .collect()
}

/// Users without any policy for KMS: `ann`, who gets the grants; `from` and `to` already have one half
/// of ReEncrypt each.
async fn users(world: &World) -> [Someone; 4] {
    [
        idle(world, "ann").await,
        idle(world, "from").await,
        idle(world, "to").await,
        idle(world, "bob").await,
    ]
}

fn who<'a>(one: &Use, users: &'a [Someone; 4]) -> (&'static str, &'a Someone) {
    match one.operation {
        "ReEncryptTo" => ("from", &users[1]),
        "ReEncryptFrom" => ("to", &users[2]),
        _ => ("ann", &users[0]),
    }
}

#[tokio::test]
async fn each_is_allowed_at_once_by_a_grant_and_refused_at_once_without() {
    let world = World::new().await;
    let users = users(&world).await;
    let all = uses(&world).await;
    for one in &all {
        let (name, user) = who(one, &users);
        let refused = attempt(&world, user, one.call, one.body.clone()).await;
        assert_eq!(refused, Err(DENIED.into()), "{} before", one.operation);

        let made = world.kms("CreateGrant", body(&one.key, name, &[one.operation])).await;
        let id = made["GrantId"].as_str().unwrap();
        let allowed = attempt(&world, user, one.call, one.body.clone()).await;
        assert!(allowed.is_ok(), "{} with its grant: {allowed:?}", one.operation);
        let event = world.last_event();
        assert_eq!(event.event_name, one.call);
        let data = event.additional_event_data.unwrap();
        let member = match one.operation {
            "ReEncryptFrom" => "sourceGrantId",
            "ReEncryptTo" => "destinationGrantId",
            _ => "grantId",
        };
        assert_eq!(data[member], id, "{}", one.operation);
        // With the token of the grant too, where the call takes one.
        let tokens = json!({"GrantTokens": [made["GrantToken"]]});
        let allowed = attempt(&world, user, one.call, with(one.body.clone(), tokens)).await;
        assert!(allowed.is_ok(), "{} with its token: {allowed:?}", one.operation);

        revoke(&world, &one.key, id).await;
        let refused = attempt(&world, user, one.call, one.body.clone()).await;
        assert_eq!(refused, Err(DENIED.into()), "{} after", one.operation);
    }
    let covered: BTreeSet<&str> = all.iter().map(|one| one.operation).collect();
    assert_eq!(covered.len(), 18, "all but RetireGrant: {covered:?}");
}

/// By every pair of a granted operation and another one of the same key.
#[tokio::test]
async fn a_grant_allows_what_it_lists_and_nothing_else() {
    let world = World::new().await;
    let users = users(&world).await;
    let all = uses(&world).await;
    let mut pairs = 0;
    for given in all.iter().filter(|one| !one.operation.starts_with("ReEncrypt")) {
        let id = grant(&world, &given.key, "ann", &[given.operation]).await;
        for one in all.iter().filter(|one| one.operation != given.operation) {
            let refused = attempt(&world, &users[0], one.call, one.body.clone()).await;
            assert_eq!(refused, Err(DENIED.into()), "{} by {}", one.operation, given.operation);
            pairs += 1;
        }
        revoke(&world, &given.key, &id).await;
    }
    assert!(pairs > 300, "{pairs}");
}

#[tokio::test]
async fn what_no_grant_can_list_no_grant_allows() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    let everything = [
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "ReEncryptFrom",
        "ReEncryptTo",
        "CreateGrant",
        "RetireGrant",
        "DescribeKey",
    ];
    let id = grant(&world, &key, "ann", &everything).await;
    for (name, more) in [
        ("DisableKey", json!({})),
        ("EnableKey", json!({})),
        ("GetKeyPolicy", json!({})),
        ("PutKeyPolicy", json!({"Policy": policy(&[delegate()]).to_string()})),
        ("ScheduleKeyDeletion", json!({})),
        ("ListGrants", json!({})),
        ("RevokeGrant", json!({"GrantId": id})),
        ("TagResource", json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("ListResourceTags", json!({})),
    ] {
        let refused = attempt(&world, &ann, name, with(json!({"KeyId": key}), more)).await;
        assert_eq!(refused, Err(DENIED.into()), "{name}");
    }
}

#[tokio::test]
async fn an_explicit_deny_is_stronger_than_a_grant() {
    let world = World::new().await;
    let statement = json!({"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"});
    let ann = world.user("ann", policy(&[statement])).await;
    let bob = idle(&world, "bob").await;
    let no_bob = json!({"Effect": "Deny", "Principal": {"AWS": user_arn("bob")},
        "Action": "kms:GenerateDataKey", "Resource": "*"});
    let key = world.key_with_policy(policy(&[delegate(), no_bob])).await;
    for user in ["ann", "bob"] {
        grant(&world, &key, user, &["Encrypt", "GenerateDataKey"]).await;
    }
    let seal = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    let data_key = json!({"KeyId": key, "KeySpec": "AES_256"});
    let refused = world.kms_fails_as(&ann, "Encrypt", seal.clone()).await;
    assert_eq!(refused.code, DENIED);
    let why = "with an explicit deny in an identity-based policy";
    assert!(refused.message.ends_with(why), "{}", refused.message);
    assert_eq!(world.last_event().additional_event_data, None);
    world.kms_as(&ann, "GenerateDataKey", data_key.clone()).await;
    let refused = world.kms_fails_as(&bob, "GenerateDataKey", data_key).await;
    let why = "with an explicit deny in a resource-based policy";
    assert!(refused.message.ends_with(why), "{}", refused.message);
    world.kms_as(&bob, "Encrypt", seal).await;
}

/// Whoever a policy lets does not need the grant, and the event does not name it.
#[tokio::test]
async fn a_policy_is_asked_first() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["kms:Encrypt"])).await;
    let key = world.key().await;
    grant(&world, &key, "ann", &["Encrypt"]).await;
    world.kms_as(&ann, "Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})).await;
    let data = world.last_event().additional_event_data.unwrap();
    assert_eq!(data.get("grantId"), None, "{data}");
}

#[tokio::test]
async fn a_refusal_reads_as_it_does_without_grants() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let (bare, granted) = (world.key().await, world.key().await);
    grant(&world, &granted, "ann", &["Decrypt"]).await;
    for key in [bare, granted] {
        let seal = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
        let refused = world.kms_fails_as(&ann, "Encrypt", seal).await;
        let text = format!(
            "User: {} is not authorized to perform: kms:Encrypt on resource: {key} because no \
             identity-based policy allows the kms:Encrypt action",
            user_arn("ann")
        );
        assert_eq!(refused.message, text);
    }
}

#[tokio::test]
async fn a_grant_works_through_an_alias_and_in_no_other_state_than_the_key_allows() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    grant(&world, &key, "ann", &["Encrypt"]).await;
    let seal = json!({"KeyId": "alias/app", "Plaintext": "aGVsbG8="});
    world.kms_as(&ann, "Encrypt", seal.clone()).await;
    world.kms("DisableKey", json!({"KeyId": key})).await;
    let refused = attempt(&world, &ann, "Encrypt", seal).await;
    assert_eq!(refused, Err("DisabledException".into()));
}
