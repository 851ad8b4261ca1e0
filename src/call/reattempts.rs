//! Rotations that are to be tried again sooner than planned: noted by a call that is refused because
//! of them, so it cannot be in its transaction. A crash loses the notes, and the plan stands.
use crate::types::{AccountId, Region};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Beyond so many notes none is taken: the next request for the same rotation makes it again.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub struct Reattempts(Mutex<BTreeSet<(AccountId, Region, String)>>);

impl Reattempts {
    /// Asks for another attempt at rotating the secret of this name.
    pub fn note(&self, account: &AccountId, region: &Region, secret: &str) {
        let mut noted = self.hold();
        if noted.len() < MOST {
            noted.insert((account.clone(), region.clone(), secret.to_owned()));
        }
    }

    /// What was asked for since the last time.
    pub fn take(&self) -> BTreeSet<(AccountId, Region, String)> {
        std::mem::take(&mut *self.hold())
    }

    fn hold(&self) -> MutexGuard<'_, BTreeSet<(AccountId, Region, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
