//! Constraints, asked of every request that has an encryption context.
use super::{DENIED, attempt, body, encrypt, granted, idle, with};
use crate::world::{REGION, Someone, World};
use claviger::seal::Table;
use claviger::store::Record;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const UNKNOWN: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn pairs(n: usize) -> Value {
    (0..n).map(|n| (format!("k{n}"), json!("v"))).collect()
}

/// Whether a user with a grant under these constraints may encrypt, decrypt, make data keys and
/// re-encrypt with this context: all of them or none.
async fn allowed(world: &World, ann: &Someone, constraints: &Value, context: &Value) -> bool {
    let key = world.key().await;
    let operations = ["Encrypt", "Decrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo"];
    let more = json!({"Constraints": constraints});
    granted(world, with(body(&key, "ann", &operations), more)).await;
    let sealed = world.kms("Encrypt", encrypt(&key, context.clone())).await;
    let blob = &sealed["CiphertextBlob"];
    let mut outcomes = Vec::new();
    for (name, body) in [
        ("Encrypt", encrypt(&key, context.clone())),
        (
            "GenerateDataKey",
            json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context}),
        ),
        ("Decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": context})),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": blob, "SourceEncryptionContext": context,
                "DestinationKeyId": key, "DestinationEncryptionContext": context}),
        ),
    ] {
        let outcome = attempt(world, ann, name, body).await;
        assert!(outcome.is_ok() || outcome == Err(DENIED.into()), "{name}: {outcome:?}");
        outcomes.push(outcome.is_ok());
    }
    outcomes.dedup();
    assert_eq!(outcomes.len(), 1, "{constraints} {context}");
    outcomes[0]
}

/// The whole table of what constraints admit is tested beside them; this is that they are asked.
#[tokio::test]
async fn contexts_must_be_as_the_grant_says() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    for (wanted, given, in_subset, in_equals) in [
        (json!({"Department": "IT"}), json!({"Department": "IT"}), true, true),
        (json!({"Department": "IT"}), json!({"dEPARTMENT": "IT"}), true, true),
        (json!({"Department": "IT"}), json!({"Department": "it"}), false, false),
        (json!({"Department": "IT"}), json!({"Department": "IT", "a": "b"}), true, false),
        (json!({"Department": "IT"}), json!({}), false, false),
        (json!({"a": "1"}), json!({"a": "1", "A": "2"}), false, false),
        (json!({"a": "1"}), json!({"a": "2", "A": "1"}), false, false),
        (json!({"a": "1", "b": "2"}), json!({"b": "2", "a": "1"}), true, true),
        (json!({"a": "1", "b": "2"}), json!({"a": "1"}), false, false),
        (json!({}), json!({"a": "1"}), true, false),
        (json!({}), json!({}), true, true),
    ] {
        let subset = json!({"EncryptionContextSubset": wanted});
        assert_eq!(allowed(&world, &ann, &subset, &given).await, in_subset, "{subset} {given}");
        let equals = json!({"EncryptionContextEquals": wanted});
        assert_eq!(allowed(&world, &ann, &equals, &given).await, in_equals, "{equals} {given}");
    }
}

#[tokio::test]
async fn each_side_of_a_re_encryption_has_its_own_context() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let (from, to) = (world.key().await, world.key().await);
    let only = |pairs: Value| json!({"Constraints": {"EncryptionContextEquals": pairs}});
    let grant = with(body(&from, "ann", &["ReEncryptFrom"]), only(json!({"a": "1"})));
    granted(&world, grant).await;
    let grant = with(body(&to, "ann", &["ReEncryptTo"]), only(json!({"b": "2"})));
    granted(&world, grant).await;
    let sealed = world.kms("Encrypt", encrypt(&from, json!({"a": "1"}))).await;
    for (context, may) in [(json!({"b": "2"}), true), (json!({"a": "1"}), false)] {
        let body = json!({"CiphertextBlob": sealed["CiphertextBlob"], "DestinationKeyId": to,
            "SourceEncryptionContext": {"a": "1"}, "DestinationEncryptionContext": context});
        let outcome = attempt(&world, &ann, "ReEncrypt", body).await;
        assert_eq!(outcome.is_ok(), may, "{context} {outcome:?}");
    }
}

#[tokio::test]
async fn describing_a_key_has_no_context_to_ask_for() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    let more = json!({"Constraints": {"EncryptionContextEquals": {"a": "1"}}});
    granted(&world, with(body(&key, "ann", &["DescribeKey", "Decrypt"]), more)).await;
    world.kms_as(&ann, "DescribeKey", json!({"KeyId": key})).await;
}

/// Nobody here says for which resource it calls, so such a grant waits for a service that does.
#[tokio::test]
async fn a_grant_for_a_source_holds_for_none_of_our_calls() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    let arn = "arn:aws:rds:eu-west-1:111122223333:db:main";
    let operations = ["DescribeKey", "Encrypt", "CreateGrant"];
    let more = json!({"Constraints": {"SourceArn": arn}});
    granted(&world, with(body(&key, "ann", &operations), more)).await;
    for (name, body) in [
        ("DescribeKey", json!({"KeyId": key})),
        ("Encrypt", encrypt(&key, json!({"aws:SourceArn": arn}))),
        ("CreateGrant", body(&key, "ann", &["DescribeKey"])),
    ] {
        assert_eq!(attempt(&world, &ann, name, body).await, Err(DENIED.into()), "{name}");
    }
}

