//! Work that one node at a time does for all. Whose turn it is stands in a row, a lease with an end. The end
//! is by the nodes' wall clocks and serves only to have somebody do the work: that nobody does it twice is
//! held by the row itself, which every transaction of the work reads. Once another node has taken the turn,
//! what the one before it still tries to commit conflicts.
use super::ThisNode;
use crate::seal::Table;
use crate::store::{Record, Store, StoreError, Tx};
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};

/// How long a turn lasts that is not renewed.
const LEASE_SECS: i64 = 30;
/// A turn that ends within this time is renewed by who has it.
const RENEWAL_SECS: i64 = 20;
/// How far two nodes' clocks may be apart, or a turn is taken over too early, which costs some work, or so
/// much later.
const TOLERANCE_SECS: i64 = 5;

/// The kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// KMS keys by the calendar.
    KeyRotation,
    /// Imported key material.
    Expiry,
    SecretDeletion,
    /// What services have handed over.
    Forgetting,
    /// The windows of secrets' rotations.
    RotationWindows,
    /// What nodes left behind that are gone.
    Inheritance,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::KeyRotation => "key-rotation",
            Self::Expiry => "expiry",
            Self::SecretDeletion => "secret-deletion",
            Self::Forgetting => "forgetting",
            Self::RotationWindows => "rotation-windows",
            Self::Inheritance => "inheritance",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lease {
    node: String,
    incarnation: i64,
    until: Timestamp,
}

impl Record for Lease {
    const TABLE: Table = Table::new("work-lease");
}

/// Somebody's turn at one kind of work.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'n> {
    work: Work,
    /// None: there is nobody else.
    node: Option<&'n ThisNode>,
}

/// Takes or renews the turn at some work. None: it is another node's.
pub async fn turn<'n>(
    node: Option<&'n ThisNode>,
    store: &Store,
    work: Work,
    now: Timestamp,
) -> Result<Option<Turn<'n>>, StoreError> {
    let turn = Turn { work, node };
    let Some(node) = node else { return Ok(Some(turn)) };
    let (id, incarnation) = (node.id(), node.incarnation());
    let mut tx = store.begin();
    let held = tx.get::<Lease>(&[work.name()]).await?;
    match held.map_or(Claim::Free, |lease| claim(&lease, id, incarnation, now)) {
        Claim::Anothers => return Ok(None),
        Claim::Mine => return Ok(Some(turn)),
        Claim::Free => {}
    }
    let until = now.plus_secs(LEASE_SECS);
    tx.put(&[work.name()], Lease { node: id.to_owned(), incarnation, until })?;
    match tx.commit().await {
        Ok(()) => Ok(Some(turn)),
        Err(StoreError::Conflict) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Claim {
    Mine,
    /// Or due to be renewed.
    Free,
    Anothers,
}

fn claim(lease: &Lease, id: &str, incarnation: i64, now: Timestamp) -> Claim {
    if lease.node == id {
        // What an earlier life of this node had is its own, once it is written so.
        let is_renewed =
            lease.incarnation == incarnation && lease.until > now.plus_secs(RENEWAL_SECS);
        return if is_renewed { Claim::Mine } else { Claim::Free };
    }
    let is_over = now > lease.until.plus_secs(TOLERANCE_SECS);
    // Written by a clock that is far ahead: nobody could wait for its end.
    let is_absurd = lease.until > now.plus_secs(LEASE_SECS + 12 * TOLERANCE_SECS);
    if is_over || is_absurd { Claim::Free } else { Claim::Anothers }
}

impl Turn<'_> {
    /// Has a transaction of the work commit only while the turn is this node's.
    pub async fn hold(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let Some(node) = self.node else { return Ok(()) };
        let held = tx.get::<Lease>(&[self.work.name()]).await?;
        let is_ours =
            |lease: &Lease| lease.node == node.id() && lease.incarnation == node.incarnation();
        if held.as_deref().is_some_and(is_ours) { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn lease(node: &str, incarnation: i64, ends_in: i64) -> Lease {
        Lease { node: node.into(), incarnation, until: NOW.plus_secs(ends_in) }
    }

    #[test]
    fn a_turn_is_kept_renewed_and_taken_over() {
        let claim = |lease: &Lease| claim(lease, "me", 7, NOW);
        assert_eq!(claim(&lease("me", 7, 30)), Claim::Mine);
        assert_eq!(claim(&lease("me", 7, 21)), Claim::Mine);
        assert_eq!(claim(&lease("me", 7, 20)), Claim::Free, "it is time to renew it");
        assert_eq!(claim(&lease("me", 6, 30)), Claim::Free, "of an earlier life");
        assert_eq!(claim(&lease("other", 7, 30)), Claim::Anothers);
        assert_eq!(claim(&lease("other", 7, -5)), Claim::Anothers, "its clock may be behind");
        assert_eq!(claim(&lease("other", 7, -6)), Claim::Free);
        assert_eq!(claim(&lease("other", 7, 90)), Claim::Anothers, "its clock may be ahead");
        assert_eq!(claim(&lease("other", 7, 91)), Claim::Free, "nobody waits for ever");
    }

    #[tokio::test]
    async fn who_is_alone_needs_no_row() {
        use crate::store::{Memory, RowKeys};
        use std::sync::Arc;
        let key = Arc::new(crate::memory::LockedKey::new(&[1; 32]));
        let keys = Arc::new(RowKeys::new([7; 16], [(1, key)].into()).unwrap());
        let random = Arc::new(crate::random::SystemRandom);
        let store = Store::open(Arc::new(Memory::default()), keys, random, true).await.unwrap();
        let mine = turn(None, &store, Work::Expiry, NOW).await.unwrap().unwrap();
        let mut tx = store.begin();
        mine.hold(&mut tx).await.unwrap();
        assert!(tx.is_read_only() && tx.get::<Lease>(&["expiry"]).await.unwrap().is_none());
    }
}
