//! Object handles, remembered only as long as the token does.
//!
//! Finding an object is slow (linear in SoftHSM), so it is done once. After a new login or a
//! restart of the module a handle may name nothing, or another key; all are forgotten then.

use super::gate::Epoch;
use cryptoki::object::ObjectHandle;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Handles, or what has several, by the name of the key. The epoch that is asked with is that of
/// the session the handle will be used in ([`Lent::epoch`](super::session_pool::Lent::epoch)).
#[derive(Debug)]
pub(super) struct Handles<K, V = ObjectHandle> {
    state: Mutex<(Epoch, BTreeMap<K, V>)>,
}

impl<K, V> Default for Handles<K, V> {
    fn default() -> Self {
        Self { state: Mutex::new((Epoch::default(), BTreeMap::new())) }
    }
}

impl<K: Ord + Clone, V: Clone> Handles<K, V> {
    pub(super) fn get(&self, epoch: Epoch, key: &K) -> Option<V> {
        let state = self.state();
        if state.0 == epoch { state.1.get(key).cloned() } else { None }
    }

    pub(super) fn put(&self, epoch: Epoch, key: &K, handle: V) {
        let mut state = self.state();
        if state.0 != epoch {
            *state = (epoch, BTreeMap::new());
        }
        state.1.insert(key.clone(), handle);
    }

    pub(super) fn forget(&self, key: &K) {
        self.state().1.remove(key);
    }

    fn state(&self) -> MutexGuard<'_, (Epoch, BTreeMap<K, V>)> {
        // Every change is one insert, remove or replacement: none can be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_of_another_epoch_is_not_given_out() {
        let handles: Handles<u8, &str> = Handles::default();
        let first = Epoch::default();
        handles.put(first, &1, "one");
        handles.put(first, &2, "two");
        assert_eq!(handles.get(first, &1), Some("one"));
        for later in [Epoch { start: 0, objects: 1 }, Epoch { start: 1, objects: 1 }] {
            assert_eq!(handles.get(later, &1), None);
        }
        let later = Epoch { start: 0, objects: 1 };
        handles.put(later, &1, "another");
        assert_eq!(handles.get(later, &1), Some("another"));
        // All of the epoch before are gone with it.
        assert_eq!(handles.get(later, &2), None);
        assert_eq!(handles.get(first, &1), None);
        handles.forget(&1);
        assert_eq!(handles.get(later, &1), None);
    }
}
