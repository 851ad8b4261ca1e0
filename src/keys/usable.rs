//! A key that may be used now. Encrypting, signing and the like are methods of it, so that none of them
//! can be reached past the key's state or with material that has expired.
use super::{Found, KeyError};
use crate::authorize::Authorized;
use crate::types::Timestamp;
use std::ops::Deref;

/// Made by [`Authorized::usable`] alone.
#[derive(Debug)]
pub struct Usable(Authorized<Found>);

impl Deref for Usable {
    type Target = Found;
    fn deref(&self) -> &Found {
        &self.0
    }
}

impl Authorized<Found> {
    /// Refuses a key whose state or whose imported material does not take the operation now.
    pub fn usable(self, operation: &'static str, now: Timestamp) -> Result<Usable, KeyError> {
        self.permits(operation)?;
        self.unexpired(now)?;
        Ok(Usable(self))
    }
}
