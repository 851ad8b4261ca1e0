//! Every domain-separation label of the product, in one list.
//!
//! A label says what a derived key, a MAC or a sealed message is *for*. Two purposes never share one,
//! and none may begin another, or an attacker who moves bytes between two purposes could make one
//! pass for the other. A zero byte ends each label and occurs inside none, which is what makes
//! `audit` and `audit-checkpoint` safe neighbours.
//!
//! ```text
//! claviger/v1/<purpose> 00
//! claviger/v1/row/<table> 00
//! ```
//!
//! A label is part of every format that uses it: it is never edited, only added to.

use std::fmt;

/// A purpose, as the bytes that enter a derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    stem: &'static str,
    /// The table's name behind `row/`; empty for every other label.
    table: &'static str,
}

impl Label {
    /// Ciphertext blobs: the message key and its commitment.
    pub const ENC: Self = Self::new("claviger/v1/enc");
    /// The digest of header and associated data inside every sealed message.
    pub const AAD: Self = Self::new("claviger/v1/aad");
    /// The public identity of key material.
    pub const KEY_MATERIAL_ID: Self = Self::new("claviger/v1/key-material-id");
    /// The digest of an HMAC key that its public identity is made from.
    pub const HMAC_MATERIAL: Self = Self::new("claviger/v1/hmac-material");
    /// The check value stored beside a wrapped domain key.
    pub const KEY_CHECK: Self = Self::new("claviger/v1/key-check");
    /// The keyed state over all records of the store.
    pub const CHAIN: Self = Self::new("claviger/v1/chain");
    /// The head of that state, where the store cannot reach it.
    pub const ANCHOR: Self = Self::new("claviger/v1/anchor");
    /// The chain of audit records.
    pub const AUDIT: Self = Self::new("claviger/v1/audit");
    /// Signed points in that chain.
    pub const AUDIT_CHECKPOINT: Self = Self::new("claviger/v1/audit-checkpoint");
    /// Markers and next tokens of paged lists.
    pub const PAGE_TOKEN: Self = Self::new("claviger/v1/page-token");
    pub const GRANT_TOKEN: Self = Self::new("claviger/v1/grant-token");
    pub const IMPORT_TOKEN: Self = Self::new("claviger/v1/import-token");
    pub const STS_SESSION: Self = Self::new("claviger/v1/sts-session");
    pub const CONSOLE_SESSION: Self = Self::new("claviger/v1/console-session");
    /// The comparison "same request token, same content?", without storing a hash of a secret.
    pub const CLIENT_REQUEST_TOKEN: Self = Self::new("claviger/v1/client-request-token");
    /// Mixing the system's generator with the device's.
    pub const RNG_MIX: Self = Self::new("claviger/v1/rng-mix");
    pub const BACKUP: Self = Self::new("claviger/v1/backup");
    /// A secret's value under the data key of its version.
    pub const SECRET_VALUE: Self = Self::new("claviger/v1/secret-value");
    /// By what a key in a device is known again.
    pub const RESIDENT_PROOF: Self = Self::new("claviger/v1/resident-proof");
    /// The encoded messages of refusals.
    pub const AUTHORIZATION_MESSAGE: Self = Self::new("claviger/v1/authorization-message");
    /// The key of one message that another KMS has encrypted by the XKS proxy.
    pub const XKS_KEY: Self = Self::new("claviger/v1/xks-key");
    /// What a KMS key in an external key store seals before its proxy does.
    pub const XKS_ENC: Self = Self::new("claviger/v1/xks-enc");

    /// The X25519 half of a recovery key, out of its seed.
    pub const RECOVERY_X25519: Self = Self::new("claviger/v1/recovery-x25519");
    /// The ML-KEM half.
    pub const RECOVERY_ML_KEM: Self = Self::new("claviger/v1/recovery-ml-kem");
    /// A domain key that is wrapped for a recovery key.
    pub const RECOVERY_WRAP: Self = Self::new("claviger/v1/recovery-wrap");
    /// The public half in such a wrap, as somebody put it there who had the domain key.
    pub const RECOVERY_PUBLIC: Self = Self::new("claviger/v1/recovery-public");
    /// That custodians opened the domain keys with a recovery key.
    pub const RECOVERY_DRILL: Self = Self::new("claviger/v1/recovery-drill");
    /// Which domain keys a deployment has.
    pub const DEPLOYMENT: Self = Self::new("claviger/v1/deployment");

