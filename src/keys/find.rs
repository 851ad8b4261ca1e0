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
use smol_str::SmolStr;
use std::borrow::Cow;
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
        let found = Self { key, alias, grant: None, link: None, external: None, resident: None };
        let elsewhere = matches!(found.origin, Origin::ExternalKeyStore | Origin::AwsCloudhsm);
        // A box for the few that are, so that the calls for all others are small.
        match elsewhere || found.custom_key_store.is_some() {
            true => Box::pin(found.with_whereabouts(tx)).await,
            false => Ok(found),
        }
    }

    /// With the records that say where a key is that is not here.
    async fn with_whereabouts(mut self, tx: &mut Tx<'_>) -> Result<Self, StoreError> {
        let key = self.key.clone();
        if let Some(store) = &key.custom_key_store {
            self.link = Link::load(tx, &key.account, &key.region, store).await?;
        }
        match key.origin {
            Origin::ExternalKeyStore => self.external = ExternalKey::load(tx, &key.id).await?,
            Origin::AwsCloudhsm => self.resident = ResidentKey::load(tx, &key.id).await?,
            Origin::AwsKms | Origin::External => {}
        }
        Ok(self)
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
    fn shared_arn(&self) -> SmolStr {
        self.key.shared_arn()
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

/// What a `KeyId` names.
enum Named<'a> {
    /// What may be a key's id.
    Key(&'a str),
    /// With its `alias/` prefix.
    Alias(&'a str),
}

/// What `named` means to a caller of `account`, and whose it is, whether it exists or not.
fn parse<'a>(
    account: &'a AccountId,
    region: &Region,
    named: &'a str,
) -> Result<(Cow<'a, AccountId>, Named<'a>), Missing> {
    if named.contains('\0') {
        // No key could be stored under such a name.
        return Err(not_found("Invalid keyId".into()));
    }
    if !named.starts_with("arn:") {
        let is_alias = named.starts_with("alias/");
        let meant = if is_alias { Named::Alias(named) } else { Named::Key(named) };
        return Ok((Cow::Borrowed(account), meant));
    }
    let invalid = || not_found(format!("Invalid arn {named}"));
    let arn = Arn::parts(named).map_err(|_| invalid())?;
    if arn.service != "kms" {
        return Err(invalid());
    }
    if arn.region != region.as_str() {
        return Err(not_found(format!("Invalid arn {}", arn.region)));
    }
    let owner = match arn.account == account.as_str() {
        true => Cow::Borrowed(account),
        false => Cow::Owned(arn.account.parse().map_err(|_| invalid())?),
    };
    if arn.resource.starts_with("alias/") {
        return Ok((owner, Named::Alias(arn.resource)));
    }
    Ok((owner, Named::Key(arn.resource.strip_prefix("key/").unwrap_or_default())))
}

/// Finds the key in `region` that `named` means to a caller of `account`.
pub async fn find(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    named: &str,
    accept: Accept,
) -> Result<Found, Missing> {
    let (owner, meant) = parse(account, region, named)?;
    // Another account's is for the caller to answer; the text is for the account's own people.
    let absent = |resource: &str, text: fn(&Arn) -> String| {
        let arn = Arn::new("kms", region.as_str(), owner.as_str(), resource);
        if *owner == *account { not_found(text(&arn)) } else { Missing::Foreign(arn) }
    };
    match meant {
        Named::Alias(_) if accept == Accept::Key => {
            Err(not_found(format!("Invalid keyId '{named}'")))
        }
        Named::Alias(name) => {
            let key = match Alias::load(tx, &owner, region, name).await? {
                Some(alias) => Key::load(tx, region, &alias.target).await?,
                None => None,
            };
            let key =
                key.ok_or_else(|| absent(name, |arn| format!("Alias {arn} is not found.")))?;
            Ok(Found::of(tx, key, Some(name.to_owned())).await?)
        }
        Named::Key(id) if id.parse::<KeyIdBytes>().is_err() => {
            Err(not_found(format!("Invalid keyId '{id}'")))
        }
        Named::Key(id) => match Key::load(tx, region, id).await? {
            Some(key) if key.account == *owner => Ok(Found::of(tx, key, None).await?),
            _ => Err(absent(&["key/", id].concat(), |arn| format!("Key '{arn}' does not exist"))),
        },
    }
}
