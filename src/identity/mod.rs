//! Who may call: accounts, users, groups, roles, their policies, access keys and sessions.
mod access_key;
mod account;
pub mod administrator;
mod attachments;
pub mod aws_managed;
mod binding;
pub mod boundary;
mod callers;
mod count;
mod credentials;
mod entity;
mod error;
pub mod group;
pub mod login_profile;
pub mod managed_policy;
pub mod mfa;
pub mod oidc_provider;
pub mod outbound;
pub mod role;
pub mod session;
mod session_policy;
pub mod user;

pub use access_key::{AccessKey, Owner, Status, access_key_id, secret_access_key};
pub use account::Account;
pub use attachments::{ATTACHED_POLICIES, Attachments};
pub use binding::{BindError, bind, principal_of_id, shown, shown_principal};
pub use callers::Callers;
pub use count::Counted;
pub use credentials::{Credentials, Unknown};
pub use entity::{Entity, EntityKind};
pub use error::IdentityError;
pub use group::{Group, NewGroup};
pub use managed_policy::{ManagedPolicy, NewPolicy};
pub use role::{Assumable, NewRole, Role};
pub use session::{Actor, Door, Issued, Session};
pub use user::{MAX_USERS_PAGE, NewUser, User};

use access_key::temporary_access_key_id;

use crate::authorize::Caller;
use crate::random::Random;
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Arn, Principal};

const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Whether there is an access key, or a role, of this id.
pub async fn can_sign(tx: &mut Tx<'_>, id: &str) -> Result<bool, StoreError> {
    if id.starts_with(binding::ROLE_ID) {
        return Ok(principal_of_id(tx, id).await?.is_some());
    }
    Ok(AccessKey::load(tx, id).await?.is_some())
}

/// An id that is never given twice: four letters for the kind, seventeen at random (IAM user guide,
/// "Unique identifiers").
fn unique_id(prefix: &str, random: &dyn Random) -> String {
    format!("{prefix}{}", random.text(17, BASE32))
}

/// The caller that an active access key stands for; none if the key, or who it belonged to, is gone.
pub async fn caller_of(tx: &mut Tx<'_>, key: &AccessKey) -> Result<Option<Caller>, StoreError> {
    if key.status != Status::Active {
        return Ok(None);
    }
    let Some(owner) = key.owner.load(tx, &key.account).await? else { return Ok(None) };
    Ok(Some(Caller {
        principal: owner.principal,
        access_key_id: key.id.clone(),
        policies: owner.policies,
        boundary: owner.boundary,
        tags: owner.tags,
        session: None,
    }))
}

/// Who it is that an ARN names: a user, an account's root, a role, or a session of a role.
pub async fn principal_named(tx: &mut Tx<'_>, arn: &str) -> Result<Option<Principal>, StoreError> {
    let Ok(arn) = arn.parse::<Arn>() else { return Ok(None) };
    let Ok(account) = arn.account().parse::<AccountId>() else { return Ok(None) };
    let root = Principal::root(&account);
    if arn == root.arn {
        return Ok(Account::load(tx, &account).await?.map(|_| root));
    }
    let mut parts = arn.resource().split('/');
    let kind = parts.next().unwrap_or_default();
    if arn.service() == "sts" && kind == "assumed-role" {
        let (name, session) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let role = Role::load(tx, &account, name).await?;
        // Whether the session exists nobody knows; it is who it will be.
        let role = role.filter(|role| !session.is_empty() && role.session_arn(session) == arn);
        return Ok(role.map(|role| role.principal(Some(session))));
    }
    if kind == "role" {
        return Ok(Role::by_arn(tx, &arn).await?.map(|role| role.principal(None)));
    }
    let name = arn.resource().rsplit('/').next().unwrap_or_default();
    let user = User::load(tx, &account, name).await?.filter(|user| user.arn == arn);
    Ok(user.map(|user| user.principal()))
}
