//! IAM users and the policies written into them.
use super::binding::{self, USER_ID};
use super::{AccessKey, Attachments, Counted, Group, IdentityError, unique_id};
use crate::authorize::{Authorized, Resource};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Page, Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Principal, PrincipalKind, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// IAM quota: characters of all inline policies of a user, white space not counted.
pub const INLINE_POLICY_CHARS: usize = 2048;
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
    pub policies: Attachments,
    /// Names of the groups it is in.
    pub groups: BTreeSet<String>,
    /// The ARN of the managed policy that is its permissions boundary.
    pub boundary: Option<String>,
    /// Serial numbers (ARNs) of its MFA devices.
    pub mfa_devices: BTreeSet<String>,
    /// Whether it has a login profile, which is a record of its own.
    #[serde(default)]
    pub has_password: bool,
    pub password_last_used: Option<Timestamp>,
}

impl Record for User {
    const TABLE: Table = Table::new("user");
}

#[derive(Debug)]
pub struct NewUser {
    pub account: AccountId,
    pub name: String,
    pub path: String,
    pub boundary: Option<String>,
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
        tx.put(&[account.as_str(), &name], self)
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
        Counted::Users.add_one(tx, &new.account).await?;
        let id = unique_id(USER_ID, random);
        binding::file(tx, &id, &new.account, &new.name)?;
        let user = Self {
            arn: new.arn(),
            account: new.account,
            name: new.name,
            id,
            path: new.path,
            created: now,
            tags: new.tags,
            access_keys: Vec::new(),
            policies: Attachments::default(),
            groups: BTreeSet::new(),
            boundary: new.boundary,
            mfa_devices: BTreeSet::new(),
            has_password: false,
            password_last_used: None,
        };
        Ok(user.save(tx)?)
    }

    pub async fn delete(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
    ) -> Result<(), IdentityError> {
        let conflict = |what: &str| {
            let text = format!("Cannot delete entity, must {what} first.");
            Err(IdentityError::DeleteConflict(text))
        };
        if !self.access_keys.is_empty() {
            return conflict("delete access keys");
        }
        if !self.policies.attached.is_empty() {
            return conflict("detach all policies");
        }
        if !self.policies.inline.is_empty() {
            return conflict("delete policies");
        }
        if !self.groups.is_empty() {
            return conflict("remove users from group");
        }
        if !self.mfa_devices.is_empty() {
            return conflict("delete MFA device");
        }
        if self.has_password {
            return conflict("delete login profile");
        }
        tx.delete::<Self>(&[self.account.as_str(), &self.name.to_lowercase()])?;
        binding::forget(tx, &self.id)?;
        Counted::Users.remove_one(tx, &self.account).await?;
        Ok(())
    }

    /// Saves what a caller was allowed to change.
    pub fn update(
        self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
    ) -> Result<Arc<Self>, StoreError> {
        self.save(tx)
    }

    /// Another name, another path, or both. Keys and groups follow, and so do sessions, which know
    /// the user by its id; whatever else is bound to a principal is bound to that id.
    pub async fn rename(
        &self,
        allowed: &Authorized<Resource>,
        _allowed_there: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        to: &NewUser,
    ) -> Result<Arc<Self>, IdentityError> {
        let key = |name: &str| name.to_lowercase();
        if key(&to.name) != key(&self.name) {
            if Self::load(tx, &self.account, &to.name).await?.is_some() {
                let text = format!("User with name {} already exists.", to.name);
                return Err(IdentityError::AlreadyExists(text));
            }
            tx.delete::<Self>(&[self.account.as_str(), &key(&self.name)])?;
            binding::file(tx, &self.id, &self.account, &to.name)?;
        }
        if to.name != self.name {
            for id in &self.access_keys {
                AccessKey::rename_owner(tx, id, &to.name).await?;
            }
            for group in &self.groups {
                if let Some(group) = Group::load(tx, &self.account, group).await? {
                    let mut group = Group::clone(&group);
                    group.members.remove(&self.name);
                    group.members.insert(to.name.clone());
                    group.save(allowed, tx)?;
                }
            }
        }
        let (name, path) = (to.name.clone(), to.path.clone());
        Ok(Self { arn: to.arn(), name, path, ..self.clone() }.save(tx)?)
    }

    /// The user of this id, which had this name at some time. A user made anew under an old name is
    /// somebody else.
    pub async fn by_id(
        tx: &mut Tx<'_>,
        account: &AccountId,
        name: &str,
        id: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        if let Some(user) = Self::load(tx, account, name).await?
            && user.id == id
        {
            return Ok(Some(user));
        }
        let Some(now) = binding::name_of(tx, account, id).await? else { return Ok(None) };
        Ok(Self::load(tx, account, &now).await?.filter(|user| user.id == id))
    }

    /// Gives a new user a policy without asking: the first administrator's.
    pub fn with_policy(
        &self,
        tx: &mut Tx<'_>,
        name: &str,
        text: String,
    ) -> Result<Arc<Self>, IdentityError> {
        let mut user = self.clone();
        user.policies.put(name.to_owned(), text, usize::MAX, "")?;
        Ok(user.save(tx)?)
    }

    pub fn principal(&self) -> Principal {
        Principal {
            account: self.account.clone(),
            arn: self.arn.clone(),
            unique_id: self.id.clone(),
            user_name: Some(self.name.clone()),
            kind: PrincipalKind::User,
        }
    }
}
