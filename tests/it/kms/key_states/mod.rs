//! AWS's table of key states and operations (`models/kms-key-states.json`), every cell, and the
//! operations that are younger than it: each on a key of its own, of the kind that the operation
//! needs.
mod cells;

use super::subject::{Kind, Subject};
use crate::support::failed;
use crate::world::{REGION, World, table};
use cells::{Cell, STATES, key_in, outcome, refusal, rows, state_after};
use claviger::keys::Origin;
use serde_json::json;

#[tokio::test]
async fn every_cell_of_the_table() {
    let world = World::new().await;
    let (rows, mut count) = (rows(), 0);
    for entry in table("kms").operations {
        let operation = entry.name;
        let Some(row) = rows.get(operation) else {
            assert_eq!(Kind::of(operation), None, "{operation} has a key and no row");
            continue;
        };
        for state in STATES {
            let cell = Cell::of(row, state);
            let subject = key_in(&world, operation, state, &cell).await;
            let refused = outcome(&world, operation, &subject).await;
            assert_eq!(refused, refusal(&cell, state, &subject.key), "{operation} on {state}");
            let after = state_after(operation, state, refused.is_some());
            assert_eq!(world.state(&subject.key).await, after, "{operation} on {state}");
            count += 1;
        }
    }
    assert_eq!(count, (40 + 6) * 8);
}

/// AWS's footnotes 7 and 9: what depends on the origin, and then on no state.
#[tokio::test]
async fn keys_of_another_origin_are_refused_in_every_state() {
    let world = World::new().await;
    let mut count = 0;
    for operation in [
        "DeleteImportedKeyMaterial",
        "DisableKeyRotation",
        "EnableKeyRotation",
        "GetKeyRotationStatus",
        "GetParametersForImport",
        "ImportKeyMaterial",
    ] {
        let imports = operation.contains("Import");
        for state in STATES {
            let cell = Cell::of(&rows()["DescribeKey"], state);
            let subject = key_in(&world, "Encrypt", state, &cell).await;
            let origin = if imports { Origin::AwsKms } else { Origin::External };
            world.edit_key(REGION, &subject.key, |key| key.origin = origin).await;
            let (key, name) = (&subject.key, origin.as_str());
            let text = format!("{key} origin is {name} which is not valid for this operation.");
            let refused = outcome(&world, operation, &subject).await;
            let expected = failed("UnsupportedOperationException", text);
            assert_eq!(refused, Some(expected), "{operation} on {state}");
            count += 1;
        }
    }
    assert_eq!(count, 6 * 8);
}

/// Footnote 10: the key that an alias leaves may be in any state.
#[tokio::test]
async fn an_alias_may_leave_a_key_in_every_state() {
    let world = World::new().await;
    for state in STATES {
        let cell = Cell::of(&rows()["DescribeKey"], state);
        let old = key_in(&world, "Encrypt", state, &cell).await;
        let new = world.key().await;
        world.kms("UpdateAlias", json!({"AliasName": old.alias, "TargetKeyId": new})).await;
        let shown = world.kms("DescribeKey", json!({"KeyId": old.alias})).await;
        assert_eq!(shown["KeyMetadata"]["Arn"], new, "{state}");
        assert_eq!(world.state(&old.key).await, state);
    }
}

/// The table's cells have both keys of a re-encryption in the state: here it is one of them.
#[tokio::test]
async fn either_key_of_a_re_encryption_may_be_in_the_wrong_state() {
    let world = World::new().await;
    let row = &rows()["ReEncrypt"];
    let good = Subject::used(&world, "ReEncrypt", json!({})).await;
    let mut refused = 0;
    for state in STATES {
        let cell = Cell::of(row, state);
        let bad = key_in(&world, "ReEncrypt", state, &cell).await;
        for (from, to) in [(&bad, &good), (&good, &bad)] {
            let blob = from.past("CiphertextBlob");
            let body = json!({"CiphertextBlob": blob, "DestinationKeyId": to.key});
            let outcome = world.call("kms", "ReEncrypt", body).await.err();
            assert_eq!(outcome, refusal(&cell, state, &bad.key), "{state}");
            refused += usize::from(outcome.is_some());
        }
    }
    assert_eq!(refused, 2 * 6);
}
