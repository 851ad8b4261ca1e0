//! The change feed: one row for each group of commits, with the keys that it wrote.
use super::pool::{OwnGroup, Pool, Query};
use crate::store::{Changed, Changes, Feed, StoreError};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who is further behind forgets everything, which costs less than reading so many groups: up to 512 commits
/// each, in one statement that must be answered in little more than a second.
const MOST_GROUPS: i64 = 256;

#[derive(Debug)]
pub(super) struct ChangeFeed {
    pool: Arc<Pool>,
    /// The last group that was told, and what it was called. A database that went back may have as many
    /// groups by now, but not the same ones.
    told: Mutex<Option<(u64, Vec<u8>)>>,
}

impl ChangeFeed {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self { pool, told: Mutex::default() }
    }

    fn told(&self) -> MutexGuard<'_, Option<(u64, Vec<u8>)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another node may go on from there; this one has told and answered what is no more.
    fn went_back(&self, what: String) -> StoreError {
        let text = format!("the database went back: {what}");
        self.pool.stop(&text);
        StoreError::Corrupt(text)
    }
}

#[async_trait::async_trait]
impl Feed for ChangeFeed {
    async fn since(&self, after: u64) -> Result<Changes, StoreError> {
        let from = i64::try_from(after).unwrap_or(i64::MAX);
        // A standby that took over may lack what another read, or a commit, has seen.
        let seen = self.pool.seen().max(after);
        let rows = self.pool.ask(Query::Feed, &[&from, &MOST_GROUPS]).await?;
        let first = rows.first().ok_or_else(|| StoreError::Corrupt("the head is gone".into()))?;
        let sequence = self.pool.saw(first.get(0))?;
        if sequence < seen {
            let what = format!("{seen} groups of commits were seen, it has {sequence}");
            return Err(self.went_back(what));
        }
        let mut told = self.told();
        let before = told.as_ref().filter(|(number, _)| *number == after);
        let (mut groups, mut keys, mut all) = (0, Vec::new(), before.is_none());
        let mut newest = None;
        for row in &rows {
            let Some(number) = row.get::<_, Option<i64>>(1) else { continue };
            let group_id: &[u8] = row.get(3);
            newest = Some(group_id.to_vec());
            if number == from {
                if before.is_some_and(|(_, told)| told != group_id) {
                    return Err(self.went_back(format!("its group {after} is another one")));
                }
                all = true;
                continue;
            }
            groups += 1;
            match row.get::<_, Option<Vec<&[u8]>>>(2) {
                Some(written) => keys.extend(written.into_iter().map(Bytes::copy_from_slice)),
                None => all = false,
            }
        }
        let what = match all && groups == sequence - after {
            true => Changed::Keys(keys),
            // Trimmed, or the store was cleared.
            false => Changed::Everything,
        };
        if sequence != after || newest.is_some() {
            *told = newest.map(|group_id| (sequence, group_id));
        }
        Ok(Changes { sequence, what })
    }

    fn own(&self, after: u64) -> Option<Changes> {
        let OwnGroup { changes, group_id } = self.pool.own(after)?;
        *self.told() = Some((changes.sequence, group_id));
        Some(changes)
    }

    async fn changed(&self) {
        self.pool.connector.changed.notified().await;
    }

    fn seen(&self) -> u64 {
        self.pool.seen()
    }
}
