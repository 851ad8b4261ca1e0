//! Imported key material: how it comes in, goes, comes back and expires.
//!
//! | row | key | what |
//! |---|---|---|
//! | `import-key` | region, key id, token id | the private half of a wrapping key that was given out |
//! | `import-keys` | region, key id | which of these a key has, oldest first |
//! | `due-import` | time, region, key id, name | when a wrapping key or a material ends |
//!
//! Each region of a multi-Region key imports by itself: which materials the key has is the same in
//! all of them, whether the bytes are imported and until when is each one's own. The bytes are stored
//! once, and as long as one region has them.
mod due;
mod material;
mod wrapping;

pub use due::{DueImport, Expired, due, expire};
pub use material::{Import, ImportType};
pub use wrapping::{Offer, Unwrapped, WrappingKey, suits};

use super::{Key, KeyError, MaterialState};
use crate::primitives::KeySpec;
use crate::store::Tx;
use crate::types::Timestamp;

/// Whether material of this spec can be imported. AWS documents which ("Requirements for imported
/// key material"); ML-DSA and ML-KEM are not among them.
pub const fn importable(spec: KeySpec) -> bool {
    !matches!(
        spec,
        KeySpec::MlDsa44
            | KeySpec::MlDsa65
            | KeySpec::MlDsa87
            | KeySpec::MlKem512
            | KeySpec::MlKem768
            | KeySpec::MlKem1024
    )
}

impl Key {
    /// The state's refusal, if material that the key needs has expired and the background has not
    /// yet come to delete it: what has expired must not be used for one second more.
    pub fn unexpired(&self, now: Timestamp) -> Result<(), KeyError> {
        let over = |end: Timestamp| end <= now;
        let expired = self.materials.iter().any(|material| {
            material.state != MaterialState::PendingRotation && material.valid_to.is_some_and(over)
        });
        if expired {
            return Err(KeyError::InvalidState(self.arn.clone(), "pending import"));
        }
        Ok(())
    }
}

/// Removes what a key that is being destroyed leaves behind of its imports, apart from the bytes.
pub(super) async fn clear(tx: &mut Tx<'_>, key: &Key) -> Result<(), KeyError> {
    wrapping::clear(tx, key).await?;
    for material in &key.materials {
        if let Some(end) = material.valid_to {
            due::cancel(tx, key, end, &material.id)?;
        }
    }
    Ok(())
}
