//! One call's view of the store: remembers what it read, keeps its writes until `commit`.
use super::cache::Cached;
use super::knowledge::Freshness;
use super::record::{parts, row_key, under};
use super::sealed::{Proof, Written};
use super::{Quiet, Record, Revision, Store, StoreError};
use crate::seal::Table;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroizing;

/// An optimistic transaction. It commits only if nothing that it read has changed since; the
/// pipeline then runs the whole call again.
#[derive(Debug)]
pub struct Tx<'s> {
    store: &'s Store,
    freshness: Freshness,
    /// Whether all that was committed before this transaction began is known here.
    latest: AtomicBool,
    /// What the store knew when this transaction began, if it was of one moment.
    began: Option<Quiet>,
    read: BTreeMap<Bytes, Revision>,
    write: BTreeMap<Bytes, Write>,
}

/// A record on its way to the store: decoded for this transaction's own reads, encoded for the row.
struct Pending {
    value: Cached,
    encoded: Zeroizing<Vec<u8>>,
}

/// A row that is to be written or, without a value, deleted.
#[derive(Debug)]
struct Write {
    table: Table,
    pending: Option<Pending>,
    read_back: bool,
}
impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending(..)")
    }
}

/// A buffer of which no copy is left behind when it grows: what is written may be a secret.
struct Growing(Zeroizing<Vec<u8>>);

/// What most records fit into.
const RECORD: usize = 1024;

