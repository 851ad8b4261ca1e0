//! What became of a secret's rotations: its last runs, a row each.
use super::{Attempt, Purpose, Run};
use crate::seal::Table;
use crate::secrets::Secret;
use crate::store::{Record, StoreError, Tx};
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Runs that are kept of each secret.
const KEPT_RUNS: usize = 20;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Succeeded,
    /// Tried as often as a run is, or there was no use in trying again.
    Failed,
    /// Another value was put meanwhile.
    Abandoned,
    /// Rotation was turned off, the secret was scheduled for deletion, or is no longer where it is
    /// written to.
    Cancelled,
}

impl Outcome {
    /// As reports and metrics say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    pub purpose: Purpose,
    pub function: Arn,
    /// The id of the version that was made, or was to be.
    pub token: String,
    pub started: Timestamp,
    pub ended: Timestamp,
    pub outcome: Outcome,
    pub attempts: Vec<Attempt>,
}

impl Record for Finished {
    const TABLE: Table = Table::new("rotation-history");
    const CACHED: bool = false;
}

impl Finished {
    pub(super) fn of(run: &Run, outcome: Outcome, now: Timestamp) -> Self {
        Self {
            purpose: run.purpose,
            function: run.function.clone(),
            token: run.token.clone(),
            started: run.started,
            ended: now,
            outcome,
            attempts: run.attempts.clone(),
        }
    }

    /// Adds it to the history, from which the oldest go.
    pub(super) async fn file(self, tx: &mut Tx<'_>, run: &Run) -> Result<(), StoreError> {
        let scope = run.key();
        let page = tx.list::<Self>(&scope, None, KEPT_RUNS * 2).await?;
        let surplus = (page.records.len() + 1).saturating_sub(KEPT_RUNS);
        for (old, _) in page.records.iter().take(surplus) {
            tx.delete::<Self>(&[&scope[..], &[old.as_str()]].concat())?;
        }
        // In the order in which they ended; the fence tells apart what ended in one moment.
        let name = format!("{}-{}-{}", self.ended.row_part(), self.token, run.fence);
        tx.put(&[&scope[..], &[name.as_str()]].concat(), self).map(drop)
    }

    /// The last runs of a secret, the oldest first.
    pub async fn list(tx: &Tx<'_>, secret: &Secret) -> Result<Vec<Arc<Self>>, StoreError> {
        let page = tx.list::<Self>(&scope(secret), None, KEPT_RUNS * 2).await?;
        Ok(page.records.into_iter().map(|(_, run)| run).collect())
    }
}

fn scope(secret: &Secret) -> [&str; 3] {
    [secret.account.as_str(), secret.region.as_str(), secret.resource_id()]
}

/// Removes what is kept of the rotations of a secret that is destroyed.
pub(in crate::secrets) async fn forget(tx: &mut Tx<'_>, secret: &Secret) -> Result<(), StoreError> {
    if secret.rotation.is_none() {
        return Ok(());
    }
    let page = tx.list::<Finished>(&scope(secret), None, KEPT_RUNS * 2).await?;
    for (name, _) in &page.records {
        tx.delete::<Finished>(&[&scope(secret)[..], &[name.as_str()]].concat())?;
    }
    super::due::forget(tx, secret)?;
    tx.delete::<Run>(&scope(secret))
}
