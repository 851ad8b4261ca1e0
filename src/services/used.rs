//! Signatures that were handed over: each is good once, also at the same time and after a restart.
use crate::seal::Table;
use crate::store::{Record, Store, StoreError, Tx};
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};

/// How far from now the moment may be at which a request was signed that is handed over.
pub const SKEW_SECONDS: i64 = 300;
/// Rows stay while their signature is fresh, and as much longer as a clock may be set back by.
const KEPT_SECONDS: i64 = SKEW_SECONDS + 3600;

/// A signature that was accepted. What says so is that the row is there.
#[derive(Debug, Serialize, Deserialize)]
struct Used {
    /// In seconds since 1970, when it was signed.
    signed: i64,
}

impl Record for Used {
    const TABLE: Table = Table::new("handed-over");
    const CACHED: bool = false;
}

/// Rows lie in the order of time.
fn part(signed: i64) -> String {
    format!("{:019}", signed.max(0))
}

/// Takes a signature, by its fingerprint; false if it was taken before. The moment belongs to the
/// signature: there is no other row under which it could be taken again.
pub async fn accept(tx: &mut Tx<'_>, signed: i64, fingerprint: &str) -> Result<bool, StoreError> {
    let part = part(signed);
    let key = [part.as_str(), fingerprint];
    if tx.get::<Used>(&key).await?.is_some() {
        return Ok(false);
    }
    tx.put(&key, Used { signed })?;
    Ok(true)
}

/// Removes the rows whose signatures are too old to be accepted anyway, `limit` at a time.
pub async fn forget_old(store: &Store, wall: Timestamp, limit: usize) -> Result<(), StoreError> {
    let oldest = part(wall.secs().saturating_sub(KEPT_SECONDS));
    loop {
        let mut tx = store.begin();
        let mut removed = 0;
        for (key, _) in tx.list_all::<Used>(limit).await? {
            let parts: Vec<&str> = key.iter().map(String::as_str).collect();
            // Listed by time: the first that is fresh ends it.
            if parts.first().is_none_or(|at| *at >= oldest.as_str()) {
                break;
            }
            tx.delete::<Used>(&parts)?;
            removed += 1;
        }
        if removed > 0 {
            tx.commit().await?;
        }
        if removed < limit.max(1) {
            return Ok(());
        }
    }
}
