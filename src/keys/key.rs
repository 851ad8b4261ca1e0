//! A KMS key: what is known of it, apart from its material.
use super::{KeyError, KeyState};
use crate::authorize::{Conditions, Protected, Rule};
use crate::policy::{BoundPolicy, Kind, Policy};
use crate::primitives::{KeySpec, KeyUsage};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Region, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// Whether the account's people manage the key or a service does (`alias/aws/…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyManager {
    #[serde(rename = "AWS")]
    Aws,
    #[serde(rename = "CUSTOMER")]
    Customer,
}

/// Where a key's material comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    #[serde(rename = "AWS_KMS")]
    AwsKms,
    /// Imported.
    #[serde(rename = "EXTERNAL")]
    External,
    #[serde(rename = "AWS_CLOUDHSM")]
    AwsCloudhsm,
    #[serde(rename = "EXTERNAL_KEY_STORE")]
    ExternalKeyStore,
}

impl Origin {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwsKms => "AWS_KMS",
            Self::External => "EXTERNAL",
            Self::AwsCloudhsm => "AWS_CLOUDHSM",
            Self::ExternalKeyStore => "EXTERNAL_KEY_STORE",
        }
    }
}

/// The regions of a multi-Region key. Every region's key says the same of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiRegion {
    pub primary: Region,
    pub replicas: BTreeSet<Region>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaterialState {
    #[serde(rename = "CURRENT")]
    Current,
    #[serde(rename = "NON_CURRENT")]
    NonCurrent,
    /// Imported, and the next rotation makes it current.
    #[serde(rename = "PENDING_ROTATION")]
    PendingRotation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RotationType {
    #[serde(rename = "AUTOMATIC")]
    Automatic,
    #[serde(rename = "ON_DEMAND")]
    OnDemand,
}

/// What a key knows of one of its materials.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyMaterial {
    /// `KeyMaterialId`, 64 hex digits.
    pub id: String,
    pub state: MaterialState,
    /// Whether the bytes are here: imported material can be deleted, or expire, and come back.
    pub present: bool,
    /// When imported material expires; never, if it does not.
    pub valid_to: Option<Timestamp>,
    /// What its importer said of it.
    pub description: Option<String>,
    /// When and how it became current; not for the first.
    pub rotation: Option<(Timestamp, RotationType)>,
}

/// How a key's material is to change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rotation {
    /// Days between automatic rotations, while they are on.
    pub period_days: Option<i64>,
    /// The next automatic rotation, while they are on.
    pub next: Option<Timestamp>,
    /// Rotations on demand so far.
    pub on_demand: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Key {
    pub id: String,
    pub arn: Arn,
    pub account: AccountId,
    pub region: Region,
    pub state: KeyState,
    pub manager: KeyManager,
    pub spec: KeySpec,
    pub usage: KeyUsage,
    pub origin: Origin,
    pub custom_key_store: Option<String>,
    pub multi_region: Option<MultiRegion>,
    pub description: String,
    pub created: Timestamp,
    /// The end of the waiting period.
    pub deletion: Option<Timestamp>,
    /// The waiting period that a primary key will have once its replicas are gone.
    pub deletion_window_days: Option<i64>,
    /// Oldest first. The current one encrypts; every one that is present decrypts.
    pub materials: Vec<KeyMaterial>,
    pub rotation: Rotation,
    /// Whether the key ever had a grant: spares the others a look.
    pub granted: bool,
    pub policy: BoundPolicy,
    pub tags: Tags,
    /// Names with their `alias/` prefix, kept with the key so that a policy can ask for them.
    pub aliases: BTreeSet<String>,
    /// The policy, parsed once per revision.
    #[serde(skip)]
    pub compiled: OnceLock<Policy>,
}

impl Record for Key {
    const TABLE: Table = Table::new("key");
}

/// Which keys an account has in a region: what ListKeys walks.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyOfAccount {
    pub arn: Arn,
}
impl Record for KeyOfAccount {
    const TABLE: Table = Table::new("key-of-account");
    const CACHED: bool = false;
}

