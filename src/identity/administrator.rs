//! The first administrator of an account: a user who may do everything, made by whoever has the machine.
use super::{AccessKey, Account, IdentityError, NewUser, User};
use crate::random::Random;
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, SecretText, Tags, Timestamp};
use std::sync::Arc;

const NAME: &str = "admin";
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// Makes the administrator of an account, with an access key: this one, or a new one.
pub async fn insert(
    tx: &mut Tx<'_>,
    account: &Account,
    known: Option<(String, SecretText)>,
    random: &dyn Random,
    now: Timestamp,
) -> Result<(Arc<User>, Arc<AccessKey>), IdentityError> {
    let new = NewUser {
        account: account.id.clone(),
        name: NAME.into(),
        path: "/".into(),
        boundary: None,
        tags: Tags::default(),
    };
    let user = User::insert(tx, new, random, now).await?;
    let user = user.with_policy(tx, "AdministratorAccess", POLICY.to_owned())?;
    let key = AccessKey::insert(tx, &user, known, random, now)?;
    Ok((user, key))
}

/// Whether the account has one.
pub async fn exists(tx: &mut Tx<'_>, account: &AccountId) -> Result<bool, StoreError> {
    Ok(User::load(tx, account, NAME).await?.is_some())
}
