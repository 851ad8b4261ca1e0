//! Which operation a key takes in which state, as data.
//!
//! Source: AWS KMS developer guide, "Key states of AWS KMS keys", whose table is
//! `models/kms-key-states.json`; operations that are younger than it stand beside those they are like.
//! What depends on the key's origin instead of its state, the operation itself refuses first.
use super::{Key, KeyError};
use crate::store::StoreError;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion,
    /// A multi-Region primary key that waits for the end of its replicas.
    PendingReplicaDeletion,
    /// Without (some of) its imported material.
    PendingImport,
    /// In a custom key store that is not connected.
    Unavailable,
    Creating,
    Updating,
}

impl KeyState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
            Self::PendingReplicaDeletion => "PendingReplicaDeletion",
            Self::PendingImport => "PendingImport",
            Self::Unavailable => "Unavailable",
            Self::Creating => "Creating",
            Self::Updating => "Updating",
        }
    }

    /// `<arn> is …`, in AWS's errors.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::PendingDeletion => "pending deletion",
            Self::PendingReplicaDeletion => "pending replica deletion",
            Self::PendingImport => "pending import",
            Self::Unavailable => "unavailable",
            Self::Creating => "creating",
            Self::Updating => "updating",
        }
    }

    /// Whether the key is on its way out, at once or after its replicas.
    pub const fn is_ending(self) -> bool {
        matches!(self, Self::PendingDeletion | Self::PendingReplicaDeletion)
    }
}

/// What a state says to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Permits,
    /// DisabledException.
    Disabled,
    /// KMSInvalidStateException that names the state.
    Invalid,
    /// KMSInvalidStateException: is not pending deletion.
    NotPending,
    /// UnsupportedOperationException: keys of the origin that has this state never take it.
    Origin,
}

const OK: Cell = Cell::Permits;
const DIS: Cell = Cell::Disabled;
const INV: Cell = Cell::Invalid;
const NPD: Cell = Cell::NotPending;
const ORG: Cell = Cell::Origin;

/// Enabled, Disabled, PendingDeletion and PendingReplicaDeletion, PendingImport, Unavailable,
/// Creating, Updating.
type Row = [Cell; 7];

const CRYPTO: Row = [OK, DIS, INV, INV, INV, INV, OK];
const ALWAYS: Row = [OK; 7];
const UNLESS_ENDING: Row = [OK, OK, INV, OK, OK, OK, OK];
const SWITCH: Row = [OK, OK, INV, INV, OK, INV, INV];
const SET_ROTATION: Row = [OK, DIS, INV, ORG, ORG, INV, OK];
const IMPORT: Row = [OK, OK, INV, OK, INV, INV, OK];

/// By operation, in the order of the names.
const TABLE: &[(&str, Row)] = &[
    ("CancelKeyDeletion", [NPD, NPD, OK, NPD, NPD, NPD, NPD]),
    ("CreateAlias", UNLESS_ENDING),
    ("CreateGrant", [OK, DIS, INV, INV, OK, INV, OK]),
    ("Decapsulate", CRYPTO),
    ("Decrypt", CRYPTO),
    ("DeleteAlias", ALWAYS),
    ("DeleteImportedKeyMaterial", [OK, OK, OK, OK, INV, INV, INV]),
    ("DeriveSharedSecret", CRYPTO),
    ("DescribeKey", ALWAYS),
    ("DisableKey", SWITCH),
    ("DisableKeyRotation", SET_ROTATION),
    ("EnableKey", SWITCH),
    ("EnableKeyRotation", SET_ROTATION),
    ("Encapsulate", CRYPTO),
    ("Encrypt", CRYPTO),
    ("GenerateDataKey", CRYPTO),
    ("GenerateDataKeyPair", CRYPTO),
    ("GenerateDataKeyPairWithoutPlaintext", CRYPTO),
    ("GenerateDataKeyWithoutPlaintext", CRYPTO),
    ("GenerateMac", CRYPTO),
    ("GetKeyLastUsage", ALWAYS),
    ("GetKeyPolicy", ALWAYS),
    ("GetKeyRotationStatus", [OK, OK, OK, ORG, ORG, OK, OK]),
    ("GetParametersForImport", [OK, OK, INV, OK, INV, INV, INV]),
    ("GetPublicKey", CRYPTO),
    ("ImportKeyMaterial", IMPORT),
    ("ListAliases", ALWAYS),
    ("ListGrants", ALWAYS),
    ("ListKeyPolicies", ALWAYS),
    ("ListKeyRotations", ALWAYS),
    ("ListResourceTags", ALWAYS),
    ("PutKeyPolicy", ALWAYS),
    ("ReEncrypt", CRYPTO),
    ("ReplicateKey", [OK, DIS, INV, INV, INV, INV, INV]),
    ("RetireGrant", ALWAYS),
    ("RevokeGrant", ALWAYS),
    ("RotateKeyOnDemand", [OK, DIS, INV, INV, INV, INV, INV]),
    ("ScheduleKeyDeletion", [OK, OK, INV, OK, OK, OK, INV]),
    ("Sign", CRYPTO),
    ("TagResource", UNLESS_ENDING),
    ("UntagResource", UNLESS_ENDING),
    ("UpdateAlias", UNLESS_ENDING),
    ("UpdateKeyDescription", UNLESS_ENDING),
    ("UpdatePrimaryRegion", [OK, DIS, INV, INV, INV, INV, OK]),
    ("Verify", CRYPTO),
    ("VerifyMac", CRYPTO),
];

