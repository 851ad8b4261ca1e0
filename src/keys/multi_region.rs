//! Multi-Region keys: one key in several regions, with one id and one material. What its regions
//! share changes in all of them in one transaction, so they never disagree, and neither "Creating"
//! nor "Updating" is ever a state that lasts.
use super::key::KeyOfAccount;
use super::{Found, Key, KeyError, KeyMaterial, KeyState, Origin, arn};
use crate::authorize::{Account, Authorized};
use crate::policy::BoundPolicy;
use crate::store::{StoreError, Tx};
use crate::types::{Region, Tags, Timestamp};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// What a replica has of its own.
#[derive(Debug)]
pub struct NewReplica {
    pub region: Region,
    pub description: String,
    pub policy: BoundPolicy,
    pub tags: Tags,
}

impl Authorized<Found> {
    /// Refuses unless this is a multi-Region primary key in a state for the operation.
    pub fn is_primary_for(&self, operation: &'static str) -> Result<(), KeyError> {
        if self.is_primary() { self.permits(operation) } else { Err(self.not_primary()) }
    }

    /// Refuses if the region has a key of this id already, whatever its state.
    pub async fn is_not_yet_in(&self, tx: &mut Tx<'_>, region: &Region) -> Result<(), KeyError> {
        match Key::load(tx, region, &self.id).await? {
            Some(key) => Err(KeyError::KeyExists(key.arn.clone())),
            None => Ok(()),
        }
    }

    /// Makes the key of one more region. Asked of the account too: the replica is a new key there.
    /// It has the primary's material, or, if that is imported, waits for the same to be imported.
    pub async fn replicate(
        &self,
        _allowed: &Authorized<Account>,
        tx: &mut Tx<'_>,
        new: NewReplica,
        now: Timestamp,
    ) -> Result<Arc<Key>, KeyError> {
        self.is_primary_for("ReplicateKey")?;
        self.is_not_yet_in(tx, &new.region).await?;
        let primary = self
            .change_everywhere(tx, |key| {
                if let Some(all) = &mut key.multi_region {
                    all.replicas.insert(new.region.clone());
                }
            })
            .await?;
        let arn = arn(&self.account, &new.region, &self.id);
        tx.put(
            &[self.account.as_str(), new.region.as_str(), &self.id],
            KeyOfAccount { arn: arn.clone() },
        )?;
        let replica = Key {
            arn,
            region: new.region,
            state: KeyState::Enabled,
            description: new.description,
            created: now,
            materials: primary.materials.iter().map(|m| in_replica(m, self.origin)).collect(),
            granted: false,
            policy: new.policy,
            tags: new.tags,
            aliases: BTreeSet::new(),
            compiled: OnceLock::new(),
            ..Key::clone(&primary)
        };
        Ok(replica.settled().save(tx)?)
    }

    /// Makes another region's key the primary one, and this one a replica.
    pub async fn hand_over(
        &self,
        tx: &mut Tx<'_>,
        next: &Authorized<Found>,
    ) -> Result<(), KeyError> {
        self.is_primary_for("UpdatePrimaryRegion")?;
        next.permits("UpdatePrimaryRegion")?;
        self.unschedule_rotation(tx)?;
        self.change_everywhere(tx, |key| {
            if let Some(all) = &mut key.multi_region {
                all.replicas.remove(&next.region);
                all.replicas.insert(self.region.clone());
                all.primary = next.region.clone();
            }
        })
        .await?;
        // Automatic rotation is the primary key's.
        if let Some(primary) = Key::load(tx, &next.region, &next.id).await? {
            primary.schedule_rotation(tx)?;
        }
        Ok(())
    }
}

/// Imported material is each region's own to import, and to lose.
fn in_replica(material: &KeyMaterial, origin: Origin) -> KeyMaterial {
    match origin {
        Origin::External => {
            KeyMaterial { present: false, valid_to: None, description: None, ..material.clone() }
        }
        _ => material.clone(),
    }
}

impl Key {
    /// For what only a multi-Region primary key takes.
    pub fn not_primary(&self) -> KeyError {
        KeyError::Unsupported(format!("{} is not a multi-region primary key.", self.arn))
    }

    /// Whether other regions depend on this key: it cannot end before they did.
    pub fn has_replicas(&self) -> bool {
        let replicas = |all: &super::MultiRegion| self.is_primary() && !all.replicas.is_empty();
        self.multi_region.as_ref().is_some_and(replicas)
    }

    /// Tells the other regions that this region's key is no more, and answers what they are now. The
    /// waiting period of a primary key begins when the last of its replicas has gone.
    pub(super) async fn leave(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
    ) -> Result<Vec<Arc<Self>>, StoreError> {
        let mut left = Vec::new();
        for relative in self.relatives(tx).await? {
            let mut key = Self::clone(&relative);
            if let Some(all) = &mut key.multi_region {
                all.replicas.remove(&self.region);
            }
            let waits = key.state == KeyState::PendingReplicaDeletion && !key.has_replicas();
            left.push(match key.deletion_window_days.filter(|_| waits) {
                Some(days) => key.end_after(tx, days, now)?,
                None => key.save(tx)?,
            });
        }
        Ok(left)
    }
}
