//! The encryption context: what a caller binds a ciphertext to.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Key–value pairs, exact and case-sensitive, in the order of the keys' bytes, so that two contexts
/// with the same pairs are one value. Absent and empty are the same. (AWS KMS developer guide,
/// "Encryption context".)
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncryptionContext(pub BTreeMap<String, String>);

impl<const N: usize> From<[(&str, &str); N]> for EncryptionContext {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }
}
