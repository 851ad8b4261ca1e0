//! Passwords of users, as Argon2id hashes. Nothing signs in with them yet but the console.
use super::{IdentityError, User};
use crate::authorize::{Authorized, Resource};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, SecretText, Timestamp};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;
/// IAM user guide, "Setting an account password policy", the default policy.
const SHORTEST_PASSWORD: usize = 8;
const KINDS_OF_CHARACTERS: usize = 3;
const SYMBOLS: &str = "!@#$%^&*()_+-=[]{}|'";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoginProfile {
    /// By its id: a user made anew has no password.
    pub user_id: String,
    pub account: AccountId,
    pub created: Timestamp,
    pub reset_required: bool,
    pub password: Hashed,
}

impl Record for LoginProfile {
    const TABLE: Table = Table::new("login-profile");
}

/// A password that was hashed, with what it was hashed by: the figures may change, old hashes not.
#[derive(Clone, Serialize, Deserialize)]
pub struct Hashed {
    salt: [u8; 16],
    hash: [u8; HASH_BYTES],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hashed(..)")
    }
}

impl Hashed {
    /// Heavy on purpose: not for a thread that serves others.
    pub fn new(password: &SecretText, salt: [u8; 16]) -> Result<Self, StoreError> {
        let mut hashed = Self {
            salt,
            hash: [0; HASH_BYTES],
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
        };
        hashed.hash = hashed.of(password)?;
        Ok(hashed)
    }

    /// Compares in constant time. Heavy too.
    pub fn is_of(&self, password: &SecretText) -> Result<bool, StoreError> {
        Ok(self.of(password)?.ct_eq(&self.hash).into())
    }

    fn of(&self, password: &SecretText) -> Result<[u8; HASH_BYTES], StoreError> {
        let broken = |e| StoreError::Corrupt(format!("a password cannot be hashed: {e}"));
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(HASH_BYTES))
            .map_err(broken)?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hash = [0; HASH_BYTES];
        argon
            .hash_password_into(password.expose().as_bytes(), &self.salt, &mut hash)
            .map_err(broken)?;
        Ok(hash)
    }
}

/// A salt for a new password.
pub fn new_salt(random: &dyn Random) -> [u8; 16] {
    random.bytes()
}

/// What AWS asks of a password if nobody says otherwise.
pub fn check_password(password: &SecretText, user: &User) -> Result<(), IdentityError> {
    let text = password.expose();
    let refuse = |why: &str| Err(IdentityError::PasswordPolicy(why.into()));
    if text.chars().count() < SHORTEST_PASSWORD {
        return refuse("Password should have a minimum length of 8");
    }
    let kinds: [fn(char) -> bool; 4] = [
        |c| c.is_ascii_uppercase(),
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_digit(),
        |c| SYMBOLS.contains(c),
    ];
    if kinds.iter().filter(|kind| text.chars().any(**kind)).count() < KINDS_OF_CHARACTERS {
        return refuse(
            "Password should have at least three of: an uppercase letter, a lowercase letter, a \
             number, a symbol",
        );
    }
    if text.eq_ignore_ascii_case(&user.name) || text == user.account.as_str() {
        return refuse("Password should not be the name of the user or the account");
    }
    Ok(())
}

impl LoginProfile {
    pub async fn load(tx: &mut Tx<'_>, user: &User) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[user.account.as_str(), &user.id]).await
    }

    pub async fn find(tx: &mut Tx<'_>, user: &User) -> Result<Arc<Self>, IdentityError> {
        Self::load(tx, user).await?.ok_or_else(|| {
            let text = format!("Login Profile for User {} cannot be found.", user.name);
            IdentityError::NoSuchEntity(text)
        })
    }

    fn save(self, tx: &mut Tx<'_>) -> Result<Arc<Self>, StoreError> {
        let (account, id) = (self.account.clone(), self.user_id.clone());
        tx.put(&[account.as_str(), &id], self)
    }

    pub async fn create(
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        user: &User,
        password: Hashed,
        reset_required: bool,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        Self::check_none(tx, user).await?;
        User { has_password: true, ..user.clone() }.update(allowed, tx)?;
        let profile = Self {
            user_id: user.id.clone(),
            account: user.account.clone(),
            created: now,
            reset_required,
            password,
        };
        Ok(profile.save(tx)?)
    }

    pub async fn check_none(tx: &mut Tx<'_>, user: &User) -> Result<(), IdentityError> {
        if Self::load(tx, user).await?.is_some() {
            let text = format!("Login Profile for user {} already exists.", user.name);
            return Err(IdentityError::AlreadyExists(text));
        }
        Ok(())
    }

    /// What is none stays.
    pub fn update(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        password: Option<Hashed>,
        reset_required: Option<bool>,
    ) -> Result<(), IdentityError> {
        let mut profile = self.clone();
        profile.password = password.unwrap_or(profile.password);
        profile.reset_required = reset_required.unwrap_or(profile.reset_required);
        profile.save(tx)?;
        Ok(())
    }

    pub fn delete(
        &self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        user: &User,
    ) -> Result<(), IdentityError> {
        tx.delete::<Self>(&[self.account.as_str(), &self.user_id])?;
        User { has_password: false, ..user.clone() }.update(allowed, tx)?;
        Ok(())
    }
}