/// So many grants of one grantee that a look at each would be slow; and more pairs than are worth a
/// look each.
#[tokio::test]
async fn one_of_many_grants_is_found() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    for n in 0..100 {
        let kind = if n % 2 == 0 { "EncryptionContextSubset" } else { "EncryptionContextEquals" };
        let more = json!({"Constraints": {kind: {"volume": format!("vol-{n}")}}});
        granted(&world, with(body(&key, "ann", &["Encrypt"]), more)).await;
    }
    for n in [0, 51, 99] {
        let context = json!({"Volume": format!("vol-{n}")});
        world.kms_as(&ann, "Encrypt", encrypt(&key, context)).await;
    }
    let refused = attempt(&world, &ann, "Encrypt", encrypt(&key, json!({"volume": "vol-100"})));
    assert_eq!(refused.await, Err(DENIED.into()));
    let mut context: Value = (0..40).map(|n| (format!("k{n}"), json!("v"))).collect();
    let refused = attempt(&world, &ann, "Encrypt", encrypt(&key, context.clone())).await;
    assert_eq!(refused, Err(DENIED.into()));
    context["volume"] = json!("vol-98");
    world.kms_as(&ann, "Encrypt", encrypt(&key, context)).await;
    // A grant behind pages of others that are not for this operation, or for another resource.
    let refused = attempt(&world, &ann, "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(refused, Err(DENIED.into()));
    for n in 0..70 {
        let arn = format!("arn:aws:rds:eu-west-1:111122223333:db:db-{n}");
        let more = json!({"Constraints": {"SourceArn": arn}});
        granted(&world, with(body(&key, "ann", &["DescribeKey"]), more)).await;
    }
    let refused = attempt(&world, &ann, "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(refused, Err(DENIED.into()));
    let more = json!({"Constraints": {"EncryptionContextEquals": {"volume": "vol-99"}}});
    granted(&world, with(body(&key, "ann", &["DescribeKey", "Decrypt"]), more)).await;
    world.kms_as(&ann, "DescribeKey", json!({"KeyId": key})).await;
}

/// What is read of the rows by which a grantee's grants are found: only their keys matter here.
#[derive(Debug, Serialize, Deserialize)]
struct Row {}

impl Record for Row {
    const TABLE: Table = Table::new("grant-of-grantee");
    const CACHED: bool = false;
}

/// The keys of those rows end in a pair's tag and the grant: pages go on in the middle of a tag too.
#[tokio::test]
async fn pages_of_rows_hold_every_grant_once() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let mut grants = Vec::new();
    for n in 0..30 {
        let more = match n % 3 {
            0 => json!({}),
            _ => json!({"Constraints": {"EncryptionContextSubset": {"n": (n % 5).to_string()}}}),
        };
        grants.push(granted(&world, with(body(&key, "ann", &["Encrypt"]), more)).await);
    }
    grants.sort();
    let tx = world.server.store.begin();
    let scope = [REGION, key.rsplit_once('/').unwrap().1];
    for size in [1, 7, 30, 31] {
        let (mut names, mut after): (Vec<Vec<String>>, Vec<String>) = Default::default();
        loop {
            let from: Vec<&str> = after.iter().map(String::as_str).collect();
            let page = tx.list_deep::<Row>(&scope, &from, size).await.unwrap();
            assert!(page.records.len() == size || !page.more);
            names.extend(page.records.into_iter().map(|(name, _)| name));
            after = names.last().unwrap().clone();
            assert_eq!(after.len(), 3, "grantee, tag, grant");
            if !page.more {
                break;
            }
        }
        assert!(names.is_sorted());
        let mut found: Vec<String> = names.into_iter().map(|mut n| n.pop().unwrap()).collect();
        found.sort();
        assert_eq!(found, grants, "{size}");
    }
}

/// Asked before the key is looked for: what it costs, and what it answers, is the same for a key that
/// may be used, a key that may not, and none.
#[tokio::test]
async fn bounds_are_asked_of_everybody_and_before_the_key() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let stranger = world.other_root();
    let key = world.key().await;
    let missing = format!("{}/{}", key.rsplit_once('/').unwrap().0, UNKNOWN);
    let long = json!({"k": "v".repeat(385)});
    for context in [pairs(9), pairs(38_000), long] {
        for kind in ["EncryptionContextSubset", "EncryptionContextEquals"] {
            let more = json!({"Constraints": {kind: context}});
            let mut answers = Vec::new();
            for (who, key) in [
                (&world.root, &key),
                (&ann, &key),
                (&ann, &missing),
                (&stranger, &key),
                (&stranger, &missing),
            ] {
                let body = with(body(key, "ann", &["Decrypt"]), more.clone());
                let refused = world.kms_fails_as(who, "CreateGrant", body).await;
                assert_eq!(refused.code, "ValidationException");
                answers.push(refused);
            }
            answers.dedup();
            assert_eq!(answers.len(), 1, "{kind} {answers:?}");
        }
    }
    // Within the bounds nobody is told which of the two there is.
    let mut answers = Vec::new();
    for key in [&key, &missing] {
        let more = json!({"Constraints": {"EncryptionContextEquals": pairs(8)}});
        let body = with(body(key, "ann", &["Decrypt"]), more);
        answers.push(world.kms_fails_as(&stranger, "CreateGrant", body).await);
    }
    assert_eq!(answers[0].code, DENIED);
    assert_eq!(answers[0], answers[1]);
}
