//! A secret in several regions of the deployment: which of its rows is the one that is written to, and
//! how the others are doing. (Secrets Manager user guide, "Replicate AWS Secrets Manager secrets across
//! Regions".)
//!
//! A replica is a secret of its own, with its own key and its own sealed values. What it has is taken
//! from its primary, in the transaction that changes the primary.
mod follower;

pub use follower::{Follower, mirror};

use super::deletion::remove;
use super::secret::arn_of;
use super::{Edit, FoundSecret, Secret, SecretError};
use crate::authorize::Authorized;
use crate::store::{StoreError, Tx};
use crate::types::{Arn, Region, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a secret is among its replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replication {
    #[default]
    Alone,
    /// The one that is written to; where its replicas are.
    Primary(BTreeMap<Region, Replica>),
    /// Read only; where its primary is.
    Replica { primary: Region },
}

/// A replica, as its primary knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// As the caller named it; none for `aws/secretsmanager` of that region.
    pub kms_key_id: Option<String>,
    /// Why it is not as the primary is. None: it is in sync.
    pub failure: Option<String>,
}

impl Replication {
    /// The replicas of a primary.
    pub fn replicas(&self) -> impl Iterator<Item = (&Region, &Replica)> {
        let all = match self {
            Self::Primary(all) => Some(all),
            Self::Alone | Self::Replica { .. } => None,
        };
        all.into_iter().flatten()
    }

    pub fn in_region(&self, region: &Region) -> Option<&Replica> {
        match self {
            Self::Primary(all) => all.get(region),
            Self::Alone | Self::Replica { .. } => None,
        }
    }

    /// Without this region; whoever has no replica left is a secret like any other.
    fn without(&self, region: &Region) -> Self {
        match self {
            Self::Primary(all) => {
                let mut all = all.clone();
                all.remove(region);
                if all.is_empty() { Self::Alone } else { Self::Primary(all) }
            }
            other => other.clone(),
        }
    }
}

impl Secret {
    /// Refuses what may be done in the primary's region only.
    pub fn written_here(&self) -> Result<(), SecretError> {
        match self.replication {
            Replication::Alone | Replication::Primary(_) => Ok(()),
            Replication::Replica { .. } => Err(SecretError::InvalidParameter(
                "Operation not permitted on a replica secret. Call must be made in primary \
                 secret's region."
                    .into(),
            )),
        }
    }

    /// Refuses to delete a replica, or what replicas are kept after.
    pub(super) fn deletable(&self) -> Result<(), SecretError> {
        self.written_here()?;
        self.stands_alone()?;
        let regions: Vec<&str> =
            self.replication.replicas().map(|(region, _)| region.as_str()).collect();
        if regions.is_empty() {
            return Ok(());
        }
        Err(SecretError::InvalidParameter(format!(
            "You can't delete secret {} that still has replica regions [{}].",
            self.arn,
            regions.join(", ")
        )))
    }

    /// What it is called in another region.
    pub fn arn_in(&self, region: &Region) -> Arn {
        arn_of(&self.account, region, self.resource_id())
    }

    /// The replica in a region, as it is stored.
    pub async fn replica(
        &self,
        tx: &mut Tx<'_>,
        region: &Region,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        let stored = Self::load(tx, &self.account, region, &self.name).await?;
        Ok(stored.filter(|stored| stored.is_replica_of(self)))
    }

    /// Whether it is the replica that `primary` has, or had, in its region.
    fn is_replica_of(&self, primary: &Self) -> bool {
        let theirs = Replication::Replica { primary: primary.region.clone() };
        self.replication == theirs && self.arn == primary.arn_in(&self.region)
    }
}

/// What there is under a primary's name in a region where it is to have a replica.
#[derive(Debug)]
pub enum Standing {
    /// Its replica, or room for it.
    Ours(Box<Follower>),
    /// Another secret.
    Taken(Arc<Secret>),
}

