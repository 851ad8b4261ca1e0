//! Secret bytes of any length that a record can hold.
use super::LockedKey;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// 32 bytes lie on locked pages. Longer and shorter ones (key pairs, some HMAC keys) lie on the heap,
/// wiped when freed: their library keeps its own copy there anyway while they are in use.
pub struct SecretBytes(Place);

enum Place {
    Locked(LockedKey),
    Heap(Zeroizing<Vec<u8>>),
}

impl SecretBytes {
    pub fn new(bytes: &[u8]) -> Self {
        Self(match bytes.try_into() {
            Ok(key) => Place::Locked(LockedKey::new(key)),
            Err(_) => Place::Heap(Zeroizing::new(bytes.to_vec())),
        })
    }
    pub fn expose(&self) -> &[u8] {
        match &self.0 {
            Place::Locked(key) => key.expose(),
            Place::Heap(bytes) => bytes,
        }
    }
}

impl From<LockedKey> for SecretBytes {
    fn from(key: LockedKey) -> Self {
        Self(Place::Locked(key))
    }
}

impl std::fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

// Only sealed rows carry them; no answer and no log has a member of this type.
impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&Zeroizing::new(B64.encode(self.expose())))
    }
}
impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(d)?);
        let bytes = B64.decode(text.as_bytes()).map_err(serde::de::Error::custom)?;
        Ok(Self::new(&Zeroizing::new(bytes)))
    }
}
