//! A key's life: created, disabled, enabled, scheduled for deletion, destroyed.
use super::import;
use super::key::{KeyMaterial, KeyOfAccount, MaterialState, MultiRegion, Origin, Rotation};
use super::material::Material;
use super::resident::{NewResident, ResidentKey};
use super::{Alias, Found, Key, KeyError, KeyManager, KeyState, grant};
use crate::authorize::{Account, Authorized};
use crate::last_use::LastUses;
use crate::memory::SecretBytes;
use crate::policy::BoundPolicy;
use crate::primitives::{KeySpec, KeyUsage};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
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
    pub policy: BoundPolicy,
    pub tags: Tags,
    pub spec: KeySpec,
    pub usage: KeyUsage,
    pub origin: Origin,
    pub custom_key_store: Option<String>,
    pub multi_region: bool,
    /// None if it is to be imported, or is in a device.
    pub material: Option<SecretBytes>,
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

/// Creates the key of an object that was made in a device of its custom key store.
pub async fn create_in_device(
    _allowed: &Authorized<Account>,
    tx: &mut Tx<'_>,
    new: NewKey,
    object: NewResident,
    now: Timestamp,
) -> Result<Found, KeyError> {
    object.begun.fulfil(tx).await?;
    let store = new.custom_key_store.clone().unwrap_or_default();
    super::stores::add_key(tx, &new.account, &new.region, &store).await?;
    let material = object.record.material.clone();
    object.record.save(tx)?;
    let key = insert_with(tx, new, Some(material), now)?;
    Ok(Found::of(tx, key, None).await?)
}

/// Also how the AWS managed key comes into being, on behalf of its service.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    mut new: NewKey,
    now: Timestamp,
) -> Result<Arc<Key>, KeyError> {
    let material = match new.material.take() {
        Some(bytes) => Some(Material::create(tx, &new.id, new.spec, bytes, now)?),
        None => None,
    };
    insert_with(tx, new, material, now)
}

