//! Aliases: names for keys, unique in an account and region.
use super::{Key, KeyError};
use crate::authorize::{Authorized, Protected, Rule};
use crate::policy::Policy;
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Region, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub const RESERVED: &str = "alias/aws/";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alias {
    /// With its `alias/` prefix.
    pub name: String,
    pub arn: Arn,
    pub account: AccountId,
    pub region: Region,
    /// The key's id.
    pub target: String,
    pub created: Timestamp,
    pub updated: Timestamp,
}

impl Record for Alias {
    const TABLE: Table = Table::new("alias");
}

impl Alias {
    pub async fn load(
        tx: &mut Tx<'_>,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[account.as_str(), region.as_str(), name]).await
    }
    /// The alias under which a service's own key is known.
    pub(super) fn of_service(key: &Key, name: &str, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            arn: Arn::new("kms", key.region.as_str(), key.account.as_str(), name),
            account: key.account.clone(),
            region: key.region.clone(),
            target: key.id.clone(),
            created: now,
            updated: now,
        }
    }
    pub(super) fn save(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let (account, region, name) =
            (self.account.clone(), self.region.clone(), self.name.clone());
        tx.put(&[account.as_str(), region.as_str(), &name], self).map(drop)
    }
}

/// The alias as a resource of its own: CreateAlias, UpdateAlias and DeleteAlias ask for permission
/// on the alias (identity policies only) and on the key.
#[derive(Debug)]
pub struct AliasName {
    arn: Arn,
    account: AccountId,
    region: Region,
}

impl AliasName {
    /// Checks the name's form. Whether it may be used is for policies and [`not_reserved`].
    pub fn parse(account: &AccountId, region: &Region, name: &str) -> Result<Self, KeyError> {
        if !name.starts_with("alias/") {
            let text = "Alias must start with the prefix \"alias/\". Please see \
                        https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
            return Err(KeyError::Validation(text.into()));
        }
        let arn = Arn::new("kms", region.as_str(), account.as_str(), name);
        Ok(Self { arn, account: account.clone(), region: region.clone() })
    }
    pub fn name(&self) -> &str {
        self.arn.resource()
    }
    /// For an alias that is to be: of those that are, none has an empty name.
    pub fn not_empty(&self) -> Result<(), KeyError> {
        if self.name() == "alias/" {
            return Err(KeyError::InvalidAliasName("The alias name is empty.".into()));
        }
        Ok(())
    }
    pub fn not_reserved(&self) -> Result<(), KeyError> {
        if self.name().starts_with(RESERVED) {
            let text = format!(
                "Alias names that begin with {RESERVED} are reserved for AWS managed keys."
            );
            return Err(KeyError::Validation(text));
        }
        Ok(())
    }
}

impl Protected for AliasName {
    fn arn(&self) -> &str {
        self.arn.as_str()
    }
    fn account(&self) -> &str {
        self.account.as_str()
    }
    fn rule(&self) -> Rule {
        Rule::Identity
    }
    fn policy(&self) -> Option<&Policy> {
        None
    }
    fn kind(&self) -> &'static str {
        "AWS::KMS::Alias"
    }
}

impl Authorized<AliasName> {
    /// Gives the alias to a key that may have `most`.
    pub async fn create(
        &self,
        tx: &mut Tx<'_>,
        target: &Authorized<super::Found>,
        most: usize,
        now: Timestamp,
    ) -> Result<(), KeyError> {
        target.permits("CreateAlias")?;
        if Alias::load(tx, &self.account, &self.region, self.name()).await?.is_some() {
            return Err(KeyError::AliasExists(self.arn.clone()));
        }
        self.attach(tx, Key::clone(target), most)?;
        let alias = Alias {
            name: self.name().to_owned(),
            arn: self.arn.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            target: target.id.clone(),
            created: now,
            updated: now,
        };
        Ok(alias.save(tx)?)
    }

    /// Points the alias at another key of the same kind, which may have `most`. `old` is the key it
    /// named so far.
    pub async fn retarget(
        &self,
        tx: &mut Tx<'_>,
        old: &Authorized<super::Found>,
        new: &Authorized<super::Found>,
        most: usize,
        now: Timestamp,
    ) -> Result<(), KeyError> {
        new.permits("UpdateAlias")?;
        if (old.spec.is_symmetric(), old.spec.is_hmac(), old.usage)
            != (new.spec.is_symmetric(), new.spec.is_hmac(), new.usage)
        {
            let text =
                format!("Alias {} must go on to a key of the same type and usage.", self.arn);
            return Err(KeyError::Validation(text));
        }
        let alias = self.existing(tx).await?;
        if old.id != new.id {
            self.detach(tx, Key::clone(old))?;
            self.attach(tx, Key::clone(new), most)?;
        }
        let changed = Alias { target: new.id.clone(), updated: now, ..Alias::clone(&alias) };
        Ok(changed.save(tx)?)
    }

    pub async fn delete(
        &self,
        tx: &mut Tx<'_>,
        target: &Authorized<super::Found>,
    ) -> Result<(), KeyError> {
        self.existing(tx).await?;
        self.detach(tx, Key::clone(target))?;
        tx.delete::<Alias>(&[self.account.as_str(), self.region.as_str(), self.name()])?;
        Ok(())
    }

    async fn existing(&self, tx: &mut Tx<'_>) -> Result<Arc<Alias>, KeyError> {
        Alias::load(tx, &self.account, &self.region, self.name())
            .await?
            .ok_or_else(|| KeyError::NotFound(format!("Alias {} is not found.", self.arn)))
    }

    fn attach(&self, tx: &mut Tx<'_>, mut key: Key, most: usize) -> Result<(), KeyError> {
        if key.aliases.len() >= most {
            let text = format!("{} has {most} aliases, which is the limit.", key.arn);
            return Err(KeyError::LimitExceeded(text));
        }
        key.aliases.insert(self.name().to_owned());
        key.save(tx)?;
        Ok(())
    }

    fn detach(&self, tx: &mut Tx<'_>, mut key: Key) -> Result<(), KeyError> {
        key.aliases.remove(self.name());
        key.save(tx)?;
        Ok(())
    }
}
