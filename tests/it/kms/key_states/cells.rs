//! The cells: how a key gets into a state, and what AWS's footnotes say of it.
use crate::kms::subject::{Kind, Subject};
use crate::support::failed;
use crate::world::{Failed, REGION, World};
use claviger::keys::{KeyState, Origin};
use serde_json::{Map, Value, json};

const TABLE: &str = include_str!("../../../../models/kms-key-states.json");

/// Every state of the API. The table has one column for the two that end a key.
pub const STATES: [&str; 8] = [
    "Enabled",
    "Disabled",
    "PendingDeletion",
    "PendingReplicaDeletion",
    "PendingImport",
    "Unavailable",
    "Creating",
    "Updating",
];

/// AWS's rows, and those of the operations that are younger than its table: what uses a key pair
/// goes with Sign, what only reads goes with GetKeyPolicy, and rotation on demand asks for a key that
/// is enabled (AWS KMS API reference, RotateKeyOnDemand).
pub fn rows() -> Map<String, Value> {
    let table: Value = serde_json::from_str(TABLE).unwrap();
    let mut rows = table.as_object().unwrap().clone();
    for (young, like) in [
        ("Decapsulate", "Sign"),
        ("DeriveSharedSecret", "Sign"),
        ("Encapsulate", "Sign"),
        ("GetKeyLastUsage", "GetKeyPolicy"),
        ("ListKeyRotations", "GetKeyPolicy"),
    ] {
        rows.insert(young.into(), table[like].clone());
    }
    rows["ListKeyRotations"]["Unavailable"] = json!(["fail", ["7"]]);
    let on_demand = json!({
        "Enabled": ["ok", []],
        "Disabled": ["fail", ["1"]],
        "PendingDeletion": ["fail", ["3"]],
        "PendingImport": ["fail", ["5"]],
        "Unavailable": ["fail", ["7"]],
        "Creating": ["fail", ["14"]],
        "Updating": ["fail", ["15"]],
    });
    rows.insert("RotateKeyOnDemand".into(), on_demand);
    rows
}

#[derive(Debug)]
pub struct Cell {
    outcome: String,
    notes: Vec<String>,
}

impl Cell {
    pub fn of(row: &Value, state: &str) -> Self {
        let column = if state == "PendingReplicaDeletion" { "PendingDeletion" } else { state };
        let notes = row[column][1].as_array().unwrap().iter();
        Self {
            outcome: row[column][0].as_str().unwrap().into(),
            notes: notes.map(|note| note.as_str().unwrap().into()).collect(),
        }
    }
}

/// A key for the operation that is in this state. It gets there as keys do, where there is a way; a
/// key store without a device, and what lasts no moment here, is written into the store.
pub async fn key_in(world: &World, operation: &str, state: &str, cell: &Cell) -> Subject {
    let kind = Kind::of(operation).unwrap();
    let subject = match state {
        "PendingImport" => waiting_for_material(world, operation, kind).await,
        "PendingReplicaDeletion" => {
            let more = json!({"MultiRegion": true});
            let subject = Subject::used(world, operation, more).await;
            if kind != Kind::Replicated {
                subject.replicate(world).await;
            }
            subject
        }
        // A replica's end is its own; a primary key with one would wait for it.
        "PendingDeletion" if kind == Kind::Replicated => {
            let subject = Subject::used(world, operation, json!({})).await;
            edit(world, &subject, |key| key.state = KeyState::PendingDeletion).await;
            subject
        }
        _ => Subject::used(world, operation, json!({})).await,
    };
    let body = json!({"KeyId": subject.key});
    match state {
        "Disabled" => drop(world.kms("DisableKey", body).await),
        "PendingReplicaDeletion" => drop(world.kms("ScheduleKeyDeletion", body).await),
        "PendingDeletion" if kind != Kind::Replicated => {
            drop(world.kms("ScheduleKeyDeletion", body).await);
        }
        "Unavailable" => {
            // Footnotes 7 and 9 are about keys in custom key stores.
            let in_store = cell.notes.iter().any(|note| note == "7" || note == "9");
            edit(world, &subject, |key| {
                key.state = KeyState::Unavailable;
                if in_store {
                    key.origin = Origin::AwsCloudhsm;
                }
            })
            .await;
        }
        "Creating" => edit(world, &subject, |key| key.state = KeyState::Creating).await,
        "Updating" => edit(world, &subject, |key| key.state = KeyState::Updating).await,
        _ => {}
    }
    assert_eq!(world.state(&subject.key).await, state, "{operation}");
    subject
}

