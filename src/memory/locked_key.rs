//! A secret key that a record can hold: it lives in the process's one arena of locked memory.
use super::arena::{Arena, ArenaKey};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::LazyLock;
use zeroize::Zeroizing;

/// 32 768 keys of 64 bytes: 2 MiB, under the usual limit of 8 MiB for locked memory.
const SLOTS: usize = 32_768;

/// One arena for the process, like its allocator: which memory a key lies in is no one's choice.
static ARENA: LazyLock<Option<Arena>> = LazyLock::new(|| Arena::new(SLOTS).ok());

/// 32 secret bytes on locked pages; on the heap, wiped when freed, once the arena is full.
pub struct LockedKey(Place);

enum Place {
    Arena(ArenaKey),
    Heap(Box<Zeroizing<[u8; 32]>>),
}

impl LockedKey {
    pub fn new(bytes: &[u8; 32]) -> Self {
        let in_arena = ARENA.as_ref().and_then(|arena| arena.store(bytes).ok());
        Self(match in_arena {
            Some(key) => Place::Arena(key),
            None => Place::Heap(Box::new(Zeroizing::new(*bytes))),
        })
    }
    pub fn expose(&self) -> &[u8; 32] {
        match &self.0 {
            Place::Arena(key) => key.expose(),
            Place::Heap(key) => key,
        }
    }
    /// How well the arena's pages are kept; none if there is no arena.
    pub fn protection() -> Option<super::Protection> {
        ARENA.as_ref().map(Arena::protection)
    }
}

impl std::fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LockedKey(..)")
    }
}

// Only sealed rows carry keys; no answer and no log has a member of this type.
impl Serialize for LockedKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&Zeroizing::new(B64.encode(self.expose())))
    }
}
impl<'de> Deserialize<'de> for LockedKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(d)?);
        let mut bytes = Zeroizing::new([0; 32]);
        match B64.decode_slice(text.as_bytes(), &mut *bytes) {
            Ok(32) => Ok(Self::new(&bytes)),
            _ => Err(serde::de::Error::custom("not a key of 32 bytes")),
        }
    }
}
