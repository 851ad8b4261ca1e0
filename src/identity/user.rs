//! IAM users and the policies written into them.
use super::IdentityError;
use crate::authorize::{Authorized, Resource};
use crate::policy::{Kind, Policy};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Page, Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Principal, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// IAM quota: characters of all inline policies of a user, white space not counted.
const INLINE_POLICY_CHARS: usize = 2048;
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub const MAX_USERS_PAGE: usize = 1000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    pub account: AccountId,
    /// As it was written; names that differ in case only are the same user.
    pub name: String,
    /// `AIDA…`: never given twice.
    pub id: String,
    pub path: String,
    pub arn: Arn,
    pub created: Timestamp,
    pub tags: Tags,
    pub access_keys: Vec<String>,
    /// Policy texts by name, as they were put.
    pub policies: BTreeMap<String, String>,
    #[serde(skip)]
    pub compiled: OnceLock<Arc<Vec<(String, Policy)>>>,
}

impl Record for User {
    const TABLE: Table = Table::new("user");
}

#[derive(Debug)]
pub struct NewUser {
    pub account: AccountId,
    pub name: String,
    pub path: String,
    pub tags: Tags,
}

impl NewUser {
    pub fn arn(&self) -> Arn {
        let resource = format!("user{}{}", self.path, self.name);
        Arn::new("iam", "", self.account.as_str(), &resource)
    }
}

impl User {
    pub async fn load(
        tx: &mut Tx<'_>,
        account: &AccountId,
        name: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[account.as_str(), &name.to_lowercase()]).await
    }

    pub async fn find(
        tx: &mut Tx<'_>,
        account: &AccountId,
        name: &str,
    ) -> Result<Arc<Self>, IdentityError> {
        Self::load(tx, account, name).await?.ok_or_else(|| {
            IdentityError::NoSuchEntity(format!("The user with name {name} cannot be found."))
        })
    }

    pub async fn list(
        tx: &Tx<'_>,
        account: &AccountId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Self>, StoreError> {
        tx.list::<Self>(&[account.as_str()], after, limit).await
    }

    pub(super) fn save(self, tx: &mut Tx<'_>) -> Result<Arc<Self>, StoreError> {
        let (account, name) = (self.account.clone(), self.name.to_lowercase());
        // What was parsed belongs to the texts before this change.
        tx.put(&[account.as_str(), &name], Self { compiled: OnceLock::new(), ..self })
    }

    pub async fn create(
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        new: NewUser,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        Self::insert(tx, new, random, now).await
    }

    /// Also how the first administrator comes to be.
    pub async fn insert(
        tx: &mut Tx<'_>,
        new: NewUser,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        if Self::load(tx, &new.account, &new.name).await?.is_some() {
            let text = format!("User with name {} already exists.", new.name);
            return Err(IdentityError::AlreadyExists(text));
        }
        let user = Self {
            arn: new.arn(),
            account: new.account,
            name: new.name,
            id: format!("AIDA{}", random.text(17, BASE32)),
            path: new.path,
            created: now,
            tags: new.tags,
            access_keys: Vec::new(),
            policies: BTreeMap::new(),
            compiled: OnceLock::new(),
        };
        Ok(user.save(tx)?)
    }

    pub fn delete(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
    ) -> Result<(), IdentityError> {
        if !self.access_keys.is_empty() {
            let text = "Cannot delete entity, must delete access keys first.";
            return Err(IdentityError::DeleteConflict(text.into()));
        }
        if !self.policies.is_empty() {
            let text = "Cannot delete entity, must delete policies first.";
            return Err(IdentityError::DeleteConflict(text.into()));
        }
        tx.delete::<Self>(&[self.account.as_str(), &self.name.to_lowercase()])?;
        Ok(())
    }

    pub fn put_policy(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        name: String,
        text: String,
    ) -> Result<(), IdentityError> {
        Policy::parse(&text, Kind::Identity)?;
        let mut user = self.clone();
        user.policies.insert(name, text);
        let count = |text: &String| text.chars().filter(|c| !c.is_whitespace()).count();
        if user.policies.values().map(count).sum::<usize>() > INLINE_POLICY_CHARS {
            return Err(IdentityError::LimitExceeded(format!(
                "Maximum policy size of {INLINE_POLICY_CHARS} bytes exceeded for user {}",
                self.name
            )));
        }
        user.save(tx)?;
        Ok(())
    }

    /// Gives a new user a policy without asking: the first administrator's.
    pub fn with_policy(
        &self,
        tx: &mut Tx<'_>,
        name: &str,
        text: String,
    ) -> Result<Arc<Self>, IdentityError> {
        let mut user = self.clone();
        user.policies.insert(name.to_owned(), text);
        Ok(user.save(tx)?)
    }

    pub fn policy(&self, name: &str) -> Result<&str, IdentityError> {
        self.policies.get(name).map(String::as_str).ok_or_else(|| {
            let text = format!("The user policy with name {name} cannot be found.");
            IdentityError::NoSuchEntity(text)
        })
    }

    pub fn delete_policy(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        name: &str,
    ) -> Result<(), IdentityError> {
        self.policy(name)?;
        let mut user = self.clone();
        user.policies.remove(name);
        user.save(tx)?;
        Ok(())
    }

    pub fn principal(&self) -> Principal {
        Principal {
            account: self.account.clone(),
            arn: self.arn.clone(),
            unique_id: self.id.clone(),
            user_name: Some(self.name.clone()),
        }
    }

    /// The user's policies, compiled once per revision of the record.
    pub fn compiled(&self) -> Arc<Vec<(String, Policy)>> {
        let compile = || {
            let policies = self.policies.iter();
            let parse = |text: &String| Policy::parse_stored(text, Kind::Identity);
            Arc::new(policies.map(|(name, text)| (name.clone(), parse(text))).collect())
        };
        self.compiled.get_or_init(compile).clone()
    }
}
