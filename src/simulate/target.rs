//! What would be acted on: a resource by its ARN, with the policy that it has now.
use crate::authorize::{Account, Protected, Resource, Rule};
use crate::identity::{Assumable, Group, ManagedPolicy, Role, User};
use crate::keys::{self, Accept, AliasName, Found};
use crate::policy::Policy;
use crate::secrets::{self, FoundSecret};
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Arn, Region};

/// What may be looked at.
#[derive(Clone, Copy, Debug)]
pub enum Sight<'a> {
    /// The operator of the machine sees everything.
    Everything,
    /// A caller of this account sees what is its own. All else stands as if it were not there.
    Account(&'a AccountId),
}

impl Sight<'_> {
    fn reaches(self, owner: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Account(account) => account.as_str() == owner,
        }
    }
}

/// A resource as the policy engine is asked about it.
#[derive(Debug)]
pub enum Target {
    Key(Found),
    Alias(AliasName),
    Secret(FoundSecret),
    /// To be assumed: its trust policy counts.
    Role(Assumable),
    /// Something of IAM.
    Resource(Resource),
    /// Operations without a resource.
    Account(Account),
    Named(Named),
}

/// Something that is not here, or not to be seen: it has a name and no policy.
#[derive(Debug)]
pub struct Named {
    name: String,
    owner: String,
    rule: Rule,
}

impl Named {
    /// Of keys and roles to assume the resource's policy must allow; elsewhere either is enough.
    fn new(arn: Arn, assume: bool) -> Self {
        let is_key = arn.service() == "kms" && arn.resource().starts_with("key/");
        let rule = match arn.service() {
            _ if is_key || assume => Rule::KeyPolicy,
            "kms" | "iam" | "sts" => Rule::Identity,
            _ => Rule::Ordinary,
        };
        Self { name: arn.to_string(), owner: arn.account().to_owned(), rule }
    }
}

impl Protected for Named {
    fn arn(&self) -> &str {
        &self.name
    }
    fn account(&self) -> &str {
        &self.owner
    }
    fn rule(&self) -> Rule {
        self.rule
    }
    fn policy(&self) -> Option<&Policy> {
        None
    }
    fn kind(&self) -> &'static str {
        "AWS::Resource"
    }
}

/// The actions that a role's trust policy speaks of.
fn is_assumption(action: &str) -> bool {
    const ACTIONS: [&str; 5] = [
        "sts:AssumeRole",
        "sts:AssumeRoleWithWebIdentity",
        "sts:AssumeRoleWithSAML",
        "sts:TagSession",
        "sts:SetSourceIdentity",
    ];
    ACTIONS.iter().any(|known| known.eq_ignore_ascii_case(action))
}

impl Target {
    /// What `named` means to a caller of `account` who wants to do `action`: an ARN, or `*`. None if
    /// it is neither.
    pub async fn load(
        tx: &mut Tx<'_>,
        account: &AccountId,
        sight: Sight<'_>,
        action: &str,
        named: &str,
    ) -> Result<Option<Self>, StoreError> {
        if named == "*" {
            return Ok(Some(Self::Account(Account(account.clone()))));
        }
        let Ok(arn) = named.parse::<Arn>() else { return Ok(None) };
        let assume = is_assumption(action);
        let found = match arn.account().parse::<AccountId>() {
            Ok(owner) if sight.reaches(owner.as_str()) => {
                Self::find(tx, &owner, &arn, action, assume).await?
            }
            _ => None,
        };
        Ok(Some(found.unwrap_or_else(|| Self::Named(Named::new(arn, assume)))))
    }

    async fn find(
        tx: &mut Tx<'_>,
        owner: &AccountId,
        arn: &Arn,
        action: &str,
        assume: bool,
    ) -> Result<Option<Self>, StoreError> {
        match arn.service() {
            "kms" | "secretsmanager" => {
                let Ok(region) = arn.region().parse::<Region>() else { return Ok(None) };
                match arn.service() {
                    "kms" => key(tx, owner, &region, arn, action).await,
                    _ => Ok(match secrets::find(tx, owner, &region, arn.as_str()).await {
                        Ok(secret) => Some(Self::Secret(secret)),
                        Err(secrets::Missing::Failed(secrets::SecretError::Store(error))) => {
                            return Err(error);
                        }
                        Err(_) => None,
                    }),
                }
            }
            "iam" => of_iam(tx, owner, arn, assume).await,
            _ => Ok(None),
        }
    }

    /// Something that need not be here, of whom and by which rule somebody says.
    pub fn imagined(name: &str, owner: &AccountId, rule: Rule) -> Self {
        Self::Named(Named { name: name.to_owned(), owner: owner.to_string(), rule })
    }

    /// Something that is to be made.
    pub fn named(arn: Arn, action: &str) -> Self {
        Self::Named(Named::new(arn, is_assumption(action)))
    }

    pub fn protected(&self) -> &dyn Protected {
        match self {
            Self::Key(key) => key,
            Self::Alias(alias) => alias,
            Self::Secret(secret) => secret,
            Self::Role(role) => role,
            Self::Resource(resource) => resource,
            Self::Account(account) => account,
            Self::Named(named) => named,
        }
    }

    /// The region in which it is, if it is in one.
    pub fn region(&self) -> Option<&str> {
        let arn = self.protected().arn();
        arn.split(':').nth(3).filter(|region| !region.is_empty())
    }
}

async fn key(
    tx: &mut Tx<'_>,
    owner: &AccountId,
    region: &Region,
    arn: &Arn,
    action: &str,
) -> Result<Option<Target>, StoreError> {
    let of_alias = ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"];
    if of_alias.iter().any(|a| a.eq_ignore_ascii_case(action))
        && arn.resource().starts_with("alias/")
    {
        return Ok(AliasName::parse(owner, region, arn.resource()).ok().map(Target::Alias));
    }
    match keys::find(tx, owner, region, arn.as_str(), Accept::KeyOrAlias).await {
        Ok(found) => Ok(Some(Target::Key(found))),
        Err(keys::Missing::Own(keys::KeyError::Store(error))) => Err(error),
        Err(_) => Ok(None),
    }
}

async fn of_iam(
    tx: &mut Tx<'_>,
    owner: &AccountId,
    arn: &Arn,
    assume: bool,
) -> Result<Option<Target>, StoreError> {
    let (kind, path) = arn.resource().split_once('/').unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let resource = match kind {
        "role" => match Role::by_arn(tx, arn).await? {
            Some(role) if assume => return Ok(Some(Target::Role(Assumable(role)))),
            role => role.map(|role| Resource::role(role.arn.clone(), role.tags.clone())),
        },
        "user" => User::load(tx, owner, name)
            .await?
            .filter(|user| user.arn == *arn)
            .map(|user| Resource::user(user.arn.clone(), user.tags.clone())),
        "group" => Group::load(tx, owner, name)
            .await?
            .filter(|group| group.arn == *arn)
            .map(|group| Resource::group(group.arn.clone())),
        "policy" => ManagedPolicy::by_arn(tx, arn.as_str()).await?.map(|policy| Resource {
            arn: policy.arn.clone(),
            kind: "AWS::IAM::ManagedPolicy",
            tags: policy.tags.clone(),
        }),
        _ => None,
    };
    Ok(resource.map(Target::Resource))
}
