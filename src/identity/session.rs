//! Temporary credentials. The session token holds everything, sealed: nothing is stored, and no node
//! needs to ask another. What it says of its issuer is looked up again at every use, so that a deleted
//! role, a user made anew or a disabled access key end it at once.
use super::{
    AccessKey, Account, Attachments, ManagedPolicy, Owner, Role, Status, User, aws_managed,
    secret_access_key, session_policy,
};
use crate::authorize::{self, Caller, NamedPolicy, SessionFacts};
use crate::policy::{Kind, Policy};
use crate::random::Random;
use crate::root_of_trust::RootOfTrust;
use crate::seal::Label;
use crate::services::{self, Services};
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Arn, Principal, PrincipalKind, SecretText, Tags, Timestamp};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Tokens longer than this are nobody's: a session's policies and tags are bounded.
const MAX_TOKEN_CHARS: usize = 32_768;
const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// Who the session acts as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    Root {
        account: AccountId,
    },
    User {
        account: AccountId,
        name: String,
        id: String,
    },
    Role {
        account: AccountId,
        name: String,
        id: String,
        session_name: String,
    },
    /// GetFederationToken: a name of the asker's choice, at most with the asker's permissions.
    Federated {
        account: AccountId,
        name: String,
        by: Option<(String, String)>,
    },
}

/// What a session token says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Session {
    pub actor: Actor,
    pub secret: SecretText,
    pub issued: Timestamp,
    pub expires: Timestamp,
    /// The session policy, and the ARNs of managed ones: what is left of the actor's permissions.
    pub policy: Option<String>,
    pub policy_arns: Vec<String>,
    pub tags: Tags,
    pub transitive: BTreeSet<String>,
    /// When the caller proved a second factor.
    pub mfa: Option<Timestamp>,
    pub source_identity: Option<String>,
    /// The web identity provider that vouched.
    pub provider: Option<String>,
    /// The long-term access key at the root of the chain; none for web identities.
    pub issuer_key: Option<String>,
    /// Whether a role session asked for it: such chains last an hour at most.
    pub chained: bool,
    /// The registered service that acts, and the only actions it may do.
    pub door: Option<Door>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// `payroll.example`
    pub service: String,
    pub actions: Vec<String>,
    /// Who handed the user's request over, and with which long-term access key, if with one.
    pub principal: Arn,
    pub key: Option<String>,
}

/// New credentials: what the caller of STS gets.
#[derive(Debug)]
pub struct Issued {
    pub access_key_id: String,
    pub secret: SecretText,
    pub token: SecretText,
    pub expires: Timestamp,
}

/// A token that was opened.
#[derive(Debug)]
pub struct Opened(Session);

impl Session {
    /// A session with nothing but its actor's own permissions, until `expires`.
    pub fn new(actor: Actor, random: &dyn Random, issued: Timestamp, expires: Timestamp) -> Self {
        Self {
            actor,
            secret: secret_access_key(random),
            issued,
            expires,
            policy: None,
            policy_arns: Vec::new(),
            tags: Tags::default(),
            transitive: BTreeSet::new(),
            mfa: None,
            source_identity: None,
            provider: None,
            issuer_key: None,
            chained: false,
            door: None,
        }
    }

    /// Seals the session under an access key id of its own.
    pub fn issue(self, root: &RootOfTrust, random: &dyn Random) -> Result<Issued, StoreError> {
        let access_key_id = super::temporary_access_key_id(random);
        let broken = |e| StoreError::Corrupt(format!("a session cannot be encoded: {e}"));
        let plain = Zeroizing::new(serde_json::to_vec(&self).map_err(broken)?);
        let scope = [access_key_id.as_bytes()];
        let sealed = root.seal_token(Label::STS_SESSION, &scope, random, &plain);
        Ok(Issued {
            access_key_id,
            secret: self.secret,
            token: SecretText::new(B64.encode(sealed)),
            expires: self.expires,
        })
    }

    /// Opens a token that came with this access key id. None if it is not one of ours for it.
    pub fn open(root: &RootOfTrust, access_key_id: &str, token: &str) -> Option<Opened> {
        if token.len() > MAX_TOKEN_CHARS {
            return None;
        }
        let sealed = B64.decode(token).ok()?;
        let plain = root.open_token(Label::STS_SESSION, &[access_key_id.as_bytes()], &sealed)?;
        serde_json::from_slice(&plain).ok().map(Opened)
    }
}