impl std::io::Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let whole = self.0.len().saturating_add(bytes.len());
        if whole > self.0.capacity() {
            let size = whole.max(self.0.capacity().saturating_mul(2));
            let mut larger = Zeroizing::new(Vec::with_capacity(size));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Part of a listing, with where to go on.
#[derive(Debug)]
pub struct Page<R, Name = String> {
    /// The last part of each record's key, or several parts, and the record.
    pub records: Vec<(Name, Arc<R>)>,
    /// Whether more records follow the last one.
    pub more: bool,
}

impl<'s> Tx<'s> {
    pub(super) fn new(store: &'s Store, freshness: Freshness) -> Self {
        Self {
            store,
            freshness,
            latest: AtomicBool::new(false),
            began: store.quiet(),
            read: BTreeMap::new(),
            write: BTreeMap::new(),
        }
    }

    /// Before a record is taken from memory: whether memory is fresh enough for it.
    async fn be_fresh(&self) -> Result<(), StoreError> {
        let Some(follower) = &self.store.follower else { return Ok(()) };
        match self.freshness {
            Freshness::Bounded => follower.within_bound().await,
            Freshness::Latest if self.latest.load(Ordering::Relaxed) => Ok(()),
            Freshness::Latest => {
                follower.catch_up().await?;
                self.latest.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    pub async fn get<R: Record>(&mut self, key: &[&str]) -> Result<Option<Arc<R>>, StoreError> {
        let key = row_key(R::TABLE, key)?;
        if let Some(write) = self.write.get(&key) {
            return write.pending.as_ref().map(|p| typed(p.value.clone())).transpose();
        }
        self.be_fresh().await?;
        let mut opening = None;
        let ticket = loop {
            match self.store.cache.find(&key) {
                Ok((revision, value)) => {
                    self.note(&key, revision)?;
                    return typed(value).map(Some);
                }
                Err(_) if R::OPENED_ONCE && opening.is_none() => {
                    opening = Some(self.store.cache.opening(&key).await);
                }
                Err(ticket) => break ticket,
            }
        };
        let Some((revision, value)) = self.store.sealed.get(R::TABLE, &key).await? else {
            self.note(&key, Revision(0))?;
            return Ok(None);
        };
        let value = decode::<R>(&value)?;
        if R::CACHED {
            self.store.cache.remember(&key, ticket, revision, value.clone());
        }
        self.note(&key, revision)?;
        Ok(Some(value))
    }

    /// The record as a listing sees it: what is committed, not what this transaction wrote, and not
    /// part of what `commit` checks.
    pub async fn peek<R: Record>(&self, key: &[&str]) -> Result<Option<Arc<R>>, StoreError> {
        // Here, so that the next one need not ask again.
        self.be_fresh().await?;
        self.apart().get(key).await
    }

    /// One beside this one, whose reads are no part of what `commit` checks.
    pub(crate) fn apart(&self) -> Self {
        let latest = AtomicBool::new(self.latest.load(Ordering::Relaxed));
        Self { latest, began: self.began, ..Self::new(self.store, self.freshness) }
    }

    /// The records whose keys begin with `prefix` and whose last part comes after `after`, up to
    /// `limit`, in key order. Sees what is committed, not what this transaction wrote, and is not
    /// part of what `commit` checks: nothing may depend on a listing being complete.
    pub async fn list<R: Record>(
        &self,
        prefix: &[&str],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<R>, StoreError> {
        let Page { records, more } = self.list_deep::<R>(prefix, after.as_slice(), limit).await?;
        let last = |mut name: Vec<String>| name.pop().unwrap_or_default();
        let records = records.into_iter().map(|(name, record)| (last(name), record)).collect();
        Ok(Page { records, more })
    }

    /// The same with all the parts of the keys that follow `prefix`: how a listing of keys with more
    /// than one such part goes on.
    pub async fn list_deep<R: Record>(
        &self,
        prefix: &[&str],
        after: &[&str],
        limit: usize,
    ) -> Result<Page<R, Vec<String>>, StoreError> {
        let mut range = under(R::TABLE, prefix)?;
        if !after.is_empty() {
            let key = row_key(R::TABLE, &[prefix, after].concat())?;
            range.start = [&key[..], &[0]].concat().into();
        }
        if range.start >= range.end {
            return Ok(Page { records: Vec::new(), more: false });
        }
        let mut rows = self.store.sealed.scan(R::TABLE, range, limit.saturating_add(1)).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let records = rows
            .into_iter()
            .map(|(key, value)| {
                let name = parts(&key).skip(prefix.len().saturating_add(1));
                Ok((name.map(str::to_owned).collect(), decode::<R>(&value)?))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Page { records, more })
    }

    /// The first `limit` records of a whole table in key order, with all the parts of their keys.
    pub async fn list_all<R: Record>(
        &self,
        limit: usize,
    ) -> Result<Vec<(Vec<String>, Arc<R>)>, StoreError> {
        let rows = self.store.sealed.scan(R::TABLE, under(R::TABLE, &[])?, limit).await?;
        rows.into_iter()
            .map(|(key, value)| {
                Ok((parts(&key).skip(1).map(str::to_owned).collect(), decode::<R>(&value)?))
            })
            .collect()
    }

    pub fn put<R: Record>(&mut self, key: &[&str], record: R) -> Result<Arc<R>, StoreError> {
        let broken = |e| StoreError::Corrupt(format!("cannot encode: {e}"));
        let mut encoded = Growing(Zeroizing::new(Vec::with_capacity(RECORD)));
        serde_json::to_writer(&mut encoded, &record).map_err(broken)?;
        let Growing(encoded) = encoded;
        let record = Arc::new(record);
        let pending = Some(Pending { value: record.clone(), encoded });
        self.write.insert(
            row_key(R::TABLE, key)?,
            Write { table: R::TABLE, pending, read_back: R::READ_BACK },
        );
        Ok(record)
    }

    pub fn delete<R: Record>(&mut self, key: &[&str]) -> Result<(), StoreError> {
        self.write.insert(
            row_key(R::TABLE, key)?,
            Write { table: R::TABLE, pending: None, read_back: false },
        );
        Ok(())
    }

    pub fn is_read_only(&self) -> bool {
        self.write.is_empty()
    }

    /// Makes the writes durable, all or none. A transaction that only read is checked too: its
    /// answer must not mix what was before a commit with what came after it.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let store = self.store;
        if self.write.is_empty() {
            return self.still_holds().await;
        }
        let blind: Vec<Bytes> =
            self.write.keys().filter(|key| !self.read.contains_key(*key)).cloned().collect();
        if !blind.is_empty() {
            let keys: Vec<&[u8]> = blind.iter().map(|key| &**key).collect();
            let revisions = store.sealed.revisions(&keys).await?;
            self.read.extend(blind.into_iter().zip(revisions));
        }
        let written: Vec<Bytes> = self.write.keys().cloned().collect();
        let proofs = self.proofs();
        let rows = self
            .write
            .into_iter()
            .map(|(key, write)| {
                let value = write.pending.map(|p| p.encoded);
                (key, Written { table: write.table, value })
            })
            .collect();
        let read: Vec<Bytes> = self.read.keys().cloned().collect();
        store.commits.start();
        let outcome = match store.sealed.commit(self.read, rows).await {
            Ok(revision) => store.sealed.prove(revision, proofs).await,
            Err(error) => Err(error),
        };
        // Also after a failure: whether the rows changed is then unknown. After a conflict also what
        // was only read, or the next attempt could read the same from the cache: a rival's commit is
        // in the store some time before it is here.
        let stale = if matches!(outcome, Err(StoreError::Conflict)) { &read } else { &written };
        for key in stale {
            store.cache.forget(key);
        }
        store.commits.finish();
        if let (Err(StoreError::Conflict), Some(follower)) = (&outcome, &store.follower) {
            // The next attempt finds out for itself if this fails.
            let _ = follower.catch_up().await;
        }
        outcome
    }

    /// What must be found in the store when the commit is done.
    fn proofs(&self) -> Vec<Proof> {
        let wanted = self.write.iter().filter(|(_, write)| write.read_back);
        wanted
            .filter_map(|(key, write)| {
                let value = write.pending.as_ref()?.encoded.clone();
                Some(Proof { table: write.table, key: key.clone(), value })
            })
            .collect()
    }

    async fn still_holds(&self) -> Result<(), StoreError> {
        if self.read.len() < 2 || self.store.none_since(self.began) || self.is_still_known() {
            return Ok(());
        }
        let keys: Vec<&[u8]> = self.read.keys().map(|key| &**key).collect();
        // Not from the cache: a commit that is under way has not told it yet.
        let revisions = self.store.sealed.revisions(&keys).await?;
        let mut outcome = Ok(());
        for ((key, revision), now) in self.read.iter().zip(revisions) {
            if now != *revision {
                self.store.cache.forget(key);
                outcome = Err(StoreError::Conflict);
            }
        }
        outcome
    }

    /// Where others write too: whether all that was read is still in memory, and memory is of one
    /// moment. Own commits that are under way are in it when the follower has come to them.
    fn is_still_known(&self) -> bool {
        let Some(follower) = &self.store.follower else { return false };
        let applied = follower.applied();
        let same = |(key, revision): (&Bytes, &Revision)| {
            self.store.cache.revision(key) == Some(*revision)
        };
        // In this order: what had changed a row in between would have been seen before it was applied.
        self.read.iter().all(same) && follower.seen() == applied && follower.applied() == applied
    }

    /// A key read twice must not have moved in between.
    fn note(&mut self, key: &Bytes, revision: Revision) -> Result<(), StoreError> {
        match self.read.get(key) {
            Some(before) if *before != revision => Err(StoreError::Conflict),
            Some(_) => Ok(()),
            None => {
                self.read.insert(key.clone(), revision);
                Ok(())
            }
        }
    }
}

fn decode<R: Record>(value: &[u8]) -> Result<Arc<R>, StoreError> {
    // The text of a parse error may quote the record: say where, not what.
    serde_json::from_slice(value).map(Arc::new).map_err(|e| {
        StoreError::Corrupt(format!(
            "{} record, column {}: {:?}",
            R::TABLE.name(),
            e.column(),
            e.classify()
        ))
    })
}

fn typed<R: Record>(value: Cached) -> Result<Arc<R>, StoreError> {
    value.downcast().map_err(|_| StoreError::Corrupt(format!("not a {} record", R::TABLE.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_grows_to_what_is_written_to_it() {
        let mut buffer = Growing(Zeroizing::new(Vec::with_capacity(2)));
        let record = "x".repeat(3 * RECORD);
        serde_json::to_writer(&mut buffer, &record).unwrap();
        assert_eq!(buffer.0.as_slice(), format!("\"{record}\"").as_bytes());
    }
}
