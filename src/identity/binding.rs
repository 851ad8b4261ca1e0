//! Policies of resources are bound to whom they name: by unique id, when they are written. A user or
//! role made anew under an old name is somebody else, and one that is renamed stays who it is.
use super::{Account, Role, User};
use crate::policy::{BoundPolicy, Policy, PrincipalPattern};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Principal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What unique ids begin with (IAM user guide, "Understanding unique ID prefixes").
pub(super) const USER_ID: &str = "AIDA";
pub(super) const ROLE_ID: &str = "AROA";

/// Where the user or role of a unique id is filed now.
#[derive(Debug, Serialize, Deserialize)]
struct Filed {
    account: AccountId,
    name: String,
}

impl Record for Filed {
    const TABLE: Table = Table::new("unique-id");
}

/// Notes what the user or role of this id is called from now on.
pub(super) fn file(
    tx: &mut Tx<'_>,
    id: &str,
    account: &AccountId,
    name: &str,
) -> Result<(), StoreError> {
    tx.put(&[id], Filed { account: account.clone(), name: name.to_owned() })?;
    Ok(())
}

/// Whoever had this id is no more.
pub(super) fn forget(tx: &mut Tx<'_>, id: &str) -> Result<(), StoreError> {
    tx.delete::<Filed>(&[id])
}

/// What the user or role of this id is called now, if the account has it.
pub(super) async fn name_of(
    tx: &mut Tx<'_>,
    account: &AccountId,
    id: &str,
) -> Result<Option<String>, StoreError> {
    let filed = tx.get::<Filed>(&[id]).await?.filter(|filed| filed.account == *account);
    Ok(filed.map(|filed| filed.name.clone()))
}

/// Who has this unique id: a user, a role, a session of a role (`AROA…:name`), or an account's root.
pub async fn principal_of_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<Principal>, StoreError> {
    if let Ok(account) = id.parse::<AccountId>() {
        return Ok(Account::load(tx, &account).await?.map(|_| Principal::root(&account)));
    }
    let (id, session) = match id.split_once(':') {
        Some((role, session)) => (role, Some(session)),
        None => (id, None),
    };
    let Some(filed) = tx.get::<Filed>(&[id]).await? else { return Ok(None) };
    let Filed { account, name } = &*filed;
    if id.starts_with(ROLE_ID) {
        let role = Role::load(tx, account, name).await?.filter(|role| role.id == id);
        return Ok(role.map(|role| role.principal(session)));
    }
    let user = User::load(tx, account, name).await?.filter(|user| user.id == id);
    Ok(user.map(|user| user.principal()))
}

/// Why a policy cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("Invalid principal in policy: {0}")]
    Unknown(PrincipalPattern),
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

/// Binds a policy to whom its text, of which `policy` is what was read, names now. All must exist: an
/// id that a deleted principal left behind is nobody's and is not taken again.
pub async fn bind(
    tx: &mut Tx<'_>,
    text: String,
    policy: &Policy,
) -> Result<BoundPolicy, BindError> {
    let mut ids = BTreeMap::new();
    let all: Vec<&PrincipalPattern> = policy.principals().collect();
    for named in all {
        let (text, found) = match named {
            PrincipalPattern::User(arn)
            | PrincipalPattern::Role(arn)
            | PrincipalPattern::RoleSession(arn) => (arn, super::principal_named(tx, arn).await?),
            PrincipalPattern::UniqueId(id) => (id, principal_of_id(tx, id).await?),
            other if is_there(tx, other).await? => continue,
            other => return Err(BindError::Unknown(other.clone())),
        };
        let found = found.ok_or_else(|| BindError::Unknown(named.clone()))?;
        ids.insert(text.to_string(), found.unique_id);
    }
    Ok(BoundPolicy::new(text, ids))
}

/// Whether somebody exists whose name nobody else can be given.
async fn is_there(tx: &mut Tx<'_>, named: &PrincipalPattern) -> Result<bool, StoreError> {
    Ok(match named {
        PrincipalPattern::Account(id) => match id.parse::<AccountId>() {
            Ok(id) => Account::load(tx, &id).await?.is_some(),
            Err(_) => false,
        },
        // Federated users and providers come and go without the policy. The ARN of a federated user
        // says nothing of the user who asked for it, so there is nobody to bind it to.
        PrincipalPattern::Anyone
        | PrincipalPattern::Service(_)
        | PrincipalPattern::FederatedUser(_)
        | PrincipalPattern::Federated(_) => true,
        _ => false,
    })
}

/// The text of a policy as whoever reads it now is shown it.
pub async fn shown(tx: &mut Tx<'_>, policy: &BoundPolicy) -> Result<String, StoreError> {
    let mut words = BTreeMap::new();
    for (named, id) in policy.ids() {
        let now = shown_principal(tx, id).await?;
        if now != *named {
            words.insert(named.clone(), now);
        }
    }
    Ok(if words.is_empty() { policy.text().to_owned() } else { policy.reworded(&words) })
}

/// The ARN that the principal of this id has now; once it is gone, the id.
pub async fn shown_principal(tx: &mut Tx<'_>, id: &str) -> Result<String, StoreError> {
    let found = principal_of_id(tx, id).await?;
    Ok(found.map_or_else(|| id.to_owned(), |principal| principal.arn.to_string()))
}
