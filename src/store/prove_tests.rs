//! A row that was just written is read back: as it was written, moved on by a later commit, or back in an
//! earlier state.
use super::sealed::{Proof, Sealed, Written};
use super::{Backend, Commit, Embedded, Revision, RowKeys, StoreError, Verify};
use crate::memory::LockedKey;
use crate::random::SystemRandom;
use crate::seal::Table;
use bytes::Bytes;
use std::sync::Arc;
use zeroize::Zeroizing;

pub(super) const TABLE: Table = Table::new("proven");

pub(super) fn keys() -> Arc<RowKeys> {
    let key = Arc::new(LockedKey::new(&[1; 32]));
    Arc::new(RowKeys::new([7; 16], [(1, key)].into()).unwrap())
}

pub(super) async fn sealed(backend: Arc<dyn Backend>) -> Sealed {
    Sealed::open(backend, keys(), Arc::new(SystemRandom), true, Verify::default()).await.unwrap()
}

/// Writes a row over what is there, or deletes it.
pub(super) async fn write(store: &Sealed, key: &'static str, text: Option<&str>) -> Revision {
    let now = store.revisions(&[key.as_bytes()]).await.unwrap()[0];
    let value = text.map(|text| Zeroizing::new(text.into()));
    let written = Written { table: TABLE, value };
    store.commit([(key.into(), now)].into(), [(key.into(), written)].into()).await.unwrap()
}

pub(super) async fn prove(
    store: &Sealed,
    revision: Revision,
    key: &'static str,
    text: &str,
) -> Result<(), StoreError> {
    let value = Zeroizing::new(text.into());
    store.prove(revision, vec![Proof { table: TABLE, key: key.into(), value }]).await
}

/// Puts the row of an earlier commit back, or takes it away: as damage does, past whoever seals.
pub(super) async fn put_back(
    backend: &dyn Backend,
    key: &'static str,
    revision: Revision,
    row: Option<Bytes>,
) {
    let write = [(key.into(), row)].into();
    backend.commit(Commit { revision, write, ..Commit::default() }).await.unwrap();
}

pub(super) fn assert_damaged(proved: Result<(), StoreError>) {
    assert!(matches!(proved, Err(StoreError::Corrupt(_))), "{proved:?}");
}

#[tokio::test]
async fn with_one_writer_an_earlier_state_is_never_right() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Arc::new(Embedded::open(dir.path()).unwrap());
    let store = sealed(backend.clone()).await;
    let first = write(&store, "x", Some("1")).await;
    let (revision, row) = backend.get(b"x").await.unwrap().unwrap();
    assert_eq!(revision, first);
    let second = write(&store, "x", Some("2")).await;
    prove(&store, second, "x", "2").await.unwrap();
    prove(&store, first, "x", "1").await.unwrap();
    assert_damaged(prove(&store, second, "x", "other").await);
    // Neither alone nor when another call was acknowledged in between.
    put_back(&*backend, "x", first, Some(row)).await;
    assert_damaged(prove(&store, second, "x", "2").await);
    write(&store, "y", Some("1")).await;
    assert_damaged(prove(&store, second, "x", "2").await);
    // One that is gone was deleted by a later commit, if there was one.
    let third = write(&store, "x", Some("3")).await;
    put_back(&*backend, "x", first, None).await;
    assert_damaged(prove(&store, third, "x", "3").await);
    write(&store, "y", Some("2")).await;
    prove(&store, third, "x", "3").await.unwrap();
}
