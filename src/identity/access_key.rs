//! Access keys: what requests are signed with.
use super::{BASE32, IdentityError, User};
use crate::authorize::{Authorized, Resource};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, SecretText, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// IAM quota: access keys of one user.
const KEYS_PER_USER: usize = 2;
const SECRET_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    Root,
    /// By unique id too: a key outlives no user.
    User {
        name: String,
        id: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Active,
    Inactive,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessKey {
    pub id: String,
    pub account: AccountId,
    pub owner: Owner,
    pub secret: SecretText,
    pub status: Status,
    pub created: Timestamp,
}

impl Record for AccessKey {
    const TABLE: Table = Table::new("access-key");
}

impl AccessKey {
    pub async fn load(tx: &mut Tx<'_>, id: &str) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[id]).await
    }

    fn save(self, tx: &mut Tx<'_>) -> Result<Arc<Self>, StoreError> {
        let id = self.id.clone();
        tx.put(&[&id], self)
    }

    /// Gives an account's root a key with a known id and secret: how `claviger dev` serves set-ups
    /// that bring their own. Refused if another account has the id.
    pub async fn seed_root(
        tx: &mut Tx<'_>,
        account: &AccountId,
        id: &str,
        secret: SecretText,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        if let Some(existing) = Self::load(tx, id).await? {
            if existing.account != *account || existing.owner != Owner::Root {
                return Err(IdentityError::AccessKeyTaken(id.to_owned()));
            }
            if existing.secret.expose() == secret.expose() {
                return Ok(());
            }
        }
        let key = Self {
            id: id.to_owned(),
            account: account.clone(),
            owner: Owner::Root,
            secret,
            status: Status::Active,
            created: now,
        };
        key.save(tx)?;
        Ok(())
    }

    /// A new key for a user.
    pub async fn create(
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        user: &User,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        Self::insert(tx, user, None, random, now)
    }

    /// Also how the first administrator gets a key, which may be one that is known already.
    pub fn insert(
        tx: &mut Tx<'_>,
        user: &User,
        known: Option<(String, SecretText)>,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        if user.access_keys.len() >= KEYS_PER_USER {
            return Err(IdentityError::LimitExceeded(format!(
                "Cannot exceed quota for AccessKeysPerUser: {KEYS_PER_USER}"
            )));
        }
        let fresh = || (access_key_id(random), secret_access_key(random));
        let (id, secret) = known.unwrap_or_else(fresh);
        let key = Self {
            id,
            account: user.account.clone(),
            owner: Owner::User { name: user.name.clone(), id: user.id.clone() },
            secret,
            status: Status::Active,
            created: now,
        };
        let mut user = user.clone();
        user.access_keys.push(key.id.clone());
        user.save(tx)?;
        Ok(key.save(tx)?)
    }

    /// The user's key of this id.
    pub async fn of_user(
        tx: &mut Tx<'_>,
        user: &User,
        id: &str,
    ) -> Result<Arc<Self>, IdentityError> {
        let missing =
            || IdentityError::NoSuchEntity(format!("The Access Key with id {id} cannot be found."));
        if !user.access_keys.iter().any(|key| key == id) {
            return Err(missing());
        }
        Self::load(tx, id).await?.ok_or_else(missing)
    }

    /// The key's user has another name now.
    pub(super) async fn rename_owner(
        tx: &mut Tx<'_>,
        id: &str,
        to: &str,
    ) -> Result<(), StoreError> {
        if let Some(key) = Self::load(tx, id).await?
            && let Owner::User { id, .. } = &key.owner
        {
            let owner = Owner::User { name: to.to_owned(), id: id.clone() };
            Self { owner, ..Self::clone(&key) }.save(tx)?;
        }
        Ok(())
    }

    pub fn set_status(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        status: Status,
    ) -> Result<(), IdentityError> {
        Self { status, ..self.clone() }.save(tx)?;
        Ok(())
    }

    pub fn delete(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        user: &User,
    ) -> Result<(), IdentityError> {
        let mut user = user.clone();
        user.access_keys.retain(|id| *id != self.id);
        user.save(tx)?;
        tx.delete::<Self>(&[&self.id])?;
        Ok(())
    }
}

/// The id of temporary credentials: `ASIA…`.
pub(super) fn temporary_access_key_id(random: &dyn Random) -> String {
    format!("ASIA{}", random.text(16, BASE32))
}

/// The id of a long-term access key: `AKIA…`.
pub fn access_key_id(random: &dyn Random) -> String {
    format!("AKIA{}", random.text(16, BASE32))
}

/// A secret access key: 40 characters.
pub fn secret_access_key(random: &dyn Random) -> SecretText {
    SecretText::new(random.text(40, SECRET_ALPHABET))
}
