//! Groups: users who share policies. A group is no principal: nobody acts as one.
use super::{Attachments, Counted, IdentityError, User, unique_id};
use crate::authorize::{Authorized, Resource};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Page, Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// IAM quotas: characters of all inline policies of a group; groups of one user.
pub const INLINE_POLICY_CHARS: usize = 5120;
const GROUPS_PER_USER: usize = 10;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    pub account: AccountId,
    pub name: String,
    /// `AGPA…`
    pub id: String,
    pub path: String,
    pub arn: Arn,
    pub created: Timestamp,
    pub policies: Attachments,
    /// Names of its users.
    pub members: BTreeSet<String>,
}

impl Record for Group {
    const TABLE: Table = Table::new("group");
}

#[derive(Debug)]
pub struct NewGroup {
    pub account: AccountId,
    pub name: String,
    pub path: String,
}

impl NewGroup {
    pub fn arn(&self) -> Arn {
        let resource = format!("group{}{}", self.path, self.name);
        Arn::new("iam", "", self.account.as_str(), &resource)
    }
}

impl Group {
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
            IdentityError::NoSuchEntity(format!("The group with name {name} cannot be found."))
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

    pub fn save(
        self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
    ) -> Result<Arc<Self>, StoreError> {
        let (account, name) = (self.account.clone(), self.name.to_lowercase());
        tx.put(&[account.as_str(), &name], self)
    }

    pub async fn create(
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        new: NewGroup,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        if Self::load(tx, &new.account, &new.name).await?.is_some() {
            let text = format!("Group with name {} already exists.", new.name);
            return Err(IdentityError::AlreadyExists(text));
        }
        Counted::Groups.add_one(tx, &new.account).await?;
        let group = Self {
            arn: new.arn(),
            account: new.account,
            name: new.name,
            id: unique_id("AGPA", random),
            path: new.path,
            created: now,
            policies: Attachments::default(),
            members: BTreeSet::new(),
        };
        Ok(group.save(allowed, tx)?)
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
        if !self.members.is_empty() {
            return conflict("remove users from group");
        }
        if !self.policies.attached.is_empty() {
            return conflict("detach all policies");
        }
        if !self.policies.inline.is_empty() {
            return conflict("delete policies");
        }
        tx.delete::<Self>(&[self.account.as_str(), &self.name.to_lowercase()])?;
        Counted::Groups.remove_one(tx, &self.account).await?;
        Ok(())
    }

    /// Another name, another path, or both. Its users follow.
    pub async fn rename(
        &self,
        allowed: &Authorized<Resource>,
        allowed_there: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        to: &NewGroup,
    ) -> Result<Arc<Self>, IdentityError> {
        let key = |name: &str| name.to_lowercase();
        if key(&to.name) != key(&self.name) {
            if Self::load(tx, &self.account, &to.name).await?.is_some() {
                let text = format!("Group with name {} already exists.", to.name);
                return Err(IdentityError::AlreadyExists(text));
            }
            tx.delete::<Self>(&[self.account.as_str(), &key(&self.name)])?;
        }
        if to.name != self.name {
            for member in &self.members {
                if let Some(user) = User::load(tx, &self.account, member).await? {
                    let mut user = User::clone(&user);
                    user.groups.remove(&self.name);
                    user.groups.insert(to.name.clone());
                    user.update(allowed, tx)?;
                }
            }
        }
        let (name, path) = (to.name.clone(), to.path.clone());
        Ok(Self { arn: to.arn(), name, path, ..self.clone() }.save(allowed_there, tx)?)
    }

    pub fn add(
        &self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        user: &User,
    ) -> Result<(), IdentityError> {
        if user.groups.contains(&self.name) {
            return Ok(());
        }
        if user.groups.len() >= GROUPS_PER_USER {
            let text = format!("Cannot exceed quota for GroupsPerUser: {GROUPS_PER_USER}");
            return Err(IdentityError::LimitExceeded(text));
        }
        let (mut group, mut user) = (self.clone(), user.clone());
        group.members.insert(user.name.clone());
        user.groups.insert(self.name.clone());
        group.save(allowed, tx)?;
        user.save(tx)?;
        Ok(())
    }

    pub fn remove(
        &self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        user: &User,
    ) -> Result<(), IdentityError> {
        if !user.groups.contains(&self.name) {
            let text = format!("User {} is not in group {}.", user.name, self.name);
            return Err(IdentityError::NoSuchEntity(text));
        }
        let (mut group, mut user) = (self.clone(), user.clone());
        group.members.remove(&user.name);
        user.groups.remove(&self.name);
        group.save(allowed, tx)?;
        user.save(tx)?;
        Ok(())
    }
}