impl Opened {
    pub fn secret(&self) -> &SecretText {
        &self.0.secret
    }
    pub fn issued(&self) -> Timestamp {
        self.0.issued
    }
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.0.expires <= now
    }

    /// The caller that the session stands for now; none if its issuer is gone or disabled.
    pub async fn caller(
        &self,
        tx: &mut Tx<'_>,
        services: &Services,
        access_key_id: &str,
    ) -> Result<Option<Caller>, StoreError> {
        let session = &self.0;
        if !is_active(tx, session.issuer_key.as_deref()).await? {
            return Ok(None);
        }
        let mut open = None;
        if let Some(door) = &session.door {
            open = door.open(services, session.actor.account());
            if open.is_none() || !is_active(tx, door.key.as_deref()).await? {
                return Ok(None);
            }
        }
        let Some(actor) = session.actor.load(tx).await? else { return Ok(None) };
        let policies = session.policies(tx).await?;
        let mut tags = actor.tags;
        // A session's own tags stand before its role's (IAM user guide, "Pass session tags").
        for (name, value) in &session.tags.0 {
            tags.0.retain(|other, _| !other.eq_ignore_ascii_case(name));
            tags.0.insert(name.clone(), value.clone());
        }
        let facts = SessionFacts {
            policies,
            issued: session.issued,
            expires: session.expires,
            mfa: session.mfa,
            source_identity: session.source_identity.clone(),
            transitive: session.transitive.clone(),
            provider: session.provider.clone(),
            issuer_key: session.issuer_key.clone(),
            chained: session.chained,
            door: open,
        };
        Ok(Some(Caller {
            principal: actor.principal,
            access_key_id: access_key_id.to_owned(),
            policies: actor.policies,
            boundary: actor.boundary,
            tags,
            session: Some(Arc::new(facts)),
        }))
    }
}

/// Whether the long-term access key is good, if there is one.
async fn is_active(tx: &mut Tx<'_>, key: Option<&str>) -> Result<bool, StoreError> {
    let Some(id) = key else { return Ok(true) };
    Ok(AccessKey::load(tx, id).await?.is_some_and(|key| key.status == Status::Active))
}

impl Opened {
    /// The same session through a service, until it or `until` ends. When it was issued stays, so
    /// that what ends sessions of before a moment ends this one with it.
    pub(super) fn through(self, door: Door, random: &dyn Random, until: Timestamp) -> Session {
        let (secret, expires) = (secret_access_key(random), until.min(self.0.expires));
        Session { secret, expires, door: Some(door), ..self.0 }
    }
}

impl Door {
    /// The door as the operator has it now; none if the service is registered no more, or otherwise.
    fn open(&self, services: &Services, account: &AccountId) -> Option<authorize::Door> {
        let service = services.named(&self.service)?;
        if service.principal != self.principal || !service.acts_for(account) {
            return None;
        }
        let limits = [services::limit(&self.actions), service.limit.clone()];
        Some(authorize::Door { service: self.service.clone(), limits })
    }
}

impl Session {
    /// None if the session was made without policies of its own.
    async fn policies(&self, tx: &mut Tx<'_>) -> Result<Option<Vec<NamedPolicy>>, StoreError> {
        // A federated user without any may do nothing.
        let federated = matches!(self.actor, Actor::Federated { .. });
        if self.policy.is_none() && self.policy_arns.is_empty() && !federated {
            return Ok(None);
        }
        let mut policies = Vec::new();
        if let Some(text) = &self.policy {
            let policy = session_policy::compiled(text);
            policies.push(NamedPolicy { name: "session policy".into(), policy });
        }
        for arn in &self.policy_arns {
            policies.push(limit(tx, arn).await?);
        }
        Ok(Some(policies))
    }
}

/// An actor as it is now.
pub(super) struct Loaded {
    pub principal: Principal,
    pub policies: Vec<NamedPolicy>,
    pub boundary: Option<NamedPolicy>,
    pub tags: Tags,
}

impl Actor {
    fn account(&self) -> &AccountId {
        match self {
            Self::Root { account }
            | Self::User { account, .. }
            | Self::Role { account, .. }
            | Self::Federated { account, .. } => account,
        }
    }

    /// The caller that it is now, apart from any session of it: no time, tags or policies of one.
    pub async fn caller(&self, tx: &mut Tx<'_>) -> Result<Option<Caller>, StoreError> {
        let caller = |actor: Loaded| Caller {
            principal: actor.principal,
            access_key_id: String::new(),
            policies: actor.policies,
            boundary: actor.boundary,
            tags: actor.tags,
            session: None,
        };
        Ok(self.load(tx).await?.map(caller))
    }

