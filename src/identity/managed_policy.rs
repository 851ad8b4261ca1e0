//! Managed policies: the account's own, with up to five versions, and those that AWS gives everybody.
use super::attachments::exceed;
use super::aws_managed;
use super::{Counted, IdentityError, unique_id};
use crate::authorize::{Authorized, NamedPolicy, Resource};
use crate::policy::{Kind, Policy};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Page, Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// IAM quotas: characters of a managed policy, white space not counted; versions of one.
pub const POLICY_CHARS: usize = 6144;
pub const VERSIONS: usize = 5;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyVersion {
    pub text: String,
    pub created: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// None for AWS's.
    pub account: Option<AccountId>,
    pub name: String,
    /// `ANPA…`
    pub id: String,
    pub path: String,
    pub arn: Arn,
    pub description: String,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// By number: `v1` is 1. Numbers are never given twice.
    pub versions: BTreeMap<u32, PolicyVersion>,
    pub default: u32,
    pub last: u32,
    pub tags: Tags,
    /// How many users, groups and roles have it attached, and how many as their boundary. Kept here
    /// so that attaching and deleting at the same moment conflict.
    pub attachments: u32,
    pub boundaries: u32,
    #[serde(skip)]
    pub(super) compiled: OnceLock<NamedPolicy>,
}

impl Record for ManagedPolicy {
    const TABLE: Table = Table::new("managed-policy");
}

#[derive(Debug)]
pub struct NewPolicy {
    pub account: AccountId,
    pub name: String,
    pub path: String,
    pub description: String,
    pub text: String,
    pub tags: Tags,
}

impl NewPolicy {
    pub fn arn(&self) -> Arn {
        let resource = format!("policy{}{}", self.path, self.name);
        Arn::new("iam", "", self.account.as_str(), &resource)
    }
}

impl ManagedPolicy {
    pub async fn by_arn(tx: &mut Tx<'_>, arn: &str) -> Result<Option<Arc<Self>>, StoreError> {
        if let Some(policy) = aws_managed::find(arn) {
            return Ok(Some(policy));
        }
        let Ok(parsed) = arn.parse::<Arn>() else { return Ok(None) };
        let Some(name) = parsed.resource().strip_prefix("policy/") else { return Ok(None) };
        let name = name.rsplit('/').next().unwrap_or_default().to_lowercase();
        if parsed.service() != "iam" || name.is_empty() {
            return Ok(None);
        }
        let found = tx.get::<Self>(&[parsed.account(), &name]).await?;
        Ok(found.filter(|policy| policy.arn == parsed))
    }

    pub async fn find(tx: &mut Tx<'_>, arn: &str) -> Result<Arc<Self>, IdentityError> {
        Self::by_arn(tx, arn).await?.ok_or_else(|| not_attachable(arn))
    }

    /// A policy that the account can attach: one of its own, or of AWS's.
    pub async fn of_account(
        tx: &mut Tx<'_>,
        account: &AccountId,
        arn: &str,
    ) -> Result<Arc<Self>, IdentityError> {
        let policy = Self::find(tx, arn).await?;
        match &policy.account {
            Some(owner) if owner != account => Err(not_attachable(arn)),
            _ => Ok(policy),
        }
    }

