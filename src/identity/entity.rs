//! Users, groups and roles alike: what policies are written into and attached to.
use super::{Attachments, Group, IdentityError, ManagedPolicy, Role, User, group, role, user};
use crate::authorize::{Authorized, Resource};
use crate::store::Tx;
use crate::types::{AccountId, Arn, Tags};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityKind {
    User,
    Group,
    Role,
}

impl EntityKind {
    /// As ARNs and errors write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
        }
    }

    /// As audit events write it.
    pub fn resource_type(self) -> &'static str {
        match self {
            Self::User => "AWS::IAM::User",
            Self::Group => "AWS::IAM::Group",
            Self::Role => "AWS::IAM::Role",
        }
    }

    fn quota_name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::Role => "Role",
        }
    }

    fn inline_policy_chars(self) -> usize {
        match self {
            Self::User => user::INLINE_POLICY_CHARS,
            Self::Group => group::INLINE_POLICY_CHARS,
            Self::Role => role::INLINE_POLICY_CHARS,
        }
    }

    pub async fn find(
        self,
        tx: &mut Tx<'_>,
        account: &AccountId,
        name: &str,
    ) -> Result<Entity, IdentityError> {
        Ok(match self {
            Self::User => Entity::User(User::find(tx, account, name).await?),
            Self::Group => Entity::Group(Group::find(tx, account, name).await?),
            Self::Role => Entity::Role(Role::find(tx, account, name).await?),
        })
    }
}

#[derive(Clone, Debug)]
pub enum Entity {
    User(Arc<User>),
    Group(Arc<Group>),
    Role(Arc<Role>),
}

impl Entity {
    pub fn kind(&self) -> EntityKind {
        match self {
            Self::User(_) => EntityKind::User,
            Self::Group(_) => EntityKind::Group,
            Self::Role(_) => EntityKind::Role,
        }
    }

    fn account(&self) -> &AccountId {
        match self {
            Self::User(user) => &user.account,
            Self::Group(group) => &group.account,
            Self::Role(role) => &role.account,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::User(user) => &user.name,
            Self::Group(group) => &group.name,
            Self::Role(role) => &role.name,
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Self::User(user) => &user.id,
            Self::Group(group) => &group.id,
            Self::Role(role) => &role.id,
        }
    }

    pub fn path(&self) -> &str {
        match self {
            Self::User(user) => &user.path,
            Self::Group(group) => &group.path,
            Self::Role(role) => &role.path,
        }
    }

    pub fn arn(&self) -> &Arn {
        match self {
            Self::User(user) => &user.arn,
            Self::Group(group) => &group.arn,
            Self::Role(role) => &role.arn,
        }
    }

    /// Groups have none.
    pub fn tags(&self) -> Tags {
        match self {
            Self::User(user) => user.tags.clone(),
            Self::Group(_) => Tags::default(),
            Self::Role(role) => role.tags.clone(),
        }
    }

    pub fn policies(&self) -> &Attachments {
        match self {
            Self::User(user) => &user.policies,
            Self::Group(group) => &group.policies,
            Self::Role(role) => &role.policies,
        }
    }

    /// The ARN of its permissions boundary.
    pub fn boundary(&self) -> Option<&str> {
        match self {
            Self::User(user) => user.boundary.as_deref(),
            Self::Group(_) => None,
            Self::Role(role) => role.boundary.as_deref(),
        }
    }

    fn save(
        &self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        policies: Attachments,
    ) -> Result<(), IdentityError> {
        match self {
            Self::User(user) => {
                User { policies, ..User::clone(user) }.update(allowed, tx)?;
            }
            Self::Group(group) => {
                Group { policies, ..Group::clone(group) }.save(allowed, tx)?;
            }
            Self::Role(role) => {
                Role { policies, ..Role::clone(role) }.save(allowed, tx)?;
            }
        }
        Ok(())
    }

    /// Writes a policy into it, or replaces the one of that name.
    pub fn put(
        &self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        name: String,
        text: String,
    ) -> Result<(), IdentityError> {
        let mut policies = self.policies().clone();
        let whose = format!("{} {}", self.kind().word(), self.name());
        policies.put(name, text, self.kind().inline_policy_chars(), &whose)?;
        self.save(allowed, tx, policies)
    }

    pub fn remove(
        &self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        name: &str,
    ) -> Result<(), IdentityError> {
        let mut policies = self.policies().clone();
        policies.remove(self.kind().word(), name)?;
        self.save(allowed, tx, policies)
    }

    /// Attaches a managed policy of the account, or one of AWS's. To attach it twice changes nothing.
    pub async fn attach(
        &self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        policy: &str,
    ) -> Result<(), IdentityError> {
        let policy = ManagedPolicy::of_account(tx, self.account(), policy).await?;
        let mut policies = self.policies().clone();
        if policies.attach(policy.arn.as_str(), self.kind().quota_name())? {
            policy.count_in(tx, self.account(), 1, 0).await?;
            self.save(allowed, tx, policies)?;
        }
        Ok(())
    }

    pub async fn detach(
        &self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        policy: &str,
    ) -> Result<(), IdentityError> {
        let mut policies = self.policies().clone();
        policies.detach(policy)?;
        if let Some(policy) = ManagedPolicy::by_arn(tx, policy).await? {
            policy.count_in(tx, self.account(), -1, 0).await?;
        }
        self.save(allowed, tx, policies)
    }

    /// The texts of all its policies; of a user, also those of its groups.
    pub async fn policy_texts(&self, tx: &mut Tx<'_>) -> Result<Vec<String>, IdentityError> {
        let mut carried = vec![self.policies().clone()];
        if let Self::User(user) = self {
            for name in &user.groups {
                if let Some(group) = Group::load(tx, &user.account, name).await? {
                    carried.push(group.policies.clone());
                }
            }
        }
        let mut texts = Vec::new();
        for policies in carried {
            texts.extend(policies.inline.into_values());
            for arn in &policies.attached {
                if let Some(policy) = ManagedPolicy::by_arn(tx, arn).await? {
                    texts.push(policy.text().to_owned());
                }
            }
        }
        Ok(texts)
    }
}
