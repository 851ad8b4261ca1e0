//! Turns at heavy arithmetic, such as making an RSA key, which takes seconds: on threads of their own,
//! as many at a time as there are processors, and with a queue that ends. Whoever waits holds one of
//! the places for calls, so a queue without an end would keep everybody from being served.
use crate::quotas::Throttled;
use crate::types::AccountId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// How many of an account's calls may be at work or wait, and of all accounts', for each processor.
const PER_ACCOUNT: usize = 8;
const IN_ALL: usize = 64;

#[derive(Debug)]
pub struct Heavy {
    turns: Semaphore,
    processors: usize,
    /// Calls at work or waiting, by account. An account without any is not in it.
    busy: Mutex<HashMap<AccountId, usize>>,
}

impl Default for Heavy {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { turns: Semaphore::new(processors), processors, busy: Mutex::default() }
    }
}

impl Heavy {
    /// None if the work broke off.
    pub async fn run<T: Send + 'static>(
        &self,
        account: &AccountId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, Throttled> {
        let _place = self.place(account)?;
        let Ok(_turn) = self.turns.acquire().await else { return Ok(None) };
        Ok(tokio::task::spawn_blocking(work).await.ok())
    }

    fn place(&self, account: &AccountId) -> Result<Place<'_>, Throttled> {
        let mut busy = self.busy();
        let all: usize = busy.values().sum();
        let own = busy.get(account).copied().unwrap_or_default();
        if all >= IN_ALL * self.processors || own >= PER_ACCOUNT * self.processors {
            return Err(Throttled);
        }
        busy.insert(account.clone(), own + 1);
        Ok(Place { heavy: self, account: account.clone() })
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<AccountId, usize>> {
        // Each change is one insert or remove: the map is whole even if a thread died holding it.
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue, given back when dropped, also by a call that is cancelled.
struct Place<'h> {
    heavy: &'h Heavy,
    account: AccountId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut busy = self.heavy.busy();
        if let Some(own) = busy.get_mut(&self.account) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                busy.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Heavy, PER_ACCOUNT};

    #[test]
    fn an_account_waits_only_so_long_a_queue_and_leaves_room_for_others() {
        let heavy = Heavy::default();
        let (one, other) = ("111122223333".parse().unwrap(), "444455556666".parse().unwrap());
        let most = PER_ACCOUNT * heavy.processors;
        let places: Vec<_> = (0..most).map(|_| heavy.place(&one).unwrap()).collect();
        assert!(heavy.place(&one).is_err());
        assert!(heavy.place(&other).is_ok());
        drop(places);
        assert!(heavy.place(&one).is_ok());
        assert!(heavy.busy().is_empty());
    }
}
