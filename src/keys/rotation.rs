//! Rotation: a key gets new material, which encrypts from then on. What it had before goes on to
//! decrypt for as long as the key exists.
mod schedule;

pub use schedule::{DueRotation, due_rotations, rotate_due};

use super::material::Material;
use super::{
    Found, Key, KeyError, KeyManager, KeyMaterial, MaterialState, Origin, Rotation, RotationType,
};
use crate::authorize::Authorized;
use crate::memory::SecretBytes;
use crate::store::{StoreError, Tx};
use crate::types::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// AWS: the days between two automatic rotations, when nobody says how many.
pub const DEFAULT_PERIOD_DAYS: i64 = 365;
const SHORTEST_PERIOD_DAYS: i64 = 90;
const LONGEST_PERIOD_DAYS: i64 = 2560;
/// AWS: how shortly before an automatic rotation none on demand begins.
const QUIET_SECONDS: i64 = 20 * 60;
const SECONDS_PER_DAY: i64 = 86_400;

/// A rotation that was done.
#[derive(Debug)]
pub struct Rotated {
    pub key: Arc<Key>,
    previous: String,
    current: String,
    kind: RotationType,
}

impl Rotated {
    /// `serviceEventDetails` of CloudTrail's RotateKey.
    pub fn details(&self) -> Value {
        json!({
            "keyId": self.key.id,
            "rotationType": self.kind,
            "keyOrigin": self.key.origin,
            "previousKeyMaterialId": self.previous,
            "currentKeyMaterialId": self.current,
        })
    }
}

impl Rotation {
    /// What a new key begins with: AWS rotates the keys that it manages every year.
    pub(super) fn of_new(manager: KeyManager, now: Timestamp) -> Self {
        match manager {
            KeyManager::Aws => Self::default().every(DEFAULT_PERIOD_DAYS, now),
            KeyManager::Customer => Self::default(),
        }
    }

    /// The period runs from the day that it is set.
    fn every(&self, days: i64, now: Timestamp) -> Self {
        let next = now.plus_secs(days.saturating_mul(SECONDS_PER_DAY));
        Self { period_days: Some(days), next: Some(next), ..self.clone() }
    }
}

/// Where new material comes from.
enum Next {
    Made(SecretBytes),
    /// Imported before, under this id.
    Imported(String),
}

impl Authorized<Found> {
    /// Turns automatic rotation on, or gives it another period.
    pub async fn enable_rotation(
        &self,
        tx: &mut Tx<'_>,
        days: i64,
        now: Timestamp,
    ) -> Result<(), KeyError> {
        self.takes_rotation("EnableKeyRotation", &[Origin::AwsKms])?;
        if !(SHORTEST_PERIOD_DAYS..=LONGEST_PERIOD_DAYS).contains(&days) {
            return Err(KeyError::Validation(format!(
                "RotationPeriodInDays must be between {SHORTEST_PERIOD_DAYS} and \
                 {LONGEST_PERIOD_DAYS}."
            )));
        }
        self.set_rotation(tx, self.rotation.every(days, now)).await
    }

    pub async fn disable_rotation(&self, tx: &mut Tx<'_>) -> Result<(), KeyError> {
        self.takes_rotation("DisableKeyRotation", &[Origin::AwsKms])?;
        let off = Rotation { period_days: None, next: None, ..self.rotation.clone() };
        self.set_rotation(tx, off).await
    }

    async fn set_rotation(&self, tx: &mut Tx<'_>, rotation: Rotation) -> Result<(), KeyError> {
        self.unschedule_rotation(tx)?;
        let key = self.change_everywhere(tx, |key| key.rotation = rotation.clone()).await?;
        Ok(key.schedule_rotation(tx)?)
    }

    /// How often the key is rotated and when next, if it is. AWS: not while it is on its way out.
    pub fn rotation_status(&self) -> Result<Option<(i64, Timestamp)>, KeyError> {
        self.can_rotate(&[Origin::AwsKms])?;
        self.permits("GetKeyRotationStatus")?;
        let on = self.rotation.period_days.zip(self.rotation.next);
        Ok(on.filter(|_| !self.state.is_ending()))
    }

    /// Rotates now, if the key was not rotated so `most` times before. The schedule stays as it is.
    /// `fresh` makes the material of a key that imports none.
    pub async fn rotate_on_demand(
        &self,
        tx: &mut Tx<'_>,
        most: usize,
        now: Timestamp,
        fresh: impl AsyncFnOnce() -> Result<SecretBytes, KeyError>,
    ) -> Result<Rotated, KeyError> {
        self.takes_rotation("RotateKeyOnDemand", &[Origin::AwsKms, Origin::External])?;
        self.unexpired(now)?;
        if self.rotation.next.is_some_and(|next| next <= now.plus_secs(QUIET_SECONDS)) {
            return Err(KeyError::RotationIsNear(self.arn.clone()));
        }
        if usize::try_from(self.rotation.on_demand).is_ok_and(|done| done >= most) {
            return Err(KeyError::LimitExceeded(format!(
                "The on-demand rotations limit has been reached for the given keyId. No more \
                 on-demand rotations can be performed for this key: {}",
                self.arn
            )));
        }
        let next = match self.origin {
            Origin::External => Next::Imported(self.next_imported(tx, now).await?),
            _ => Next::Made(fresh().await?),
        };
        self.rotate(tx, RotationType::OnDemand, next, now).await
    }

