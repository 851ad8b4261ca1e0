//! Windows that must not pass without a rotation: each is watched until its end, and a secret whose
//! window passed so is overdue until it is rotated.
use super::{Rotation, Run};
use crate::seal::Table;
use crate::secrets::{Replication, Secret};
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Region, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A window that has begun. Its row key begins with its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch {
    pub account: AccountId,
    pub region: Region,
    pub name: String,
    pub arn: Arn,
    pub begin: Timestamp,
    pub end: Timestamp,
}

impl Record for Watch {
    const TABLE: Table = Table::new("rotation-watch");
    const CACHED: bool = false;
}

/// A secret that was not rotated when it was its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Overdue {
    pub account: AccountId,
    pub region: Region,
    pub name: String,
    pub arn: Arn,
    /// The end of the last window that passed.
    pub since: Timestamp,
}

impl Record for Overdue {
    const TABLE: Table = Table::new("rotation-overdue");
    const CACHED: bool = false;
}

impl Watch {
    /// Of a window from its first second to its last.
    pub(super) fn of(secret: &Secret, (begin, last): (Timestamp, Timestamp)) -> Self {
        Self {
            account: secret.account.clone(),
            region: secret.region.clone(),
            name: secret.name.clone(),
            arn: secret.arn.clone(),
            begin,
            end: last.plus_secs(1),
        }
    }

    pub(super) fn put(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let (time, watch) = (self.end.row_part(), self.clone());
        tx.put(&watch.key(&time), self).map(drop)
    }

    fn key<'a>(&'a self, time: &'a str) -> [&'a str; 4] {
        [time, self.account.as_str(), self.region.as_str(), &self.name]
    }

    /// Up to `limit` watched windows that are over.
    pub async fn over(
        tx: &Tx<'_>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Arc<Self>>, StoreError> {
        let rows = tx.list_all::<Self>(limit).await?;
        Ok(rows.into_iter().map(|(_, watch)| watch).take_while(|w| w.end <= now).collect())
    }

    /// Ends the watch. Answers whether the window passed without the rotation that it was for: the
    /// secret is then overdue.
    pub async fn end(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let time = self.end.row_part();
        // Read, so that of two that end it one is refused.
        if tx.get::<Self>(&self.key(&time)).await?.is_none() {
            return Ok(false);
        }
        tx.delete::<Self>(&self.key(&time))?;
        let found = Secret::load(tx, &self.account, &self.region, &self.name).await?;
        let Some(secret) = found.filter(|secret| secret.arn == self.arn) else { return Ok(false) };
        // One whose steps are done, and that waits for its readers, is made.
        let run = Run::of(tx, &secret).await?;
        let made = run.and_then(|run| run.finished).is_some_and(|at| at >= self.begin);
        let late = |rotation: &Rotation| rotation.last.is_none_or(|at| at < self.begin);
        let missed = !made && expected(&secret).is_some_and(late);
        if missed {
            Overdue::put(tx, &secret, self.end)?;
        }
        Ok(missed)
    }
}

impl Overdue {
    pub(super) fn put(
        tx: &mut Tx<'_>,
        secret: &Secret,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        let key = [secret.account.as_str(), secret.region.as_str(), secret.resource_id()];
        let row = Self {
            account: secret.account.clone(),
            region: secret.region.clone(),
            name: secret.name.clone(),
            arn: secret.arn.clone(),
            since,
        };
        tx.put(&key, row).map(drop)
    }

    /// How many secrets are overdue. Forgets those that were rotated since, or no longer are to be.
    pub async fn count(tx: &mut Tx<'_>) -> Result<usize, StoreError> {
        const PAGE: usize = 500;
        let (mut count, mut after) = (0, Vec::<String>::new());
        loop {
            let from: Vec<&str> = after.iter().map(String::as_str).collect();
            let page = tx.list_deep::<Self>(&[], &from, PAGE).await?;
            for (key, row) in &page.records {
                if row.holds(tx).await? {
                    count += 1;
                } else {
                    let key: Vec<&str> = key.iter().map(String::as_str).collect();
                    tx.delete::<Self>(&key)?;
                }
            }
            match page.records.last() {
                Some((key, _)) if page.more => after.clone_from(key),
                _ => return Ok(count),
            }
        }
    }

    async fn holds(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let found = Secret::load(tx, &self.account, &self.region, &self.name).await?;
        let Some(secret) = found.filter(|secret| secret.arn == self.arn) else { return Ok(false) };
        Ok(expected(&secret).is_some_and(|r| r.last.is_none_or(|at| at < self.since)))
    }
}

/// The settings of a secret that is to be rotated by itself.
pub(super) fn expected(secret: &Secret) -> Option<&Rotation> {
    let is_replica = matches!(secret.replication, Replication::Replica { .. });
    if secret.deletion.is_some() || is_replica {
        return None;
    }
    secret.rotation.as_ref().filter(|rotation| rotation.is_on())
}