impl Edit {
    /// The replica that this secret has or is to have in `region`.
    pub async fn replica_in(
        &self,
        tx: &mut Tx<'_>,
        region: &Region,
        now: Timestamp,
    ) -> Result<Standing, SecretError> {
        match Secret::load(tx, &self.account, region, &self.name).await? {
            Some(stored) if stored.is_replica_of(self) => {
                Ok(Standing::Ours(Box::new(Follower::of(self, &stored))))
            }
            Some(other) => Ok(Standing::Taken(other)),
            None => Ok(Standing::Ours(Box::new(Follower::new(self, region, now)))),
        }
    }

    /// Has it replicated to a region, or tried again there, under a key as the caller names it. A
    /// replica that is in sync keeps its key: only its own region changes that.
    pub fn replicate_to(
        &mut self,
        region: &Region,
        kms_key_id: Option<String>,
    ) -> Result<(), SecretError> {
        match self.replication.in_region(region) {
            Some(replica) if replica.kms_key_id == kms_key_id => return Ok(()),
            Some(Replica { failure: None, .. }) => {
                return Err(SecretError::InvalidParameter(format!(
                    "The secret is already replicated to region {region} under another key."
                )));
            }
            _ => {}
        }
        // Until it has been brought up to date, nothing is there.
        let failure = Some("Replication failed.".to_owned());
        self.set_replica(region, Replica { kms_key_id, failure });
        Ok(())
    }

    /// Notes how a replica is doing.
    pub fn replicated(&mut self, region: &Region, failure: Option<String>) {
        match self.replication.in_region(region) {
            Some(known) if known.failure != failure => {
                let replica = Replica { failure, ..known.clone() };
                self.set_replica(region, replica);
            }
            _ => {}
        }
    }

    fn set_replica(&mut self, region: &Region, replica: Replica) {
        let replication = &mut self.change().replication;
        if let Replication::Alone = replication {
            *replication = Replication::Primary(BTreeMap::new());
        }
        if let Replication::Primary(all) = replication {
            all.insert(region.clone(), replica);
        }
    }

    /// Destroys the replica in a region, and knows no more of it. Answers what was destroyed: where
    /// replication never came to anything, that is nothing.
    pub async fn remove_replica(
        &mut self,
        tx: &mut Tx<'_>,
        region: &Region,
    ) -> Result<Option<Arc<Secret>>, SecretError> {
        let stored = self.replica(tx, region).await?;
        if let Some(replica) = &stored {
            remove(tx, replica).await?;
        }
        let rest = self.replication.without(region);
        self.change().replication = rest;
        Ok(stored)
    }

    /// Tells the primary which key its replica is under now: DescribeSecret shows it there.
    pub async fn tell_primary_of_key(&self, tx: &mut Tx<'_>) -> Result<(), SecretError> {
        let Replication::Replica { primary } = &self.replication else { return Ok(()) };
        let Some(primary) = primary_of(tx, self, primary).await? else { return Ok(()) };
        let mut primary = Secret::clone(&primary);
        if let Replication::Primary(all) = &mut primary.replication
            && let Some(known) = all.get_mut(&self.region)
            && known.kms_key_id != self.kms_key_id
        {
            known.kms_key_id.clone_from(&self.kms_key_id);
            primary.save(tx)?;
        }
        Ok(())
    }
}

impl Authorized<FoundSecret> {
    /// Makes a replica a secret of its own, and has its primary know no more of it.
    pub async fn promote(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<(), SecretError> {
        self.alive()?;
        let Replication::Replica { primary } = &self.replication else {
            return Err(SecretError::InvalidParameter(
                "Operation not permitted on a secret that is not a replica. Call must be made in \
                 replica secret's region."
                    .into(),
            ));
        };
        if let Some(primary) = primary_of(tx, self, primary).await? {
            let replication = primary.replication.without(&self.region);
            Secret { replication, changed: now, ..Secret::clone(&primary) }.save(tx)?;
        }
        let replication = Replication::Alone;
        Secret { replication, changed: now, ..Secret::clone(self) }.save(tx)?;
        Ok(())
    }
}

/// The primary of a replica.
async fn primary_of(
    tx: &mut Tx<'_>,
    replica: &Secret,
    region: &Region,
) -> Result<Option<Arc<Secret>>, StoreError> {
    let found = Secret::load(tx, &replica.account, region, &replica.name).await?;
    Ok(found.filter(|found| replica.is_replica_of(found)))
}
