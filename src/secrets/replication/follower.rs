//! One secret that is kept as another one is: a replica, in another region or another account.
use super::Replication;
use crate::secrets::{
    CrossAccount, CrossAccountState, Edit, SealedValue, Secret, SecretError, Version, VersionMeta,
    Versions,
};
use crate::store::{StoreError, Tx};
use crate::types::{Region, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A secret elsewhere that is to be as another one is, while it is brought up to date. It is made from
/// an [`Edit`]: of a secret that the caller may change.
#[derive(Debug)]
pub struct Follower {
    secret: Secret,
    /// Whether its key is another one than before, so that nothing that it has counts.
    reseal: bool,
    changed: bool,
}

impl std::ops::Deref for Follower {
    type Target = Secret;
    fn deref(&self) -> &Secret {
        &self.secret
    }
}

impl Follower {
    /// A replica in `region` that is not stored yet.
    pub fn new(primary: &Edit, region: &Region, now: Timestamp) -> Self {
        let (arn, name, account) = (primary.arn_in(region), &primary.name, &primary.account);
        // No CreateSecret made it, and so none can be a retry of the one that did.
        let secret = Secret {
            replication: Replication::Replica { primary: primary.region.clone() },
            ..Secret::blank(arn, name, account, region, now)
        };
        Self { secret, reseal: false, changed: true }
    }

    /// A stored secret, of any account and region, that is to be as the one that is changed.
    pub fn of(_followed: &Edit, stored: &Secret) -> Self {
        Self { secret: stored.clone(), reseal: false, changed: false }
    }

    /// Has it use a key from now on. Under another one than so far, all that has a label is sealed anew.
    pub fn set_kms_key_id(&mut self, kms_key_id: Option<String>) {
        if self.secret.kms_key_id != kms_key_id {
            self.secret.kms_key_id = kms_key_id;
            self.reseal = true;
            self.changed = true;
        }
    }

    pub(in crate::secrets) fn set_cross_account(&mut self, link: Option<CrossAccount>) {
        if self.secret.cross_account != link {
            self.secret.cross_account = link;
            self.changed = true;
        }
    }

    /// The versions whose values it has to get: those with a label. One without may be under a key that
    /// is gone, and nobody needs it. One that has the id of another is another.
    pub fn lacks(&self, followed: &Secret) -> Vec<(String, Timestamp)> {
        let has = |id: &str, created: Timestamp| {
            !self.reseal && self.secret.versions.get(id).is_some_and(|own| own.created == created)
        };
        let lacking = followed.versions.iter().filter(|(id, version)| {
            version.has_value && !version.stages.is_empty() && !has(id, version.created)
        });
        lacking.map(|(id, version)| (id.to_owned(), version.created)).collect()
    }

    /// Takes over what is known of the secret apart from its versions.
    pub fn take_metadata(&mut self, followed: &Secret) {
        let own = &mut self.secret;
        let same = own.description == followed.description
            && own.tags == followed.tags
            && own.kind == followed.kind
            && own.policy == followed.policy;
        if !same {
            own.description.clone_from(&followed.description);
            own.tags.clone_from(&followed.tags);
            own.kind.clone_from(&followed.kind);
            own.policy.clone_from(&followed.policy);
            self.changed = true;
        }
    }

    /// Takes over the versions that have a value, with their labels; without labels, those that it has
    /// already. `sealed` has the values that it lacked.
    pub fn take_versions(
        &mut self,
        tx: &mut Tx<'_>,
        followed: &Secret,
        mut sealed: BTreeMap<String, SealedValue>,
    ) -> Result<(), SecretError> {
        let mut versions = Vec::new();
        for (id, theirs) in followed.versions.iter().filter(|(_, version)| version.has_value) {
            let own = self.secret.versions.get(id).filter(|own| own.created == theirs.created);
            let (key, accessed) = match (sealed.remove(id), own) {
                (Some(sealed), _) => {
                    sealed.version.save(tx, &self.secret, id)?;
                    (sealed.key, None)
                }
                (None, Some(own)) => (own.key.clone(), own.accessed),
                (None, None) if theirs.stages.is_empty() => continue,
                (None, None) => {
                    let text = format!("{} did not get the value of {id}", self.secret.arn);
                    return Err(StoreError::Corrupt(text).into());
                }
            };
            versions.push((id.to_owned(), VersionMeta { key, accessed, ..theirs.clone() }));
        }
        let versions: Versions = versions.into_iter().collect();
        for (gone, _) in self.secret.versions.iter().filter(|(id, _)| !versions.contains(id)) {
            Version::delete(tx, &self.secret, gone)?;
        }
        if self.secret.versions != versions {
            self.secret.versions = versions;
            self.changed = true;
        }
        Ok(())
    }

    /// Writes it and answers it, if anything of it changed.
    pub fn save(
        mut self,
        tx: &mut Tx<'_>,
        now: Timestamp,
    ) -> Result<Option<Arc<Secret>>, SecretError> {
        if !self.changed {
            return Ok(None);
        }
        self.secret.changed = now;
        Ok(Some(self.secret.save(tx)?))
    }
}

/// Brings what needs no key, such as labels and versions that are gone, from a primary to its replicas:
/// for what the server does by itself. The versions of those that are out of sync wait for a caller's
/// next write.
pub async fn mirror(tx: &mut Tx<'_>, primary: &Secret, now: Timestamp) -> Result<(), SecretError> {
    for (region, replica) in primary.replication.replicas() {
        let Some(stored) = primary.replica(tx, region).await? else { continue };
        let mut follower =
            Follower { secret: Secret::clone(&stored), reseal: false, changed: false };
        follower.take_metadata(primary);
        if replica.failure.is_none() && follower.lacks(primary).is_empty() {
            follower.take_versions(tx, primary, BTreeMap::new())?;
        }
        follower.save(tx, now)?;
    }
    mirror_elsewhere(tx, primary, now).await
}

/// The same for the replica in another account.
async fn mirror_elsewhere(
    tx: &mut Tx<'_>,
    primary: &Secret,
    now: Timestamp,
) -> Result<(), SecretError> {
    let in_sync = |link: &CrossAccount| link.state == CrossAccountState::InSync;
    if !primary.replica_elsewhere().is_some_and(|(link, _)| in_sync(link)) {
        return Ok(());
    }
    let Some(stored) = primary.other_end(tx).await? else { return Ok(()) };
    let mut follower = Follower { secret: Secret::clone(&stored), reseal: false, changed: false };
    if !follower.lacks(primary).is_empty() {
        return Ok(());
    }
    follower.take_versions(tx, primary, BTreeMap::new())?;
    follower.save(tx, now)?;
    Ok(())
}
