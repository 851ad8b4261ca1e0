//! Roles: what somebody who is trusted may become for a while.
use super::attachments::exceed;
use super::binding::{self, BindError, ROLE_ID};
use super::{Actor, Attachments, Counted, IdentityError, unique_id};
use crate::authorize::{Authorized, Protected, Resource, Rule};
use crate::policy::{BoundPolicy, Kind, Policy};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Page, Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Principal, PrincipalKind, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// IAM quotas: characters of all inline policies of a role, and of its trust policy.
pub const INLINE_POLICY_CHARS: usize = 10_240;
pub const TRUST_POLICY_CHARS: usize = 2048;
/// AWS: how long a session of a role lasts at most, in seconds, if nobody says.
pub const DEFAULT_SESSION_SECONDS: i64 = 3600;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    pub account: AccountId,
    pub name: String,
    /// `AROA…`
    pub id: String,
    pub path: String,
    pub arn: Arn,
    pub created: Timestamp,
    pub description: String,
    /// Who may assume it: the trust policy.
    pub trust: BoundPolicy,
    pub max_session_seconds: i64,
    pub policies: Attachments,
    /// The ARN of the managed policy that is its permissions boundary.
    pub boundary: Option<String>,
    pub tags: Tags,
    #[serde(skip)]
    pub(crate) compiled_trust: OnceLock<Policy>,
}

impl Record for Role {
    const TABLE: Table = Table::new("role");
}

#[derive(Debug)]
pub struct NewRole {
    pub account: AccountId,
    pub name: String,
    pub path: String,
    pub description: String,
    pub trust: String,
    pub max_session_seconds: i64,
    pub boundary: Option<String>,
    pub tags: Tags,
}

impl NewRole {
    pub fn arn(&self) -> Arn {
        let resource = format!("role{}{}", self.path, self.name);
        Arn::new("iam", "", self.account.as_str(), &resource)
    }
}

impl Role {
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
            IdentityError::NoSuchEntity(format!("The role with name {name} cannot be found."))
        })
    }

    /// The role that an ARN names, if it does.
    pub async fn by_arn(tx: &mut Tx<'_>, arn: &Arn) -> Result<Option<Arc<Self>>, StoreError> {
        let Ok(account) = arn.account().parse::<AccountId>() else { return Ok(None) };
        let name = arn.resource().rsplit('/').next().unwrap_or_default();
        Ok(Self::load(tx, &account, name).await?.filter(|role| role.arn == *arn))
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
        tx.put(&[account.as_str(), &name], Self { compiled_trust: OnceLock::new(), ..self })
    }

    pub async fn create(
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        new: NewRole,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        let arn = new.arn();
        let trust = Self::bind_trust(tx, new.trust).await?;
        if Self::load(tx, &new.account, &new.name).await?.is_some() {
            let text = format!("Role with name {} already exists.", new.name);
            return Err(IdentityError::AlreadyExists(text));
        }
        Counted::Roles.add_one(tx, &new.account).await?;
        let id = unique_id(ROLE_ID, random);
        binding::file(tx, &id, &new.account, &new.name)?;
        let role = Self {
            arn,
            account: new.account,
            name: new.name,
            id,
            path: new.path,
            created: now,
            description: new.description,
            trust,
            max_session_seconds: new.max_session_seconds,
            policies: Attachments::default(),
            boundary: new.boundary,
            tags: new.tags,
            compiled_trust: OnceLock::new(),
        };
        Ok(role.save(allowed, tx)?)
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
        if !self.policies.attached.is_empty() {
            return conflict("detach all policies");
        }
        if !self.policies.inline.is_empty() {
            return conflict("delete policies");
        }
        tx.delete::<Self>(&[self.account.as_str(), &self.name.to_lowercase()])?;
        binding::forget(tx, &self.id)?;
        Counted::Roles.remove_one(tx, &self.account).await?;
        Ok(())
    }

    /// A trust policy as it is kept. It must be of the language, of people who exist, and of the
    /// quota's length.
    pub async fn bind_trust(tx: &mut Tx<'_>, text: String) -> Result<BoundPolicy, IdentityError> {
        let policy = Policy::parse(&text, Kind::Trust)?;
        let bound = binding::bind(tx, text, &policy).await.map_err(|error| match error {
            BindError::Store(error) => error.into(),
            unknown => IdentityError::MalformedPolicy(unknown.to_string()),
        })?;
        if exceed([bound.text()].into_iter(), TRUST_POLICY_CHARS) {
            let text = format!("Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_CHARS}");
            return Err(IdentityError::LimitExceeded(text));
        }
        Ok(bound)
    }

    pub fn trust_policy(&self) -> &Policy {
        self.compiled_trust.get_or_init(|| self.trust.compile(Kind::Trust))
    }

    /// A session of this role as a principal; without a name, the role itself, as grants and
    /// policies name it.
    pub fn principal(&self, session_name: Option<&str>) -> Principal {
        let (arn, unique_id) = match session_name {
            Some(name) => (self.session_arn(name), format!("{}:{name}", self.id)),
            None => (self.arn.clone(), self.id.clone()),
        };
        Principal {
            account: self.account.clone(),
            arn,
            unique_id,
            user_name: None,
            kind: PrincipalKind::AssumedRole {
                role: self.arn.clone(),
                role_id: self.id.clone(),
                role_name: self.name.clone(),
            },
        }
    }

    /// Who acts in a session of this role.
    pub fn actor(&self, session_name: String) -> Actor {
        Actor::Role {
            account: self.account.clone(),
            name: self.name.clone(),
            id: self.id.clone(),
            session_name,
        }
    }

    /// The ARN of a session of this role.
    pub fn session_arn(&self, session_name: &str) -> Arn {
        let resource = format!("assumed-role/{}/{session_name}", self.name);
        Arn::new("sts", "", self.account.as_str(), &resource)
    }
}

/// The role as what AssumeRole asks about: its trust policy must allow, as a key policy must.
#[derive(Clone, Debug)]
pub struct Assumable(pub Arc<Role>);

impl Protected for Assumable {
    fn arn(&self) -> &str {
        self.0.arn.as_str()
    }
    fn account(&self) -> &str {
        self.0.account.as_str()
    }
    fn rule(&self) -> Rule {
        Rule::KeyPolicy
    }
    fn policy(&self) -> Option<&Policy> {
        Some(self.0.trust_policy())
    }
    fn kind(&self) -> &'static str {
        "AWS::IAM::Role"
    }
    fn describe(&self, conditions: &mut crate::authorize::Conditions) {
        conditions.add_tags("aws:resourcetag/", &self.0.tags);
        conditions.add_tags("iam:resourcetag/", &self.0.tags);
    }
}
