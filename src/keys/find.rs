//! From what a caller wrote in `KeyId` to the key: key id, key ARN, alias name or alias ARN.
use super::alias::Alias;
use super::ciphertext::KeyIdBytes;
use super::resident::ResidentKey;
use super::stores::{ExternalKey, Link};
use super::{Covering, Key, KeyError, KeyState, Origin};
use crate::authorize::{Conditions, Protected, Rule};
use crate::devices::{Device, Devices};
use crate::policy::{self, Policy};
use crate::primitives::{EncryptionAlgorithm, SigningAlgorithm};
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Arn, Region};
use std::ops::Deref;
use std::sync::Arc;

/// Which forms of key identifier an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Key id or key ARN.
    Key,
    /// Alias names and alias ARNs too.
    KeyOrAlias,
}

/// A key and the way the caller named it.
#[derive(Clone, Debug)]
pub struct Found {
    pub key: Arc<Key>,
    /// The alias by which the caller asked, if it did: condition key `kms:RequestAlias`.
    pub alias: Option<String>,
    /// The grant that lets the caller do what it asks, if no policy does.
    pub grant: Option<Covering>,
    /// How things stand with the key's custom key store, if it is in one.
    pub link: Option<Arc<Link>>,
    /// The external key that it is associated with, if it is in an external key store.
    pub external: Option<Arc<ExternalKey>>,
    /// The object that it is, if it lives in a device.
    pub resident: Option<Arc<ResidentKey>>,
}

impl Found {
    pub async fn of(
        tx: &mut Tx<'_>,
        key: Arc<Key>,
        alias: Option<String>,
    ) -> Result<Self, StoreError> {
        let link = match &key.custom_key_store {
            Some(store) => Link::load(tx, &key.account, &key.region, store).await?,
            None => None,
        };
        let external = match key.origin {
            Origin::ExternalKeyStore => ExternalKey::load(tx, &key.id).await?,
            _ => None,
        };
        let resident = match key.origin {
            Origin::AwsCloudhsm => ResidentKey::load(tx, &key.id).await?,
            _ => None,
        };
        Ok(Self { key, alias, grant: None, link, external, resident })
    }

    /// By which algorithms it encrypts: in a device, those by which that was seen to decrypt.
    pub fn encryption_algorithms(&self) -> &[EncryptionAlgorithm] {
        let seen = self.resident.as_ref().and_then(|resident| resident.opens());
        seen.unwrap_or_else(|| self.spec.encryption_algorithms())
    }

    /// By which algorithms it signs, likewise.
    pub fn signing_algorithms(&self) -> &[SigningAlgorithm] {
        let seen = self.resident.as_ref().and_then(|resident| resident.signs());
        seen.unwrap_or_else(|| self.spec.signing_algorithms())
    }

    /// The key's state as it is seen: a key whose custom key store is not connected is Unavailable,
    /// and what it was before when the store is back. It is not kept so: a store may have many keys.
    pub fn state(&self) -> KeyState {
        let connected = self.link.as_ref().is_some_and(|link| link.connected);
        match self.key.state {
            KeyState::Enabled | KeyState::Disabled
                if self.custom_key_store.is_some() && !connected =>
            {
                KeyState::Unavailable
            }
            state => state,
        }
    }

    /// See [`Key::permits_in`].
    pub fn permits(&self, operation: &'static str) -> Result<(), KeyError> {
        self.permits_in(self.state(), operation)
    }

    /// The device that the key lives in, if it does.
    pub fn device(&self, devices: &Devices) -> Result<Option<Device>, KeyError> {
        if self.origin != Origin::AwsCloudhsm {
            return Ok(None);
        }
        let cluster = self.link.as_ref().and_then(|link| link.cluster.as_deref());
        match cluster.and_then(|cluster| devices.of_cluster(cluster)) {
            Some(device) => Ok(Some(device.clone())),
            None => Err(KeyError::InvalidState(self.arn.clone(), "unavailable")),
        }
    }
}

impl Deref for Found {
    type Target = Key;
    fn deref(&self) -> &Key {
        &self.key
    }
}

impl Protected for Found {
    fn arn(&self) -> &str {
        Protected::arn(&self.key)
    }
    fn account(&self) -> &str {
        Protected::account(&self.key)
    }
    fn rule(&self) -> Rule {
        Rule::KeyPolicy
    }
    fn policy(&self) -> Option<&Policy> {
        Protected::policy(&self.key)
    }
    fn kind(&self) -> &'static str {
        self.key.kind()
    }
    fn describe(&self, conditions: &mut Conditions) {
        self.key.describe(conditions);
        if let Some(alias) = &self.alias {
            conditions.add("kms:requestalias", alias.as_str());
        }
    }
    fn grant(&self) -> Option<policy::Grant<'_>> {
        let Covering { grant, how } = self.grant.as_ref()?;
        Some(policy::Grant { id: &grant.id, how: *how })
    }
}

/// Why a key was not found, so that the caller of [`find`] can answer without telling a stranger
/// whether a key of another account exists.
#[derive(Debug)]
pub enum Missing {
    /// In the caller's own account, or no key could be meant: said openly.
    Own(KeyError),
    /// In another account: answered as if it were forbidden.
    Foreign(Arn),
}

impl From<crate::store::StoreError> for Missing {
    fn from(e: crate::store::StoreError) -> Self {
        Self::Own(e.into())
    }
}

fn not_found(text: String) -> Missing {
    Missing::Own(KeyError::NotFound(text))
}

/// Finds the key in `region` that `named` means to a caller of `account`.
pub async fn find(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    named: &str,
    accept: Accept,
) -> Result<Found, Missing> {
    if named.contains('\0') {
        // No key could be stored under such a name.
        return Err(not_found("Invalid keyId".into()));
    }
    let (owner, resource) = if named.starts_with("arn:") {
        let arn: Arn = named.parse().map_err(|_| not_found(format!("Invalid arn {named}")))?;
        if arn.service() != "kms" {
            return Err(not_found(format!("Invalid arn {named}")));
        }
        if arn.region() != region.as_str() {
            return Err(not_found(format!("Invalid arn {}", arn.region())));
        }
        let owner: AccountId =
            arn.account().parse().map_err(|_| not_found(format!("Invalid arn {named}")))?;
        (owner, arn.resource().to_owned())
    } else if named.starts_with("alias/") {
        (account.clone(), named.to_owned())
    } else {
        (account.clone(), format!("key/{named}"))
    };
    let foreign = owner != *account;
    let arn = Arn::new("kms", region.as_str(), owner.as_str(), &resource);
    let absent =
        |text: String| if foreign { Missing::Foreign(arn.clone()) } else { not_found(text) };

    if resource.starts_with("alias/") {
        if accept == Accept::Key {
            return Err(not_found(format!("Invalid keyId '{named}'")));
        }
        let alias = Alias::load(tx, &owner, region, &resource).await?;
        let alias = alias.ok_or_else(|| absent(format!("Alias {arn} is not found.")))?;
        let key = Key::load(tx, region, &alias.target).await?;
        let key = key.ok_or_else(|| absent(format!("Alias {arn} is not found.")))?;
        return Ok(Found::of(tx, key, Some(resource)).await?);
    }
    let id = resource.strip_prefix("key/").unwrap_or_default();
    if id.parse::<KeyIdBytes>().is_err() {
        return Err(not_found(format!("Invalid keyId '{id}'")));
    }
    match Key::load(tx, region, id).await? {
        Some(key) if key.account == owner => Ok(Found::of(tx, key, None).await?),
        _ => Err(absent(format!("Key '{arn}' does not exist"))),
    }
}
