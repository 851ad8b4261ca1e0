//! The rows of a store that was opened without looking at them, compared with what it says of itself.
use crate::call::Server;
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How often it is tried while the store cannot be read. Whoever can keep it from being read must not be believed for ever.
const TRIES: u32 = 30;
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it is tried at all: a database may answer a row now and then.
const LONGEST: Duration = Duration::from_secs(3600);

/// Ends when the rows turned out not to be the right ones, or nobody can tell; never, if they are.
pub async fn distrust_rows(server: Arc<Server>) {
    if are_right_in_time(&server.store, PAUSE, LONGEST).await {
        std::future::pending().await
    }
}

async fn are_right_in_time(store: &Store, pause: Duration, longest: Duration) -> bool {
    match tokio::time::timeout(longest, are_right(store, pause)).await {
        Ok(right) => right,
        Err(_) => {
            let error = format!("the store's rows could not be compared within {longest:?}");
            tracing::error!("{error}: nothing is served any more");
            store.distrust(StoreError::Unavailable(error));
            false
        }
    }
}

/// If they are not, nothing is answered from the store any more.
async fn are_right(store: &Store, pause: Duration) -> bool {
    for left in (0..TRIES).rev() {
        match store.check_rows().await {
            Ok(was_due) => {
                if was_due {
                    tracing::info!("the store's rows are those that were last acknowledged");
                }
                return true;
            }
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(%error, "nothing is served from this store any more");
                return false;
            }
            Err(error) if left == 0 => {
                tracing::error!(%error, "nobody can tell whether the store's rows are right: nothing is served any more");
                store.distrust(error);
            }
            Err(error) => {
                tracing::warn!(%error, left, "cannot compare the store's rows with what it says of itself");
                tokio::time::sleep(pause).await;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::LockedKey;
    use crate::random::SystemRandom;
    use crate::store::{
        Backend, Commit, Digest, Mark, Memory, Opening, Revision, RowKeys, Sum, Verify, Witness,
    };
    use bytes::Bytes;
    use std::ops::Range;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Its rows cannot be summed so many times.
    #[derive(Debug, Default)]
    struct Failing(Memory, AtomicU32);

    /// For this many failures it does not fail, but never answers.
    const STALLS: u32 = u32::MAX;

    #[async_trait::async_trait]
    impl Backend for Failing {
        async fn get(&self, key: &[u8]) -> Result<Option<(Revision, Bytes)>, StoreError> {
            self.0.get(key).await
        }
        async fn scan(
            &self,
            range: Range<Bytes>,
            limit: usize,
        ) -> Result<Vec<(Bytes, Revision, Bytes)>, StoreError> {
            self.0.scan(range, limit).await
        }
        async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
            self.0.commit(commit).await
        }
        async fn state(&self) -> Result<Option<Bytes>, StoreError> {
            self.0.state().await
        }
        fn install(&self, witness: Arc<dyn Witness>, start: Digest, last: Revision) {
            self.0.install(witness, start, last);
        }
        async fn sum(&self, mark: Mark) -> Result<Sum, StoreError> {
            if self.1.load(Ordering::SeqCst) == STALLS {
                return std::future::pending().await;
            }
            let less = |left: u32| left.checked_sub(1);
            match self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
                Ok(_) => Err(StoreError::Unavailable("no".into())),
                Err(_) => self.0.sum(mark).await,
            }
        }
        async fn clear(&self) -> Result<(), StoreError> {
            self.0.clear().await
        }
    }

    async fn open(backend: Arc<Failing>, verify: Verify) -> Store {
        let key = Arc::new(LockedKey::new(&[1; 32]));
        let keys = Arc::new(RowKeys::new([7; 16], [(1, key)].into()).unwrap());
        let opening = Opening { verify, ..Opening::default() };
        Store::open_with(backend, keys, Arc::new(SystemRandom), true, opening).await.unwrap()
    }

    #[tokio::test]
    async fn it_is_tried_again_and_not_for_ever() {
        for (failures, right) in [(0, true), (1, true), (TRIES - 1, true), (TRIES, false)] {
            let backend = Arc::new(Failing::default());
            // So that there is a state to go by.
            open(backend.clone(), Verify::BeforeServing).await.clear().await.unwrap();
            backend.1.store(failures, Ordering::SeqCst);
            let store = open(backend.clone(), Verify::WhileServing).await;
            assert!(!store.is_verified());
            assert_eq!(are_right(&store, Duration::ZERO).await, right, "{failures}");
            assert_eq!(store.is_verified(), right);
            assert_eq!(store.trusted().is_ok(), right);
            assert_eq!(store.check_writable().is_ok(), right);
        }
    }

    #[tokio::test]
    async fn who_never_answers_is_not_waited_for_ever() {
        let backend = Arc::new(Failing::default());
        open(backend.clone(), Verify::BeforeServing).await.clear().await.unwrap();
        backend.1.store(STALLS, Ordering::SeqCst);
        let store = open(backend, Verify::WhileServing).await;
        assert!(!are_right_in_time(&store, PAUSE, Duration::from_millis(50)).await);
        assert!(store.trusted().is_err());
    }
}
