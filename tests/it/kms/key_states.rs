//! AWS's table of key states and operations (`models/kms-key-states.json`), every cell of what is
//! served, each on a key of its own.
use crate::support::{delegate, failed, policy};
use crate::world::{Failed, World, table};
use serde_json::{Value, json};

const TABLE: &str = include_str!("../../../models/kms-key-states.json");

/// A key in a state, with an alias and a ciphertext from before.
struct Fixture {
    key: String,
    alias: String,
    blob: String,
}

async fn fixture(world: &World, state: &str, at: usize) -> Fixture {
    let key = world.key().await;
    let alias = format!("alias/fixture{at}");
    world.kms("CreateAlias", json!({"AliasName": alias, "TargetKeyId": key})).await;
    let blob = world.hello(&key).await;
    match state {
        "Disabled" => drop(world.kms("DisableKey", json!({"KeyId": key})).await),
        "PendingDeletion" => drop(world.kms("ScheduleKeyDeletion", json!({"KeyId": key})).await),
        _ => {}
    }
    assert_eq!(world.state(&key).await, state);
    Fixture { key, alias, blob }
}

fn body(operation: &str, fixture: &Fixture) -> Option<Value> {
    let Fixture { key, alias, blob } = fixture;
    Some(match operation {
        "CancelKeyDeletion"
        | "DescribeKey"
        | "DisableKey"
        | "DisableKeyRotation"
        | "EnableKey"
        | "EnableKeyRotation"
        | "GetKeyPolicy"
        | "GetKeyRotationStatus"
        | "ListAliases"
        | "ListResourceTags"
        | "ScheduleKeyDeletion" => json!({"KeyId": key}),
        "CreateAlias" => json!({"AliasName": format!("{alias}b"), "TargetKeyId": key}),
        "Decrypt" => json!({"CiphertextBlob": blob}),
        "DeleteAlias" => json!({"AliasName": alias}),
        "Encrypt" => json!({"KeyId": key, "Plaintext": "aGVsbG8="}),
        "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => {
            json!({"KeyId": key, "KeySpec": "AES_256"})
        }
        "PutKeyPolicy" => json!({"KeyId": key, "Policy": policy(&[delegate()]).to_string()}),
        "ReEncrypt" => json!({"CiphertextBlob": blob, "DestinationKeyId": key}),
        "TagResource" => json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        "UntagResource" => json!({"KeyId": key, "TagKeys": ["a"]}),
        "UpdateAlias" => json!({"AliasName": alias, "TargetKeyId": key}),
        _ => return None,
    })
}

/// What the footnotes of a failing cell mean (aws-api.md §2.5).
fn expected(cell: &Value, key: &str) -> Option<Failed> {
    let notes: Vec<&str> =
        cell[1].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    match (cell[0].as_str().unwrap(), notes.as_slice()) {
        // 7: unless the origin is another one, and the keys of this test are ours.
        ("ok", _) | ("cond", ["7"]) => None,
        ("fail", ["1"] | ["1", "7"]) => Some(failed("DisabledException", format!("{key} is disabled."))),
        ("fail", ["3"] | ["2", "3"] | ["3", "7"]) => {
            Some(failed("KMSInvalidStateException", format!("{key} is pending deletion.")))
        }
        ("fail", ["4"]) => {
            Some(failed("KMSInvalidStateException", format!("{key} is not pending deletion.")))
        }
        // UpdateAlias onto a key that is pending deletion; the way from there is tested below.
        ("cond", ["10"]) => {
            Some(failed("KMSInvalidStateException", format!("{key} is pending deletion.")))
        }
        other => panic!("a cell of another kind: {other:?}"),
    }
}

#[tokio::test]
async fn every_cell_of_the_table() {
    let world = World::new().await;
    let cells: Value = serde_json::from_str(TABLE).unwrap();
    let mut count = 0;
    for entry in table("kms").operations {
        let Some(row) = cells.get(entry.name) else { continue };
        for state in ["Enabled", "Disabled", "PendingDeletion"] {
            let fixture = fixture(&world, state, count).await;
            let body = body(entry.name, &fixture)
                .unwrap_or_else(|| panic!("{} is in the table: give it a body", entry.name));
            let outcome = world.call("kms", entry.name, body).await;
            let expected = expected(&row[state], &fixture.key);
            assert_eq!(outcome.err(), expected, "{} on {state}", entry.name);
            count += 1;
        }
    }
    assert_eq!(count, 22 * 3);
}

#[tokio::test]
async fn an_alias_may_leave_a_key_that_is_pending_deletion() {
    let world = World::new().await;
    let dying = fixture(&world, "PendingDeletion", 0).await;
    let key = world.key().await;
    world.kms("UpdateAlias", json!({"AliasName": dying.alias, "TargetKeyId": key})).await;
    assert_eq!(world.state(&dying.alias).await, "Enabled");
}

#[tokio::test]
async fn either_key_of_a_re_encryption_may_be_in_the_wrong_state() {
    let world = World::new().await;
    for state in ["Disabled", "PendingDeletion"] {
        let at = usize::from(state == "Disabled");
        let bad = fixture(&world, state, at).await;
        let good = fixture(&world, "Enabled", at + 2).await;
        for (blob, target) in [(&bad.blob, &good.key), (&good.blob, &bad.key)] {
            let body = json!({"CiphertextBlob": blob, "DestinationKeyId": target});
            let refused = world.kms_fails("ReEncrypt", body).await;
            assert!(refused.message.starts_with(&bad.key), "{refused:?}");
        }
    }
}
