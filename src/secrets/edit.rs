//! A secret while it is being changed: several changes, one write.
use super::{CURRENT, FoundSecret, SealedValue, Secret, SecretError, Version, VersionMeta};
use crate::authorize::Authorized;
use crate::store::Tx;
use crate::types::{Tags, Timestamp};
use std::ops::Deref;
use std::sync::Arc;

/// Comes from `Authorized<FoundSecret>` or `Authorized<NewSecret>` only. Nothing of it but the
/// versions' values reaches the transaction before [`Edit::save`].
#[derive(Debug)]
pub struct Edit {
    secret: Secret,
    changed: bool,
}

impl Deref for Edit {
    type Target = Secret;
    fn deref(&self) -> &Secret {
        &self.secret
    }
}

impl Authorized<FoundSecret> {
    /// Begins to change a secret, unless it is scheduled for deletion, or a replica: that changes with
    /// its primary only.
    pub fn edit(&self) -> Result<Edit, SecretError> {
        self.has_own_values()?;
        self.edit_metadata()
    }

    /// Begins to change what a replica of another account has of its own: all but values and labels.
    pub fn edit_metadata(&self) -> Result<Edit, SecretError> {
        self.written_here()?;
        self.edit_key()
    }

    /// Begins to change the key that a secret is under: the one thing that a replica has of its own
    /// (Secrets Manager user guide, "Promote a replica secret to a standalone secret").
    pub fn edit_key(&self) -> Result<Edit, SecretError> {
        self.alive()?;
        Ok(Edit { secret: Secret::clone(self), changed: false })
    }
}

impl Edit {
    /// A secret that is not stored yet.
    pub(super) fn new(secret: Secret) -> Self {
        Self { secret, changed: true }
    }

    pub fn set_description(&mut self, description: String) {
        self.change().description = Some(description);
    }

    pub fn set_kms_key_id(&mut self, kms_key_id: Option<String>) {
        self.change().kms_key_id = kms_key_id;
    }

    pub(super) fn set_tags(&mut self, tags: Tags) {
        self.change().tags = tags;
    }

    /// Adds a version with its value and moves labels to it: those asked for, or `AWSCURRENT`.
    pub fn add_version(
        &mut self,
        tx: &mut Tx<'_>,
        id: &str,
        sealed: SealedValue,
        labels: Option<&[String]>,
        now: Timestamp,
    ) -> Result<(), SecretError> {
        let secret = self.change();
        let mut meta = VersionMeta::new(now, sealed.key);
        // Of a version that a rotation announced.
        meta.stages = secret.versions.get(id).map(|one| one.stages.clone()).unwrap_or_default();
        secret.versions.add(id, meta, labels)?;
        for gone in secret.versions.prune(now)? {
            Version::delete(tx, secret, &gone)?;
        }
        sealed.version.save(tx, secret, id)?;
        if secret.versions.holder(CURRENT).is_some_and(|(current, _)| current == id) {
            self.value_changed(now);
        }
        Ok(())
    }

    /// Replaces a version's sealed value by the same one sealed under another KMS key.
    pub fn rekey(
        &mut self,
        tx: &mut Tx<'_>,
        id: &str,
        sealed: SealedValue,
    ) -> Result<(), SecretError> {
        let secret = self.change();
        secret.versions.rekeyed(id, sealed.key);
        sealed.version.save(tx, secret, id)?;
        Ok(())
    }

    /// The secret as it would be, to ask who could still do what with it.
    pub fn preview(&self) -> FoundSecret {
        FoundSecret(Arc::new(self.secret.clone()))
    }

    /// Writes the secret, if anything of it changed.
    pub fn save(mut self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Arc<Secret>, SecretError> {
        if !self.changed {
            return Ok(Arc::new(self.secret));
        }
        self.secret.changed = now;
        Ok(self.secret.save(tx)?)
    }

    pub(super) fn change(&mut self) -> &mut Secret {
        self.changed = true;
        &mut self.secret
    }
}
