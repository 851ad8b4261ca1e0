//! Material that is imported, deleted, and imported again.
use super::super::material::Material;
use super::super::{Found, Key, KeyError, KeyMaterial, MaterialState};
use super::due;
use super::wrapping::Unwrapped;
use crate::authorize::Authorized;
use crate::store::Tx;
use crate::types::Timestamp;

/// AWS: no material is imported for longer.
const LONGEST_VALIDITY_SECONDS: i64 = 365 * 86_400;

/// Whether the key knows the material already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportType {
    New,
    Existing,
}

/// What a caller says of material before it is unwrapped.
#[derive(Debug)]
pub struct Import {
    /// When it is to expire; never, if it is not to.
    pub valid_to: Option<Timestamp>,
    pub kind: Option<ImportType>,
    pub description: Option<String>,
    /// Which material it should be.
    pub id: Option<String>,
}

impl Authorized<Found> {
    /// Refuses what does not depend on the bytes; answers whether they are to be new to the key.
    pub fn plan_import(&self, wish: &Import, now: Timestamp) -> Result<ImportType, KeyError> {
        self.takes_imports("ImportKeyMaterial")?;
        if let Some(end) = wish.valid_to {
            if end <= now {
                return Err(KeyError::Validation("ValidTo must be in the future.".into()));
            }
            if end > now.plus_secs(LONGEST_VALIDITY_SECONDS) {
                let text = "ValidTo must not be later than 365 days from now.";
                return Err(KeyError::Validation(text.into()));
            }
        }
        let special = wish.kind.is_some() || wish.id.is_some() || wish.description.is_some();
        if special && !self.spec.is_symmetric() {
            let text = "ImportType, KeyMaterialId and KeyMaterialDescription are valid only for \
                        symmetric encryption KMS keys.";
            return Err(KeyError::Validation(text.into()));
        }
        let usual = if self.materials.is_empty() { ImportType::New } else { ImportType::Existing };
        let kind = wish.kind.unwrap_or(usual);
        if kind == ImportType::New {
            if wish.id.is_some() {
                let text = "KeyMaterialId cannot be specified with ImportType NEW_KEY_MATERIAL.";
                return Err(KeyError::Validation(text.into()));
            }
            if self.is_replica() {
                let text = format!(
                    "New key material cannot be imported into {}, which is not a multi-region \
                     primary key.",
                    self.arn
                );
                return Err(KeyError::Unsupported(text));
            }
        }
        Ok(kind)
    }

    /// Makes it material of the key. Answers the id.
    pub async fn import(
        &self,
        tx: &mut Tx<'_>,
        unwrapped: Unwrapped,
        wish: Import,
        now: Timestamp,
    ) -> Result<String, KeyError> {
        let kind = self.plan_import(&wish, now)?;
        let id = unwrapped.id_in(self)?;
        let known = self.materials.iter().find(|m| m.id == id);
        match (kind, known) {
            (ImportType::New, Some(_)) => {
                let text = "The key material is already associated with the KMS key.";
                return Err(KeyError::IncorrectKeyMaterial(text.into()));
            }
            (ImportType::New, None) => self.none_pending(&id)?,
            (ImportType::Existing, None) => {
                let text = "The key material is not the one that was imported before.";
                return Err(KeyError::IncorrectKeyMaterial(text.into()));
            }
            (ImportType::Existing, Some(_))
                if wish.id.as_ref().is_some_and(|named| *named != id) =>
            {
                let text = "The key material is not the one that KeyMaterialId names.";
                return Err(KeyError::IncorrectKeyMaterial(text.into()));
            }
            (ImportType::Existing, Some(known)) => {
                if let Some(end) = known.valid_to {
                    due::cancel(tx, self, end, &id)?;
                }
            }
        }
        Material::create_as(tx, &self.id, &id, self.spec, unwrapped.bytes, now)?;
        if let Some(end) = wish.valid_to {
            due::plan(tx, self, end, &id)?;
        }
        match kind {
            ImportType::New => self.add(tx, &id, wish).await?,
            ImportType::Existing => self.restore(tx, &id, wish)?,
        }
        Ok(id)
    }

