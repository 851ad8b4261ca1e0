//! The rows of AWS's table of key states that are about imports, each cell on a key of its own. The
//! footnotes: 8 KMSInvalidStateException if the key's material is imported, 9
//! UnsupportedOperationException if it is not.
use super::{OAEP, SMALL};
use crate::support::failed;
use crate::world::{Failed, World};
use serde_json::{Value, json};

const TABLE: &str = include_str!("../../../../models/kms-key-states.json");
const OPERATIONS: [&str; 3] =
    ["DeleteImportedKeyMaterial", "GetParametersForImport", "ImportKeyMaterial"];

/// Brings a key into a state and calls the operation with what would do in the right one.
async fn outcome(world: &World, key: &str, name: &str, state: &str) -> Result<Value, Failed> {
    let imported = world.metadata(key).await["Origin"] == "EXTERNAL";
    let body = match name {
        "DeleteImportedKeyMaterial" => json!({"KeyId": key}),
        "GetParametersForImport" => {
            json!({"KeyId": key, "WrappingAlgorithm": OAEP, "WrappingKeySpec": SMALL})
        }
        _ if imported => world.oaep(key).await.body(key, &[1; 32]),
        _ => json!({"KeyId": key, "ImportToken": "dG9rZW4=", "EncryptedKeyMaterial": "AAAA",
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}),
    };
    if imported && state != "PendingImport" {
        world.import(key, &[1; 32]).await;
    }
    match state {
        "Disabled" => drop(world.kms("DisableKey", json!({"KeyId": key})).await),
        "PendingDeletion" => drop(world.kms("ScheduleKeyDeletion", json!({"KeyId": key})).await),
        _ => {}
    }
    assert_eq!(world.state(key).await, state);
    world.call("kms", name, body).await
}

#[tokio::test]
async fn every_cell_of_imports() {
    let world = World::new().await;
    let table: Value = serde_json::from_str(TABLE).unwrap();
    for name in OPERATIONS {
        for state in ["Enabled", "Disabled", "PendingDeletion", "PendingImport"] {
            let cell = &table[name][state];
            let notes: Vec<&str> =
                cell[1].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
            let key = world.external_symmetric().await;
            let got = outcome(&world, &key, name, state).await;
            let pending = failed("KMSInvalidStateException", format!("{key} is pending deletion."));
            if notes.contains(&"8") {
                assert_eq!(got, Err(pending), "{name} {state}");
            } else {
                assert!(["ok", "cond"].contains(&cell[0].as_str().unwrap()), "{name} {state}");
                assert_eq!(got.expect(name)["KeyId"], key, "{name} {state}");
            }
            if state == "PendingImport" {
                continue;
            }
            let key = world.key().await;
            let got = outcome(&world, &key, name, state).await;
            let text = format!("{key} origin is AWS_KMS which is not valid for this operation.");
            assert!(notes.contains(&"9"), "{name} {state}");
            assert_eq!(got, Err(failed("UnsupportedOperationException", text)), "{name} {state}");
        }
    }
}