impl Key {
    pub async fn load(
        tx: &mut Tx<'_>,
        region: &Region,
        id: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[region.as_str(), id]).await
    }

    pub fn save(self, tx: &mut Tx<'_>) -> Result<Arc<Self>, StoreError> {
        let (region, id) = (self.region.clone(), self.id.clone());
        // What was parsed belongs to the text before this change.
        tx.put(&[region.as_str(), &id], Self { compiled: OnceLock::new(), ..self })
    }

    /// The material that encrypts and signs. None before the first import.
    pub fn current(&self) -> Option<&KeyMaterial> {
        self.materials.iter().find(|m| m.state == MaterialState::Current)
    }

    /// The material whose id is, or begins with, `id`.
    pub fn material(&self, id: &str) -> Option<&KeyMaterial> {
        self.materials.iter().find(|m| m.id.starts_with(id))
    }

    /// The state that follows from which materials are here: a key with imported material can be
    /// used only while all of it that ever was current is present.
    pub fn settled(mut self) -> Self {
        let needed = |m: &&KeyMaterial| m.state != MaterialState::PendingRotation;
        let complete =
            self.current().is_some() && self.materials.iter().filter(needed).all(|m| m.present);
        self.state = match (self.state, complete) {
            (KeyState::Enabled | KeyState::Disabled, false) => KeyState::PendingImport,
            (KeyState::PendingImport, true) => KeyState::Enabled,
            (state, _) => state,
        };
        self
    }

    pub fn is_primary(&self) -> bool {
        self.multi_region.as_ref().is_some_and(|all| all.primary == self.region)
    }
    pub fn is_replica(&self) -> bool {
        self.multi_region.as_ref().is_some_and(|all| all.primary != self.region)
    }

    /// The same multi-Region key in its other regions.
    pub async fn relatives(&self, tx: &mut Tx<'_>) -> Result<Vec<Arc<Self>>, StoreError> {
        let mut found = Vec::new();
        let Some(all) = &self.multi_region else { return Ok(found) };
        for region in all.replicas.iter().chain([&all.primary]) {
            if *region != self.region {
                found.extend(Self::load(tx, region, &self.id).await?);
            }
        }
        Ok(found)
    }

    /// Changes what all regions' keys of one multi-Region key share, in all of them at once. Answers
    /// this region's key.
    pub async fn change_everywhere(
        &self,
        tx: &mut Tx<'_>,
        change: impl Fn(&mut Self),
    ) -> Result<Arc<Self>, StoreError> {
        for relative in self.relatives(tx).await? {
            let mut key = Self::clone(&relative);
            change(&mut key);
            key.settled().save(tx)?;
        }
        let mut key = self.clone();
        change(&mut key);
        key.settled().save(tx)
    }

    /// AWS managed keys take no changes from the account's people.
    pub fn customer_managed(&self) -> Result<(), KeyError> {
        match self.manager {
            KeyManager::Customer => Ok(()),
            KeyManager::Aws => Err(KeyError::Unsupported(format!(
                "{} is an AWS managed key, which this operation does not change.",
                self.arn
            ))),
        }
    }

    /// Refuses an operation that the key was not made for.
    pub fn used_for(&self, usage: KeyUsage, operation: &'static str) -> Result<(), KeyError> {
        if self.usage == usage {
            return Ok(());
        }
        Err(KeyError::InvalidKeyUsage { arn: self.arn.clone(), usage: self.usage, operation })
    }

    pub fn wrong_origin(&self) -> KeyError {
        let origin = self.origin.as_str();
        KeyError::Unsupported(format!(
            "{} origin is {origin} which is not valid for this operation.",
            self.arn
        ))
    }
}

impl Protected for Arc<Key> {
    fn arn(&self) -> &str {
        self.arn.as_str()
    }
    fn shared_arn(&self) -> SmolStr {
        (&self.arn).into()
    }
    fn account(&self) -> &str {
        self.account.as_str()
    }
    fn rule(&self) -> Rule {
        Rule::KeyPolicy
    }
    fn policy(&self) -> Option<&Policy> {
        Some(self.compiled.get_or_init(|| self.policy.compile(Kind::Resource)))
    }
    fn kind(&self) -> &'static str {
        "AWS::KMS::Key"
    }
    /// The condition keys that come from the key itself (AWS KMS developer guide, "AWS KMS
    /// condition keys").
    fn describe(&self, conditions: &mut Conditions) {
        describe(conditions, self.spec, self.usage, self.origin);
        conditions
            .add("kms:multiregion", if self.multi_region.is_some() { "true" } else { "false" });
        if self.is_primary() {
            conditions.add("kms:multiregionkeytype", "PRIMARY");
        } else if self.is_replica() {
            conditions.add("kms:multiregionkeytype", "REPLICA");
        }
        conditions.add_all("kms:resourcealiases", self.aliases.iter());
        conditions.add_tags("aws:resourcetag/", &self.tags);
    }
}

/// What policies ask of a key that is, and of one that CreateKey would make.
pub fn describe(conditions: &mut Conditions, spec: KeySpec, usage: KeyUsage, origin: Origin) {
    conditions.add("kms:keyspec", spec.as_str());
    conditions.add("kms:customermasterkeyspec", spec.as_str());
    conditions.add("kms:keyusage", usage.as_str());
    conditions.add("kms:customermasterkeyusage", usage.as_str());
    conditions.add("kms:keyorigin", origin.as_str());
}