    /// The imported material that waits for its rotation, in every region of the key.
    async fn next_imported(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<String, KeyError> {
        let lasts = |m: &KeyMaterial| m.valid_to.is_none_or(|end| end > now);
        let mut waiting =
            self.materials.iter().filter(|m| m.state == MaterialState::PendingRotation && lasts(m));
        if let Some(material) = waiting.next()
            && self.is_everywhere(tx, material).await?
        {
            return Ok(material.id.clone());
        }
        Err(KeyError::NothingToRotateTo(self.arn.clone()))
    }

    /// Whether every region's key has this material.
    pub async fn is_everywhere(
        &self,
        tx: &mut Tx<'_>,
        material: &KeyMaterial,
    ) -> Result<bool, KeyError> {
        let has = |key: &Key| key.materials.iter().any(|m| m.id == material.id && m.present);
        Ok(has(self) && self.relatives(tx).await?.iter().all(|key| has(key)))
    }

    /// Refuses unless the key keeps a list of materials.
    pub fn lists_rotations(&self) -> Result<(), KeyError> {
        self.can_rotate(&[Origin::AwsKms, Origin::External])?;
        self.permits("ListKeyRotations")
    }

    /// Refuses a change of the key's rotation: to a service's key, to one that cannot rotate, to a
    /// replica, which follows its primary, and in the wrong state.
    fn takes_rotation(&self, operation: &'static str, origins: &[Origin]) -> Result<(), KeyError> {
        self.customer_managed()?;
        self.can_rotate(origins)?;
        if self.is_replica() {
            return Err(self.not_primary());
        }
        self.permits(operation)
    }

    fn can_rotate(&self, origins: &[Origin]) -> Result<(), KeyError> {
        if !self.spec.is_symmetric() {
            // AWS says nothing of the reason.
            return Err(KeyError::Unsupported(String::new()));
        }
        if origins.contains(&self.origin) { Ok(()) } else { Err(self.wrong_origin()) }
    }
}

impl Key {
    /// Makes other material current, in all regions and in the same transaction that stores it: what
    /// is encrypted under it can always be decrypted.
    async fn rotate(
        &self,
        tx: &mut Tx<'_>,
        kind: RotationType,
        next: Next,
        now: Timestamp,
    ) -> Result<Rotated, KeyError> {
        let missing = || StoreError::Corrupt(format!("{} has no material", self.arn));
        let previous = self.current().ok_or_else(missing)?.id.clone();
        let current = match next {
            Next::Made(bytes) => Material::create(tx, &self.id, self.spec, bytes, now)?,
            Next::Imported(id) => id,
        };
        let rotation = match (kind, self.rotation.period_days) {
            (RotationType::Automatic, Some(days)) => self.rotation.every(days, now),
            (RotationType::Automatic, None) => self.rotation.clone(),
            (RotationType::OnDemand, _) => {
                let on_demand = self.rotation.on_demand.saturating_add(1);
                Rotation { on_demand, ..self.rotation.clone() }
            }
        };
        let key = self
            .change_everywhere(tx, |key| {
                key.promote(&current, kind, now);
                key.rotation = rotation.clone();
            })
            .await?;
        Ok(Rotated { key, previous, current, kind })
    }

    /// From now on this material encrypts; it is new, unless it was imported.
    fn promote(&mut self, id: &str, kind: RotationType, now: Timestamp) {
        for material in &mut self.materials {
            if material.state == MaterialState::Current {
                material.state = MaterialState::NonCurrent;
            }
        }
        let (state, rotation) = (MaterialState::Current, Some((now, kind)));
        match self.materials.iter_mut().find(|material| material.id == id) {
            Some(material) => {
                material.state = state;
                material.rotation = rotation;
            }
            None => self.materials.push(KeyMaterial {
                id: id.to_owned(),
                state,
                present: true,
                valid_to: None,
                description: None,
                rotation,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_PERIOD_DAYS, KeyManager, Rotation};
    use crate::types::Timestamp;

    const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

    #[test]
    fn only_keys_of_services_rotate_from_the_start() {
        let own = Rotation::of_new(KeyManager::Customer, NOW);
        assert_eq!((own.period_days, own.next, own.on_demand), (None, None, 0));
        let managed = Rotation::of_new(KeyManager::Aws, NOW);
        assert_eq!(managed.period_days, Some(DEFAULT_PERIOD_DAYS));
        assert_eq!(managed.next, Some(NOW.plus_secs(365 * 86_400)));
    }

    #[test]
    fn a_period_keeps_the_count_of_rotations_on_demand() {
        let before = Rotation { on_demand: 7, ..Rotation::default() };
        let after = before.every(90, NOW);
        assert_eq!((after.period_days, after.on_demand), (Some(90), 7));
        assert_eq!(after.next, Some(NOW.plus_secs(90 * 86_400)));
    }
}