/// A key whose material was never there or, where the request speaks of what was made with it, has
/// gone again.
async fn waiting_for_material(world: &World, operation: &str, kind: Kind) -> Subject {
    if !kind.can_be_imported() {
        let subject = Subject::used(world, operation, json!({})).await;
        edit(world, &subject, |key| key.state = KeyState::PendingImport).await;
        return subject;
    }
    let more = json!({"Origin": "EXTERNAL"});
    let past = ["Decrypt", "ReEncrypt", "RetireGrant", "RevokeGrant", "UpdatePrimaryRegion"];
    if past.contains(&operation) {
        let subject = Subject::used(world, operation, more).await;
        world.kms("DeleteImportedKeyMaterial", json!({"KeyId": subject.key})).await;
        return subject;
    }
    let mut subject = Subject::new(world, operation, more).await;
    if operation == "ImportKeyMaterial" {
        subject.get_parameters(world).await;
    }
    subject
}

async fn edit(world: &World, subject: &Subject, change: impl FnOnce(&mut claviger::keys::Key)) {
    world.edit_key(REGION, &subject.key, change).await;
}

pub async fn outcome(world: &World, operation: &str, subject: &Subject) -> Option<Failed> {
    world.call("kms", operation, subject.body(operation)).await.err()
}

/// What a cell and its footnotes mean (AWS KMS developer guide, "Key states of AWS KMS keys").
pub fn refusal(cell: &Cell, state: &str, key: &str) -> Option<Failed> {
    let words = match state {
        "PendingDeletion" => "pending deletion",
        "PendingReplicaDeletion" => "pending replica deletion",
        "PendingImport" => "pending import",
        "Unavailable" => "unavailable",
        "Creating" => "creating",
        "Updating" => "updating",
        _ => "",
    };
    let invalid = |words: &str| failed("KMSInvalidStateException", format!("{key} is {words}."));
    let origin = |name: &str| {
        let text = format!("{key} origin is {name} which is not valid for this operation.");
        failed("UnsupportedOperationException", text)
    };
    let notes: Vec<&str> = cell.notes.iter().map(String::as_str).collect();
    match (cell.outcome.as_str(), notes.as_slice()) {
        // 9: it has imported material. 12: it succeeds, and the key stays as it was.
        ("ok", [] | ["9"] | ["12"]) => None,
        // 7 and 9: unless the origin is another one, and the keys of these cells are of the right one.
        ("cond", ["7"] | ["9"]) => None,
        // 10: the alias's new key is the one in this state.
        ("cond", ["10"]) => Some(invalid(words)),
        ("fail", ["1", ..]) => Some(failed("DisabledException", format!("{key} is disabled."))),
        ("fail", ["4", ..]) => Some(invalid("not pending deletion")),
        ("fail", ["2" | "3" | "5" | "8" | "11" | "14" | "15", ..]) => Some(invalid(words)),
        ("fail", ["6"]) => Some(origin("EXTERNAL")),
        ("fail", ["7"] | ["9"]) => Some(origin("AWS_CLOUDHSM")),
        // What cannot happen at AWS is refused in the words of the state.
        ("n/a", []) => Some(invalid(words)),
        other => panic!("a cell of another kind: {other:?}"),
    }
}

/// The key's state after the call. What was refused changed nothing.
pub fn state_after(operation: &str, before: &str, refused: bool) -> String {
    let after = match operation {
        _ if refused => before,
        "CancelKeyDeletion" => "Disabled",
        "ScheduleKeyDeletion" => "PendingDeletion",
        "EnableKey" if before != "Unavailable" => "Enabled",
        "DisableKey" if before != "Unavailable" => "Disabled",
        "ImportKeyMaterial" if before == "PendingImport" => "Enabled",
        "DeleteImportedKeyMaterial" if ["Enabled", "Disabled"].contains(&before) => "PendingImport",
        _ => before,
    };
    after.to_owned()
}
