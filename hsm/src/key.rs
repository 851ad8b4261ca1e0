//! The words of this crate: names of root keys, bytes of keys, keys wrapped under a root.

use crate::HsmError;
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Longest name of a key in a device, in bytes. Tokens differ in how long a label they keep whole; all
/// we know of keep this one.
const MAX_ID_LEN: usize = 128;

/// Names a root key inside a device. The device, not this process, holds the key.
///
/// In a token the name is the object's label: `claviger/<cluster>/rk-d/<generation>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RootKeyId(String);

impl RootKeyId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses names that a token could cut short, or that would read differently than they are.
    pub fn check(&self) -> Result<(), HsmError> {
        check_name("root key", &self.0)
    }
}

/// 1 to [`MAX_ID_LEN`] printable characters; `what` is the kind of key, for the message.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), HsmError> {
    let printable = name.bytes().all(|b| b.is_ascii_graphic());
    if name.is_empty() || name.len() > MAX_ID_LEN || !printable {
        return Err(HsmError::Refused(format!(
            "{what} name {name:?}: wanted 1 to {MAX_ID_LEN} printable ASCII characters without \
             spaces, found {} bytes",
            name.len()
        )));
    }
    Ok(())
}

impl fmt::Display for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Key bytes that exist only while in use. Wiped on drop, never printed, compared in constant
/// time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeyBytes(Vec<u8>);

impl KeyBytes {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for KeyBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyBytes {}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBytes(..)")
    }
}

/// A key wrapped under a root key. Safe to store anywhere; the format is drawn in `wrapped.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    pub root: RootKeyId,
    pub bytes: Vec<u8>,
}