/// With the id of the material that it has, if it has any.
fn insert_with(
    tx: &mut Tx<'_>,
    new: NewKey,
    material: Option<String>,
    now: Timestamp,
) -> Result<Arc<Key>, KeyError> {
    let arn = arn(&new.account, &new.region, &new.id);
    let current = |id| KeyMaterial {
        id,
        state: MaterialState::Current,
        present: true,
        valid_to: None,
        description: None,
        rotation: None,
    };
    let materials = material.map(current).into_iter().collect();
    tx.put(
        &[new.account.as_str(), new.region.as_str(), &new.id],
        KeyOfAccount { arn: arn.clone() },
    )?;
    let key = Key {
        id: new.id,
        arn,
        account: new.account,
        multi_region: new
            .multi_region
            .then(|| MultiRegion { primary: new.region.clone(), replicas: BTreeSet::new() }),
        region: new.region,
        state: KeyState::Enabled,
        manager: new.manager,
        spec: new.spec,
        usage: new.usage,
        origin: new.origin,
        custom_key_store: new.custom_key_store,
        description: new.description,
        created: now,
        deletion: None,
        deletion_window_days: None,
        materials,
        rotation: Rotation::of_new(new.manager, now),
        granted: false,
        policy: new.policy,
        tags: new.tags,
        aliases: BTreeSet::new(),
        compiled: OnceLock::new(),
    };
    key.schedule_rotation(tx)?;
    Ok(key.settled().save(tx)?)
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

impl Authorized<Found> {
    pub fn enable(&self, tx: &mut Tx<'_>) -> Result<(), KeyError> {
        self.permits("EnableKey")?;
        self.set_state(tx, KeyState::Enabled)?;
        // Its rotation may have become due while it was disabled.
        Ok(self.schedule_rotation(tx)?)
    }

    pub fn disable(&self, tx: &mut Tx<'_>) -> Result<(), KeyError> {
        self.permits("DisableKey")?;
        self.set_state(tx, KeyState::Disabled)
    }

    fn set_state(&self, tx: &mut Tx<'_>, state: KeyState) -> Result<(), KeyError> {
        self.customer_managed()?;
        // A key whose store is away stays so until it is back.
        if self.state != KeyState::Unavailable {
            Key { state, ..Key::clone(self) }.save(tx)?;
        }
        Ok(())
    }

    pub fn describe_as(&self, tx: &mut Tx<'_>, description: String) -> Result<(), KeyError> {
        self.customer_managed()?;
        self.permits("UpdateKeyDescription")?;
        Key { description, ..Key::clone(self) }.save(tx)?;
        Ok(())
    }

    /// Starts the waiting period, or, for a primary key with replicas, lets it begin when they are
    /// gone. Answers the key as it then is.
    pub fn schedule_deletion(
        &self,
        tx: &mut Tx<'_>,
        days: i64,
        now: Timestamp,
    ) -> Result<Arc<Key>, KeyError> {
        self.customer_managed()?;
        self.permits("ScheduleKeyDeletion")?;
        if !(SHORTEST_WINDOW_DAYS..=LONGEST_WINDOW_DAYS).contains(&days) {
            return Err(KeyError::Validation(format!(
                "PendingWindowInDays must be between {SHORTEST_WINDOW_DAYS} and {LONGEST_WINDOW_DAYS}."
            )));
        }
        let key = Key::clone(self);
        if !self.has_replicas() {
            return Ok(key.end_after(tx, days, now)?);
        }
        let state = KeyState::PendingReplicaDeletion;
        Ok(Key { state, deletion_window_days: Some(days), ..key }.save(tx)?)
    }

    /// Ends the waiting period. The key comes back disabled, as AWS does it.
    pub fn cancel_deletion(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<(), KeyError> {
        self.permits("CancelKeyDeletion")?;
        if let Some(end) = self.deletion {
            // What is being destroyed has lost some of its grants already.
            if end <= now {
                let state = self.state.in_words();
                return Err(KeyError::InvalidState(self.arn.clone(), state));
            }
            tx.delete::<DueKey>(&[&end.row_part(), self.region.as_str(), &self.id])?;
        }
        let state = KeyState::Disabled;
        let key = Key { state, deletion: None, deletion_window_days: None, ..Key::clone(self) };
        key.settled().save(tx)?;
        Ok(())
    }
}

impl Key {
    /// Starts the waiting period.
    pub(super) fn end_after(
        self,
        tx: &mut Tx<'_>,
        days: i64,
        now: Timestamp,
    ) -> Result<Arc<Self>, StoreError> {
        let end = now.plus_secs(days * SECONDS_PER_DAY);
        let due = DueKey { region: self.region.clone(), id: self.id.clone() };
        tx.put(&[&end.row_part(), self.region.as_str(), &self.id], due)?;
        let state = KeyState::PendingDeletion;
        Self { state, deletion: Some(end), deletion_window_days: None, ..self }.save(tx)
    }
}

/// A key that is to be destroyed.
#[derive(Clone, Debug)]
pub struct Due {
    /// Where it stands in the list of those.
    at: String,
    pub region: Region,
    pub id: String,
}

/// Up to `limit` keys whose waiting period is over.
pub async fn due(tx: &Tx<'_>, now: Timestamp, limit: usize) -> Result<Vec<Due>, KeyError> {
    // Listed by time: the first that is not due ends the search.
    let page = tx.list_all::<DueKey>(limit).await?;
    let now = now.row_part();
    Ok(page
        .into_iter()
        .filter_map(|(parts, due)| Some((parts.into_iter().next()?, due)))
        .take_while(|(at, _)| *at <= now)
        .map(|(at, due)| Due { at, region: due.region.clone(), id: due.id.clone() })
        .collect())
}

/// Leaves a key that is due for later: what it lives in is away. Others have their turn meanwhile.
pub async fn postpone(
    tx: &mut Tx<'_>,
    due: &Due,
    seconds: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = [due.at.as_str(), due.region.as_str(), due.id.as_str()];
    if tx.get::<DueKey>(&row).await?.is_some() {
        tx.delete::<DueKey>(&row)?;
        let later = now.plus_secs(seconds).row_part();
        let again = DueKey { region: due.region.clone(), id: due.id.clone() };
        tx.put(&[&later, due.region.as_str(), &due.id], again)?;
    }
    Ok(())
}

/// The object of a key in a device, if that key is to be destroyed now: its waiting period is over, and
/// from then on nothing brings it back.
pub async fn object_of(
    tx: &mut Tx<'_>,
    due: &Due,
    now: Timestamp,
) -> Result<Option<Arc<ResidentKey>>, KeyError> {
    let Some(key) = Key::load(tx, &due.region, &due.id).await? else { return Ok(None) };
    match key.deletion {
        Some(end) if end <= now && key.origin == Origin::AwsCloudhsm => {
            Ok(ResidentKey::load(tx, &due.id).await?)
        }
        _ => Ok(None),
    }
}

/// Destroys a key whose waiting period is over: its material, its aliases, itself. What it had in a
/// device is destroyed already. Answers the key that was destroyed, or nothing if it is not due (any
/// more).
pub async fn destroy(
    tx: &mut Tx<'_>,
    due: &Due,
    now: Timestamp,
) -> Result<Option<Arc<Key>>, KeyError> {
    let (region, id) = (&due.region, due.id.as_str());
    let Some(key) = Key::load(tx, region, id).await? else { return Ok(None) };
    if key.deletion.is_none_or(|end| end > now) {
        return Ok(None);
    }
    tx.delete::<DueKey>(&[&due.at, region.as_str(), id])?;
    for alias in &key.aliases {
        tx.delete::<Alias>(&[key.account.as_str(), region.as_str(), alias])?;
    }
    grant::delete_all(tx, &key).await?;
    // A multi-Region key's other regions go on with the material, if they have it: imported material
    // may have been here only.
    let others = key.leave(tx, now).await?;
    for material in &key.materials {
        let has = |m: &KeyMaterial| m.id == material.id && m.present;
        if !others.iter().any(|other| other.materials.iter().any(has)) {
            Material::delete(tx, id, &material.id)?;
        }
    }
    key.unschedule_rotation(tx)?;
    for other in &others {
        // The list may know a multi-Region key by the region where it was the primary one.
        other.schedule_rotation(tx)?;
    }
    if key.origin == Origin::AwsCloudhsm {
        ResidentKey::delete(tx, id)?;
    }
    super::stores::external::forget(tx, &key).await?;
    if let Some(store) = &key.custom_key_store {
        super::stores::remove_key(tx, &key.account, region, store).await?;
    }
    LastUses::forget(tx, region, id)?;
    import::clear(tx, &key).await?;
    tx.delete::<KeyOfAccount>(&[key.account.as_str(), region.as_str(), id])?;
    tx.delete::<Key>(&[region.as_str(), id])?;
    Ok(Some(key))
}