impl Key {
    /// Refuses what the key does not take in this state. UpdateAlias asks the alias's new key.
    pub(super) fn permits_in(
        &self,
        state: KeyState,
        operation: &'static str,
    ) -> Result<(), KeyError> {
        let row = TABLE.binary_search_by_key(&operation, |(name, _)| name);
        let row = row.ok().and_then(|at| TABLE.get(at)).map(|(_, row)| row);
        let [enabled, disabled, ending, import, unavailable, creating, updating] =
            row.ok_or_else(|| {
                StoreError::Corrupt(format!("{operation} is not in the table of key states"))
            })?;
        let cell = match state {
            KeyState::Enabled => enabled,
            KeyState::Disabled => disabled,
            KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => ending,
            KeyState::PendingImport => import,
            KeyState::Unavailable => unavailable,
            KeyState::Creating => creating,
            KeyState::Updating => updating,
        };
        match cell {
            Cell::Permits => Ok(()),
            Cell::Disabled => Err(KeyError::Disabled(self.arn.clone())),
            Cell::Invalid => Err(KeyError::InvalidState(self.arn.clone(), state.in_words())),
            Cell::NotPending => Err(KeyError::NotPendingDeletion(self.arn.clone())),
            Cell::Origin => Err(self.wrong_origin()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, TABLE};
    use serde_json::Value;

    const COLUMNS: [&str; 7] = [
        "Enabled",
        "Disabled",
        "PendingDeletion",
        "PendingImport",
        "Unavailable",
        "Creating",
        "Updating",
    ];

    #[test]
    fn rows_are_sorted() {
        assert!(TABLE.is_sorted_by(|one, other| one.0 < other.0));
    }

    /// Every cell of AWS's table. The footnotes are AWS's: 1 disabled, 2 and 3 pending deletion,
    /// 4 not pending deletion, 5 pending import, 6 and 7 origin, 8 and 9 import, 11 unavailable,
    /// 14 creating, 15 updating.
    #[test]
    fn our_table_is_the_guides() {
        let guide: Value =
            serde_json::from_str(include_str!("../../models/kms-key-states.json")).unwrap();
        let mut cells = 0;
        for (operation, row) in guide.as_object().unwrap() {
            let ours = TABLE.iter().find(|(name, _)| name == operation);
            let (_, ours) = ours.unwrap_or_else(|| panic!("{operation} has no row"));
            for (column, cell) in COLUMNS.iter().zip(ours) {
                let outcome = row[*column][0].as_str().unwrap();
                let notes: Vec<&str> = row[*column][1]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|n| n.as_str().unwrap())
                    .collect();
                let fits = match outcome {
                    "ok" | "cond" => *cell == Cell::Permits || notes.contains(&"10"),
                    // What cannot happen is refused in the words of the state.
                    "n/a" => *cell == Cell::Invalid,
                    "fail" => match notes.first().copied() {
                        Some("1") => *cell == Cell::Disabled,
                        Some("4") => *cell == Cell::NotPending,
                        Some("6" | "7") => *cell == Cell::Origin,
                        Some("2" | "3" | "5" | "8" | "9" | "11" | "14" | "15") => {
                            *cell == Cell::Invalid
                        }
                        other => panic!("{operation} {column}: footnote {other:?}"),
                    },
                    other => panic!("{operation} {column}: {other}"),
                };
                assert!(fits, "{operation} in {column}: {cell:?}, not {outcome} {notes:?}");
                cells += 1;
            }
        }
        assert_eq!(cells, guide.as_object().unwrap().len() * COLUMNS.len());
    }
}