    async fn load(&self, tx: &mut Tx<'_>) -> Result<Option<Loaded>, StoreError> {
        match self {
            Self::Root { account } => Loaded::root(tx, account).await,
            Self::User { account, name, id } => Loaded::user(tx, account, name, id).await,
            Self::Role { account, name, id, session_name } => {
                let role = Role::load(tx, account, name).await?.filter(|role| role.id == *id);
                let Some(role) = role else { return Ok(None) };
                let mut policies = Vec::new();
                role.policies.collect(tx, &mut policies).await?;
                let principal = role.principal(Some(session_name));
                let boundary = boundary(tx, role.boundary.as_deref()).await?;
                Ok(Some(Loaded { principal, policies, boundary, tags: role.tags.clone() }))
            }
            Self::Federated { account, name, by } => {
                let by = match by {
                    Some((user, id)) => Loaded::user(tx, account, user, id).await?,
                    None => Loaded::root(tx, account).await?,
                };
                let Some(mut by) = by else { return Ok(None) };
                if by.principal.is_root() {
                    // The root may do everything, and what it mints is not a root: a policy says so.
                    by.policies.extend(aws_managed::find(ADMINISTRATOR).map(|p| p.compiled()));
                }
                let principal = Principal {
                    account: account.clone(),
                    arn: Arn::new("sts", "", account.as_str(), &format!("federated-user/{name}")),
                    unique_id: format!("{account}:{name}"),
                    user_name: None,
                    kind: PrincipalKind::FederatedUser {
                        by: by.principal.arn,
                        by_id: by.principal.unique_id,
                    },
                };
                // The tags of the user who asked are not the federated user's.
                Ok(Some(Loaded { principal, tags: Tags::default(), ..by }))
            }
        }
    }
}

impl Loaded {
    pub(super) async fn root(
        tx: &mut Tx<'_>,
        account: &AccountId,
    ) -> Result<Option<Self>, StoreError> {
        let exists = Account::load(tx, account).await?.is_some();
        Ok(exists.then(|| Self {
            principal: Principal::root(account),
            policies: Vec::new(),
            boundary: None,
            tags: Tags::default(),
        }))
    }

    /// A user made anew under an old name is somebody else.
    pub(super) async fn user(
        tx: &mut Tx<'_>,
        account: &AccountId,
        name: &str,
        id: &str,
    ) -> Result<Option<Self>, StoreError> {
        let Some(user) = User::by_id(tx, account, name, id).await? else { return Ok(None) };
        let mut policies = Vec::new();
        user.policies.collect(tx, &mut policies).await?;
        for group in &user.groups {
            if let Some(group) = super::Group::load(tx, account, group).await? {
                group.policies.collect(tx, &mut policies).await?;
            }
        }
        let boundary = boundary(tx, user.boundary.as_deref()).await?;
        let (principal, tags) = (user.principal(), user.tags.clone());
        Ok(Some(Self { principal, policies, boundary, tags }))
    }
}

async fn boundary(tx: &mut Tx<'_>, arn: Option<&str>) -> Result<Option<NamedPolicy>, StoreError> {
    let Some(arn) = arn else { return Ok(None) };
    limit(tx, arn).await.map(Some)
}

/// A managed policy that limits. One that cannot be found denies everything: its absence must not
/// free.
async fn limit(tx: &mut Tx<'_>, arn: &str) -> Result<NamedPolicy, StoreError> {
    Ok(match ManagedPolicy::by_arn(tx, arn).await? {
        Some(policy) => policy.compiled(),
        None => NamedPolicy {
            name: arn.to_owned(),
            policy: Arc::new(Policy::parse_stored("", Kind::Identity)),
        },
    })
}

impl Owner {
    /// Whose permissions a long-term access key carries.
    pub(super) async fn load(
        &self,
        tx: &mut Tx<'_>,
        account: &AccountId,
    ) -> Result<Option<Loaded>, StoreError> {
        match self {
            Self::Root => Loaded::root(tx, account).await,
            Self::User { name, id } => Loaded::user(tx, account, name, id).await,
        }
    }
}

/// What an entity carries, ready for evaluation: for the simulator and `claviger explain`.
pub async fn policies_of(
    tx: &mut Tx<'_>,
    attachments: &Attachments,
) -> Result<Vec<NamedPolicy>, StoreError> {
    let mut policies = Vec::new();
    attachments.collect(tx, &mut policies).await?;
    Ok(policies)
}