    /// The key knows it from now on, in every region; its bytes are here.
    async fn add(&self, tx: &mut Tx<'_>, id: &str, wish: Import) -> Result<(), KeyError> {
        // The first needs no rotation: there is nothing before it.
        let first = self.materials.is_empty();
        let state = if first { MaterialState::Current } else { MaterialState::PendingRotation };
        let (here, Import { valid_to, description, .. }) = (self.region.clone(), wish);
        self.change_everywhere(tx, |key| {
            let present = key.region == here;
            key.materials.push(KeyMaterial {
                id: id.to_owned(),
                state,
                present,
                valid_to: valid_to.filter(|_| present),
                description: description.clone().filter(|_| present),
                rotation: None,
            });
        })
        .await?;
        Ok(())
    }

    fn restore(&self, tx: &mut Tx<'_>, id: &str, wish: Import) -> Result<(), KeyError> {
        let mut key = Key::clone(self);
        for material in key.materials.iter_mut().filter(|m| m.id == id) {
            material.present = true;
            material.valid_to = wish.valid_to;
            // What was said of it before holds until something else is said.
            if wish.description.is_some() {
                material.description.clone_from(&wish.description);
            }
        }
        key.settled().save(tx)?;
        Ok(())
    }

    /// Refuses new material while other material waits for the next rotation.
    fn none_pending(&self, id: &str) -> Result<(), KeyError> {
        let pending = self.materials.iter().find(|m| m.state == MaterialState::PendingRotation);
        let Some(pending) = pending else { return Ok(()) };
        Err(KeyError::MaterialPending {
            key: self.arn.clone(),
            new: id.to_owned(),
            pending: pending.id.clone(),
        })
    }

    /// Deletes imported material: the one that is named, or the current one. Answers its id, if the
    /// key ever had one.
    pub async fn delete_imported(
        &self,
        tx: &mut Tx<'_>,
        named: Option<&str>,
    ) -> Result<Option<String>, KeyError> {
        self.takes_imports("DeleteImportedKeyMaterial")?;
        let Some(named) = named else {
            let Some(current) = self.current() else { return Ok(None) };
            forget(tx, self, &current.id).await?;
            return Ok(Some(current.id.clone()));
        };
        if !self.materials.iter().any(|m| m.id == named) {
            let text = format!("Key material {named} is not associated with {}.", self.arn);
            return Err(KeyError::NotFound(text));
        }
        forget(tx, self, named).await?;
        Ok(Some(named.to_owned()))
    }
}

/// Deletes a material from a key. What was never current is then unknown to the key, so that another
/// can be imported in its place; if the key is a primary one, in its replicas too.
pub(super) async fn forget(tx: &mut Tx<'_>, key: &Key, id: &str) -> Result<(), KeyError> {
    let pending =
        key.materials.iter().any(|m| m.id == id && m.state == MaterialState::PendingRotation);
    if pending && !key.is_replica() {
        for relative in key.relatives(tx).await? {
            cancel_end(tx, &relative, id)?;
        }
        cancel_end(tx, key, id)?;
        Material::delete(tx, &key.id, id)?;
        key.change_everywhere(tx, |key| key.materials.retain(|m| m.id != id)).await?;
        return Ok(());
    }
    cancel_end(tx, key, id)?;
    wipe_unless_elsewhere(tx, key, id).await?;
    let mut key = key.clone();
    for material in key.materials.iter_mut().filter(|m| m.id == id) {
        material.present = false;
        material.valid_to = None;
    }
    key.settled().save(tx)?;
    Ok(())
}

fn cancel_end(tx: &mut Tx<'_>, key: &Key, id: &str) -> Result<(), KeyError> {
    let material = key.materials.iter().find(|m| m.id == id);
    match material.and_then(|m| m.valid_to) {
        Some(end) => due::cancel(tx, key, end, id),
        None => Ok(()),
    }
}

/// Deletes the bytes of a material, if no other region of the key has them.
async fn wipe_unless_elsewhere(tx: &mut Tx<'_>, key: &Key, id: &str) -> Result<(), KeyError> {
    let has = |key: &Key| key.materials.iter().any(|m| m.id == id && m.present);
    if !key.relatives(tx).await?.iter().any(|relative| has(relative)) {
        Material::delete(tx, &key.id, id)?;
    }
    Ok(())
}
