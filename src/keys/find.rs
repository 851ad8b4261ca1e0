//! From what a caller wrote in `KeyId` to the key: key id, key ARN, alias name or alias ARN.
use super::alias::Alias;
use super::ciphertext::KeyIdBytes;
use super::{Covering, Key, KeyError};
use crate::authorize::{Conditions, Protected, Rule};
use crate::policy::{self, Policy};
use crate::store::Tx;
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
        return Ok(Found { key, alias: Some(resource), grant: None });
    }
    let id = resource.strip_prefix("key/").unwrap_or_default();
    if id.parse::<KeyIdBytes>().is_err() {
        return Err(not_found(format!("Invalid keyId '{id}'")));
    }
    match Key::load(tx, region, id).await? {
        Some(key) if key.account == owner => Ok(Found { key, alias: None, grant: None }),
        _ => Err(absent(format!("Key '{arn}' does not exist"))),
    }
}