    /// Every label but the rows', which [`Label::row`] makes.
    pub const ALL: [Self; 28] = [
        Self::ENC,
        Self::AAD,
        Self::KEY_MATERIAL_ID,
        Self::HMAC_MATERIAL,
        Self::KEY_CHECK,
        Self::CHAIN,
        Self::ANCHOR,
        Self::AUDIT,
        Self::AUDIT_CHECKPOINT,
        Self::PAGE_TOKEN,
        Self::GRANT_TOKEN,
        Self::IMPORT_TOKEN,
        Self::STS_SESSION,
        Self::CONSOLE_SESSION,
        Self::CLIENT_REQUEST_TOKEN,
        Self::RNG_MIX,
        Self::BACKUP,
        Self::SECRET_VALUE,
        Self::RESIDENT_PROOF,
        Self::AUTHORIZATION_MESSAGE,
        Self::XKS_KEY,
        Self::XKS_ENC,
        Self::RECOVERY_X25519,
        Self::RECOVERY_ML_KEM,
        Self::RECOVERY_WRAP,
        Self::RECOVERY_PUBLIC,
        Self::RECOVERY_DRILL,
        Self::DEPLOYMENT,
    ];

    const fn new(stem: &'static str) -> Self {
        Self { stem, table: "" }
    }

    /// The label of one table's rows.
    pub const fn row(table: Table) -> Self {
        Self { stem: "claviger/v1/row/", table: table.0 }
    }

    /// The label's bytes with their terminator, in pieces to be hashed one after the other.
    pub(crate) fn parts(&self) -> [&'static [u8]; 3] {
        [self.stem.as_bytes(), self.table.as_bytes(), b"\0"]
    }
}

/// The label as text, without its terminator.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.stem, self.table)
    }
}

/// The name of a store table: 1 to 32 of `a-z`, `0-9` and `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table(&'static str);

impl Table {
    /// Table names stand in every row's header, so they are short.
    pub const NAME_MAX_BYTES: usize = 32;

    /// Meant for constants, where a bad name does not compile.
    pub const fn new(name: &'static str) -> Self {
        assert!(is_table_name(name.as_bytes()), "a table name is 1 to 32 of a-z, 0-9 and -");
        Self(name)
    }

    pub const fn name(&self) -> &'static str {
        self.0
    }

    /// A table that is met by its name, by whoever reads rows of every kind. The name stays in memory
    /// for good, so ask once for each.
    pub fn of_name(name: &str) -> Option<Self> {
        is_table_name(name.as_bytes()).then(|| Self(Box::leak(name.into())))
    }
}

const fn is_table_name(mut name: &[u8]) -> bool {
    if name.is_empty() || name.len() > Table::NAME_MAX_BYTES {
        return false;
    }
    while let [first, rest @ ..] = name {
        if !matches!(*first, b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        name = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Vec<u8>> {
        let rows = ["a", "kms-key", "kms-key-2", "enc", "audit"].map(|t| Label::row(Table::new(t)));
        Label::ALL.iter().chain(&rows).map(|label| label.parts().concat()).collect()
    }

    #[test]
    fn labels_are_unique_and_none_begins_another() {
        let all = all();
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert!(i == j || !b.starts_with(a), "{a:?} begins {b:?}");
            }
        }
    }

    #[test]
    fn labels_are_of_this_product_and_version_and_end_in_their_only_zero() {
        for label in all() {
            assert!(label.starts_with(b"claviger/v1/"));
            assert_eq!(label.iter().position(|byte| *byte == 0), Some(label.len() - 1));
        }
        // No fixed label may lie where the rows' labels are.
        assert!(Label::ALL.iter().all(|label| !label.stem.starts_with("claviger/v1/row")));
    }

    #[test]
    fn table_names_are_checked() {
        for bad in ["", "A", "a b", "a/b", "a\0", "é", "a2345678901234567890123456789012x"] {
            assert!(!is_table_name(bad.as_bytes()), "{bad}");
        }
        assert!(is_table_name(b"a2345678901234567890123456789012"));
    }
}
