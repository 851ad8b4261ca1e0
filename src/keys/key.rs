//! A KMS key: what is known of it, apart from its material.
use super::KeyError;
use crate::authorize::{Conditions, Protected, Rule};
use crate::policy::{Kind, Policy};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Region, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// AWS KMS developer guide, "Key states of AWS KMS keys". The other states belong to key types that
/// are not served yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion,
}

/// Whether the account's people manage the key or a service does (`alias/aws/…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyManager {
    #[serde(rename = "AWS")]
    Aws,
    #[serde(rename = "CUSTOMER")]
    Customer,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Key {
    pub id: String,
    pub arn: Arn,
    pub account: AccountId,
    pub region: Region,
    pub state: KeyState,
    pub manager: KeyManager,
    pub description: String,
    pub created: Timestamp,
    pub deletion: Option<Timestamp>,
    /// The material that encrypts; older ones still decrypt.
    pub material: String,
    /// The policy text, byte for byte as it was put.
    pub policy: String,
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

pub const SPEC: &str = "SYMMETRIC_DEFAULT";
pub const USAGE: &str = "ENCRYPT_DECRYPT";
pub const ALGORITHM: &str = "SYMMETRIC_DEFAULT";
pub const ORIGIN: &str = "AWS_KMS";

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

    /// Refuses unless the key can be used for cryptography now.
    pub fn usable(&self) -> Result<(), KeyError> {
        match self.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(KeyError::Disabled(self.arn.clone())),
            KeyState::PendingDeletion => self.not_pending_deletion(),
        }
    }

    pub fn not_pending_deletion(&self) -> Result<(), KeyError> {
        match self.state {
            KeyState::PendingDeletion => {
                Err(KeyError::InvalidState(self.arn.clone(), "pending deletion"))
            }
            KeyState::Enabled | KeyState::Disabled => Ok(()),
        }
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
}

impl Protected for Arc<Key> {
    fn arn(&self) -> &str {
        self.arn.as_str()
    }
    fn account(&self) -> &str {
        self.account.as_str()
    }
    fn rule(&self) -> Rule {
        Rule::KeyPolicy
    }
    fn policy(&self) -> Option<&Policy> {
        Some(self.compiled.get_or_init(|| Policy::parse_stored(&self.policy, Kind::Resource)))
    }
    fn kind(&self) -> &'static str {
        "AWS::KMS::Key"
    }
    /// The condition keys that come from the key itself (AWS KMS developer guide, "AWS KMS
    /// condition keys").
    fn describe(&self, conditions: &mut Conditions) {
        conditions.add("kms:keyspec", SPEC);
        conditions.add("kms:customermasterkeyspec", SPEC);
        conditions.add("kms:keyusage", USAGE);
        conditions.add("kms:customermasterkeyusage", USAGE);
        conditions.add("kms:keyorigin", ORIGIN);
        conditions.add("kms:multiregion", "false");
        conditions.add_all("kms:resourcealiases", self.aliases.iter());
        conditions.add_tags("aws:resourcetag/", &self.tags);
    }
}
