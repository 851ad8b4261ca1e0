//! The change feed: one row for each group of commits, with the keys that it wrote.
use super::pool::{Pool, Query};
use crate::store::{Changed, Changes, Feed, StoreError};
use bytes::Bytes;
use std::sync::Arc;

/// Who is further behind forgets everything, which costs less than reading so many groups.
const MOST_GROUPS: i64 = 4096;

#[derive(Debug)]
pub(super) struct ChangeFeed {
    pub(super) pool: Arc<Pool>,
}

#[async_trait::async_trait]
impl Feed for ChangeFeed {
    async fn since(&self, after: u64) -> Result<Changes, StoreError> {
        let from = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = self.pool.ask(Query::Feed, &[&from, &MOST_GROUPS]).await?;
        let first = rows.first().ok_or_else(|| StoreError::Corrupt("the head is gone".into()))?;
        let sequence = self.pool.saw(first.get(0))?;
        // Not only against `after`: a standby that took over may lack what another read has seen.
        let expected = sequence.checked_sub(after).ok_or_else(|| {
            StoreError::Corrupt(format!(
                "the database went back: {after} groups of commits were seen, it has {sequence}"
            ))
        })?;
        let (mut groups, mut keys, mut all) = (0, Vec::new(), true);
        for row in &rows {
            if row.get::<_, Option<i64>>(1).is_none() {
                continue;
            }
            groups += 1;
            match row.get::<_, Option<Vec<&[u8]>>>(2) {
                Some(written) => keys.extend(written.into_iter().map(Bytes::copy_from_slice)),
                None => all = false,
            }
        }
        let what = match all && groups == expected {
            true => Changed::Keys(keys),
            // Trimmed, or the store was cleared.
            false => Changed::Everything,
        };
        Ok(Changes { sequence, what })
    }

    fn own(&self, after: u64) -> Option<Changes> {
        self.pool.own(after)
    }

    async fn changed(&self) {
        self.pool.connector.changed.notified().await;
    }

    fn seen(&self) -> u64 {
        self.pool.seen()
    }
}
