//! Who may call: accounts, their users, access keys and the users' own policies.
mod access_key;
mod account;
mod error;
mod user;

pub use access_key::{AccessKey, Owner, Status};
pub use account::Account;
pub use error::IdentityError;
pub use user::{MAX_USERS_PAGE, NewUser, User};

use crate::authorize::Caller;
use crate::policy::{Policy, PrincipalPattern};
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Arn, Principal};
use std::sync::Arc;

/// The caller that an active access key stands for; none if the key, or who it belonged to, is gone.
pub async fn caller_of(tx: &mut Tx<'_>, key: &AccessKey) -> Result<Option<Caller>, StoreError> {
    if key.status != Status::Active {
        return Ok(None);
    }
    let (principal, policies) = match &key.owner {
        Owner::Root => (Principal::root(&key.account), Arc::default()),
        Owner::User { name, id } => {
            // A user made anew under an old name is somebody else.
            let user = User::load(tx, &key.account, name).await?.filter(|user| user.id == *id);
            let Some(user) = user else { return Ok(None) };
            (user.principal(), user.compiled())
        }
    };
    Ok(Some(Caller { principal, access_key_id: key.id.clone(), policies }))
}

/// Whether everybody that a policy names exists.
pub async fn principals_exist(tx: &mut Tx<'_>, policy: &Policy) -> Result<bool, StoreError> {
    let named: Vec<PrincipalPattern> = policy.principals().cloned().collect();
    for principal in named {
        let exists = match &principal {
            PrincipalPattern::Anyone | PrincipalPattern::Service(_) => true,
            PrincipalPattern::Account(id) => match id.parse::<AccountId>() {
                Ok(id) => Account::load(tx, &id).await?.is_some(),
                Err(_) => false,
            },
            PrincipalPattern::User(arn) => principal_named(tx, arn).await?.is_some(),
            // A deleted user leaves its id behind in policies; it may stay.
            PrincipalPattern::UniqueId(_) => true,
            // Roles, sessions and providers do not exist here yet.
            PrincipalPattern::Role(_)
            | PrincipalPattern::RoleSession(_)
            | PrincipalPattern::FederatedUser(_)
            | PrincipalPattern::Federated(_)
            | PrincipalPattern::CanonicalUser(_) => false,
        };
        if !exists {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Who it is that an ARN names: a user, or an account's root.
pub async fn principal_named(tx: &mut Tx<'_>, arn: &str) -> Result<Option<Principal>, StoreError> {
    let Ok(arn) = arn.parse::<Arn>() else { return Ok(None) };
    let Ok(account) = arn.account().parse::<AccountId>() else { return Ok(None) };
    let root = Principal::root(&account);
    if arn == root.arn {
        return Ok(Account::load(tx, &account).await?.map(|_| root));
    }
    let name = arn.resource().rsplit('/').next().unwrap_or_default();
    let user = User::load(tx, &account, name).await?.filter(|user| user.arn == arn);
    Ok(user.map(|user| user.principal()))
}
