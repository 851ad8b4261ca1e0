//! A key's life: created, disabled, enabled, scheduled for deletion, destroyed.
use super::key::KeyOfAccount;
use super::material::Material;
use super::{Alias, Found, Key, KeyError, KeyManager, KeyState};
use crate::authorize::{Account, Authorized};
use crate::memory::LockedKey;
use crate::seal::Table;
use crate::store::{Record, Tx};
use crate::types::{AccountId, Arn, Region, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// AWS: the waiting period of ScheduleKeyDeletion in days, when the caller names none.
pub const DEFAULT_WINDOW_DAYS: i64 = 30;
const SHORTEST_WINDOW_DAYS: i64 = 7;
const LONGEST_WINDOW_DAYS: i64 = 30;
const SECONDS_PER_DAY: i64 = 86_400;

/// What a new key is made from.
#[derive(Debug)]
pub struct NewKey {
    pub id: String,
    pub account: AccountId,
    pub region: Region,
    pub manager: KeyManager,
    pub description: String,
    pub policy: String,
    pub tags: Tags,
    pub material: LockedKey,
}

/// The ARN of the key with this id.
pub fn arn(account: &AccountId, region: &Region, id: &str) -> Arn {
    Arn::new("kms", region.as_str(), account.as_str(), &format!("key/{id}"))
}

/// Creates a key. Asked of the account, since the key does not exist yet.
pub fn create(
    _allowed: &Authorized<Account>,
    tx: &mut Tx<'_>,
    new: NewKey,
    now: Timestamp,
) -> Result<Arc<Key>, KeyError> {
    insert(tx, new, now)
}

/// Also how the AWS managed key comes into being, on behalf of its service.
pub(super) fn insert(tx: &mut Tx<'_>, new: NewKey, now: Timestamp) -> Result<Arc<Key>, KeyError> {
    let arn = arn(&new.account, &new.region, &new.id);
    let material = Material::create(tx, &new.id, new.material, now)?;
    tx.put(
        &[new.account.as_str(), new.region.as_str(), &new.id],
        KeyOfAccount { arn: arn.clone() },
    )?;
    let key = Key {
        id: new.id,
        arn,
        account: new.account,
        region: new.region,
        state: KeyState::Enabled,
        manager: new.manager,
        description: new.description,
        created: now,
        deletion: None,
        material,
        policy: new.policy,
        tags: new.tags,
        aliases: BTreeSet::new(),
        compiled: OnceLock::new(),
    };
    Ok(key.save(tx)?)
}

/// A key whose waiting period ends at the time its row key begins with.
#[derive(Debug, Serialize, Deserialize)]
struct DueKey {
    region: Region,
    id: String,
}
impl Record for DueKey {
    const TABLE: Table = Table::new("due-key");
    const CACHED: bool = false;
}

/// Milliseconds in as many digits as an i64 needs, so that the order of keys is that of times.
fn due_part(at: Timestamp) -> String {
    format!("{:019}", at.0.max(0))
}

impl Authorized<Found> {
    pub fn enable(&self, tx: &mut Tx<'_>) -> Result<(), KeyError> {
        self.set_state(tx, KeyState::Enabled)
    }

    pub fn disable(&self, tx: &mut Tx<'_>) -> Result<(), KeyError> {
        self.set_state(tx, KeyState::Disabled)
    }

    fn set_state(&self, tx: &mut Tx<'_>, state: KeyState) -> Result<(), KeyError> {
        self.customer_managed()?;
        self.not_pending_deletion()?;
        Key { state, ..Key::clone(self) }.save(tx)?;
        Ok(())
    }

    /// Starts the waiting period; answers when it ends.
    pub fn schedule_deletion(
        &self,
        tx: &mut Tx<'_>,
        days: i64,
        now: Timestamp,
    ) -> Result<Timestamp, KeyError> {
        self.customer_managed()?;
        self.not_pending_deletion()?;
        if !(SHORTEST_WINDOW_DAYS..=LONGEST_WINDOW_DAYS).contains(&days) {
            return Err(KeyError::Validation(format!(
                "PendingWindowInDays must be between {SHORTEST_WINDOW_DAYS} and {LONGEST_WINDOW_DAYS}."
            )));
        }
        let end = now.plus_secs(days * SECONDS_PER_DAY);
        let due = DueKey { region: self.region.clone(), id: self.id.clone() };
        tx.put(&[&due_part(end), self.region.as_str(), &self.id], due)?;
        let key = Key::clone(self);
        Key { state: KeyState::PendingDeletion, deletion: Some(end), ..key }.save(tx)?;
        Ok(end)
    }

    /// Ends the waiting period. The key comes back disabled, as AWS does it.
    pub fn cancel_deletion(&self, tx: &mut Tx<'_>) -> Result<(), KeyError> {
        let Some(end) = self.deletion else {
            return Err(KeyError::NotPendingDeletion(self.arn.clone()));
        };
        tx.delete::<DueKey>(&[&due_part(end), self.region.as_str(), &self.id])?;
        Key { state: KeyState::Disabled, deletion: None, ..Key::clone(self) }.save(tx)?;
        Ok(())
    }
}

/// Up to `limit` keys whose waiting period is over: region and id.
pub async fn due(
    tx: &Tx<'_>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(Region, String)>, KeyError> {
    // Listed by time: the first that is not due ends the search.
    let page = tx.list_all::<DueKey>(limit).await?;
    let now = due_part(now);
    Ok(page
        .into_iter()
        .take_while(|(parts, _)| parts.first().is_some_and(|at| *at <= now))
        .map(|(_, due)| (due.region.clone(), due.id.clone()))
        .collect())
}

/// Destroys a key whose waiting period is over: its material, its aliases, itself. Answers the key
/// that was destroyed, or nothing if it is not due (any more).
pub async fn destroy(
    tx: &mut Tx<'_>,
    region: &Region,
    id: &str,
    now: Timestamp,
) -> Result<Option<Arc<Key>>, KeyError> {
    let Some(key) = Key::load(tx, region, id).await? else { return Ok(None) };
    let Some(end) = key.deletion.filter(|end| *end <= now) else { return Ok(None) };
    tx.delete::<DueKey>(&[&due_part(end), region.as_str(), id])?;
    for alias in &key.aliases {
        tx.delete::<Alias>(&[key.account.as_str(), region.as_str(), alias])?;
    }
    tx.delete::<Material>(&[id, &key.material])?;
    tx.delete::<KeyOfAccount>(&[key.account.as_str(), region.as_str(), id])?;
    tx.delete::<Key>(&[region.as_str(), id])?;
    Ok(Some(key))
}