    pub async fn list(
        tx: &Tx<'_>,
        account: &AccountId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Self>, StoreError> {
        tx.list::<Self>(&[account.as_str()], after, limit).await
    }

    /// The text of the default version.
    pub fn text(&self) -> &str {
        self.versions.get(&self.default).map_or("", |version| version.text.as_str())
    }

    /// The default version, compiled once per revision of the record.
    pub fn compiled(&self) -> NamedPolicy {
        let compile = || NamedPolicy {
            name: self.arn.to_string(),
            policy: Arc::new(Policy::parse_stored(self.text(), Kind::Identity)),
        };
        self.compiled.get_or_init(compile).clone()
    }

    /// Saves the account's own. AWS's are nobody's to change.
    pub(super) fn save(self, tx: &mut Tx<'_>) -> Result<Arc<Self>, IdentityError> {
        let Some(account) = self.account.clone() else { return Err(of_aws(&self.arn)) };
        let name = self.name.to_lowercase();
        Ok(tx.put(&[account.as_str(), &name], Self { compiled: OnceLock::new(), ..self })?)
    }

    pub async fn create(
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        new: NewPolicy,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        check_text(&new.text)?;
        let key = [new.account.as_str(), &new.name.to_lowercase()];
        if tx.get::<Self>(&key).await?.is_some() {
            let text = format!(
                "A policy called {} already exists. Duplicate names are not allowed.",
                new.name
            );
            return Err(IdentityError::AlreadyExists(text));
        }
        Counted::Policies.add_one(tx, &new.account).await?;
        Counted::PolicyVersions.add_one(tx, &new.account).await?;
        let policy = Self {
            arn: new.arn(),
            account: Some(new.account),
            name: new.name,
            id: unique_id("ANPA", random),
            path: new.path,
            description: new.description,
            created: now,
            updated: now,
            versions: [(1, PolicyVersion { text: new.text, created: now })].into(),
            default: 1,
            last: 1,
            tags: new.tags,
            attachments: 0,
            boundaries: 0,
            compiled: OnceLock::new(),
        };
        policy.save(tx)
    }

    /// A version by its name: `v3`.
    pub fn version(&self, name: &str) -> Result<(u32, &PolicyVersion), IdentityError> {
        let number = name.strip_prefix('v').and_then(|digits| digits.parse().ok());
        let found = number.and_then(|number| self.versions.get_key_value(&number));
        found.map(|(number, version)| (*number, version)).ok_or_else(|| {
            IdentityError::NoSuchEntity(format!(
                "Policy {} version {name} does not exist or is not attachable.",
                self.arn
            ))
        })
    }

    /// Adds a version and answers its number.
    pub async fn add_version(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        text: String,
        as_default: bool,
        now: Timestamp,
    ) -> Result<u32, IdentityError> {
        check_text(&text)?;
        if self.versions.len() >= VERSIONS {
            return Err(IdentityError::LimitExceeded(format!(
                "A managed policy can have up to {VERSIONS} versions. Before you create a new \
                 version, you must delete an existing version."
            )));
        }
        if let Some(account) = &self.account {
            Counted::PolicyVersions.add_one(tx, account).await?;
        }
        let mut policy = self.clone();
        policy.last = policy.last.saturating_add(1);
        policy.updated = now;
        policy.versions.insert(policy.last, PolicyVersion { text, created: now });
        if as_default {
            policy.default = policy.last;
        }
        let number = policy.last;
        policy.save(tx)?;
        Ok(number)
    }

    pub async fn remove_version(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        name: &str,
    ) -> Result<(), IdentityError> {
        let (number, _) = self.version(name)?;
        if number == self.default {
            let text = "Cannot delete the default version of a policy.";
            return Err(IdentityError::DeleteConflict(text.into()));
        }
        if let Some(account) = &self.account {
            Counted::PolicyVersions.remove_one(tx, account).await?;
        }
        let mut policy = self.clone();
        policy.versions.remove(&number);
        policy.save(tx)?;
        Ok(())
    }

    pub fn set_default(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        name: &str,
    ) -> Result<(), IdentityError> {
        let (default, _) = self.version(name)?;
        Self { default, ..self.clone() }.save(tx)?;
        Ok(())
    }

    pub fn set_tags(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        tags: Tags,
    ) -> Result<(), IdentityError> {
        Self { tags, ..self.clone() }.save(tx)?;
        Ok(())
    }

    pub async fn delete(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
    ) -> Result<(), IdentityError> {
        let Some(account) = &self.account else { return Err(of_aws(&self.arn)) };
        if self.attachments > 0 || self.boundaries > 0 {
            let text = "Cannot delete a policy attached to entities.";
            return Err(IdentityError::DeleteConflict(text.into()));
        }
        if self.versions.len() > 1 {
            let text = "This policy has more than one version. Before you delete a policy, you \
                        must delete the policy's versions. The default version is deleted with \
                        the policy.";
            return Err(IdentityError::DeleteConflict(text.into()));
        }
        tx.delete::<Self>(&[account.as_str(), &self.name.to_lowercase()])?;
        // The last version goes with it.
        Counted::PolicyVersions.remove_one(tx, account).await?;
        Counted::Policies.remove_one(tx, account).await?;
        Ok(())
    }

    /// Counts it in (+1) or out (-1) as a permissions policy or as a boundary.
    pub fn count(
        &self,
        tx: &mut Tx<'_>,
        attachments: i32,
        boundaries: i32,
    ) -> Result<(), IdentityError> {
        if self.account.is_none() {
            return Ok(());
        }
        let changed = Self {
            attachments: self.attachments.saturating_add_signed(attachments),
            boundaries: self.boundaries.saturating_add_signed(boundaries),
            ..self.clone()
        };
        changed.save(tx)?;
        Ok(())
    }

    /// The same for a policy that may be AWS's, which every account counts for itself.
    pub async fn count_in(
        &self,
        tx: &mut Tx<'_>,
        account: &AccountId,
        attachments: i32,
        boundaries: i32,
    ) -> Result<(), IdentityError> {
        if self.account.is_some() {
            return self.count(tx, attachments, boundaries);
        }
        let (attached, bounding) = self.uses(tx, account).await?;
        let uses = AwsPolicyUses {
            attachments: attached.saturating_add_signed(attachments),
            boundaries: bounding.saturating_add_signed(boundaries),
        };
        tx.put(&[account.as_str(), self.arn.as_str()], uses)?;
        Ok(())
    }

    /// How many of the account's users, groups and roles have it attached, and as their boundary.
    pub async fn uses(
        &self,
        tx: &mut Tx<'_>,
        account: &AccountId,
    ) -> Result<(u32, u32), StoreError> {
        if self.account.is_some() {
            return Ok((self.attachments, self.boundaries));
        }
        let uses = tx.get::<AwsPolicyUses>(&[account.as_str(), self.arn.as_str()]).await?;
        Ok(uses.map_or((0, 0), |uses| (uses.attachments, uses.boundaries)))
    }
}

/// How an account uses one of AWS's policies.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct AwsPolicyUses {
    attachments: u32,
    boundaries: u32,
}

impl Record for AwsPolicyUses {
    const TABLE: Table = Table::new("aws-policy-uses");
}

fn not_attachable(arn: &str) -> IdentityError {
    IdentityError::NoSuchEntity(format!("Policy {arn} does not exist or is not attachable."))
}

fn of_aws(arn: &Arn) -> IdentityError {
    IdentityError::InvalidInput(format!("Policy {arn} is managed by AWS."))
}

/// What a managed policy's text must be.
pub fn check_text(text: &str) -> Result<(), IdentityError> {
    Policy::parse(text, Kind::Identity)?;
    if exceed([text].into_iter(), POLICY_CHARS) {
        return Err(IdentityError::LimitExceeded(format!(
            "Cannot exceed quota for PolicySize: {POLICY_CHARS}"
        )));
    }
    Ok(())
}
