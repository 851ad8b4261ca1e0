//! Accounts: what everything else belongs to.
use super::IdentityError;
use crate::authorize::{self, Authorized};
use crate::seal::Table;
use crate::store::{Page, Record, StoreError, Tx};
use crate::types::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub created: Timestamp,
    /// The name it goes by beside its number.
    #[serde(default)]
    pub alias: Option<String>,
}

impl Record for Account {
    const TABLE: Table = Table::new("account");
}

/// Whose an alias is: no two accounts have the same one.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct AccountAlias {
    account: AccountId,
}

impl Record for AccountAlias {
    const TABLE: Table = Table::new("account-alias");
}

impl Account {
    pub async fn load(tx: &mut Tx<'_>, id: &AccountId) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[id.as_str()]).await
    }

    /// The account, made if it is not there yet.
    pub async fn ensure(
        tx: &mut Tx<'_>,
        id: &AccountId,
        now: Timestamp,
    ) -> Result<Arc<Self>, StoreError> {
        match Self::load(tx, id).await? {
            Some(account) => Ok(account),
            None => tx.put(&[id.as_str()], Self { id: id.clone(), created: now, alias: None }),
        }
    }

    /// A new account, with an alias if it is to have one.
    pub async fn create(
        tx: &mut Tx<'_>,
        id: &AccountId,
        alias: Option<String>,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        if Self::load(tx, id).await?.is_some() {
            return Err(IdentityError::AlreadyExists(format!("The account {id} exists already.")));
        }
        if let Some(alias) = &alias {
            if !is_alias(alias) {
                let text = format!(
                    "{alias} cannot be an account alias: 3 to 63 lower-case letters, digits and \
                     single hyphens, not at the ends, and no twelve digits."
                );
                return Err(IdentityError::InvalidInput(text));
            }
            if tx.get::<AccountAlias>(&[alias]).await?.is_some() {
                let text = format!("The account alias {alias} already exists.");
                return Err(IdentityError::AlreadyExists(text));
            }
            tx.put(&[alias], AccountAlias { account: id.clone() })?;
        }
        Ok(tx.put(&[id.as_str()], Self { id: id.clone(), created: now, alias })?)
    }

    /// All accounts of the deployment, in the order of their numbers: for its operator only.
    pub async fn list(
        tx: &Tx<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Self>, StoreError> {
        tx.list::<Self>(&[], after, limit).await
    }

    /// Gives it an alias, in place of the one it has.
    pub async fn set_alias(
        &self,
        _allowed: &Authorized<authorize::Account>,
        tx: &mut Tx<'_>,
        alias: String,
    ) -> Result<(), IdentityError> {
        if tx.get::<AccountAlias>(&[&alias]).await?.is_some() {
            let text = format!("The account alias {alias} already exists.");
            return Err(IdentityError::AlreadyExists(text));
        }
        if let Some(former) = &self.alias {
            tx.delete::<AccountAlias>(&[former])?;
        }
        tx.put(&[&alias], AccountAlias { account: self.id.clone() })?;
        tx.put(&[self.id.as_str()], Self { alias: Some(alias), ..self.clone() })?;
        Ok(())
    }

    pub fn remove_alias(
        &self,
        _allowed: &Authorized<authorize::Account>,
        tx: &mut Tx<'_>,
        alias: &str,
    ) -> Result<(), IdentityError> {
        if self.alias.as_deref() != Some(alias) {
            let text = format!("The account alias {alias} does not exist.");
            return Err(IdentityError::NoSuchEntity(text));
        }
        tx.delete::<AccountAlias>(&[alias])?;
        tx.put(&[self.id.as_str()], Self { alias: None, ..self.clone() })?;
        Ok(())
    }
}

/// AWS's form of it (IAM API reference, CreateAccountAlias), and never to be taken for a number.
fn is_alias(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
        && text.parse::<AccountId>().is_err()
}

#[cfg(test)]
mod tests {
    use super::is_alias;

    #[test]
    fn aliases() {
        for good in ["abc", "a-b", "1a2", "a".repeat(63).as_str(), "12345678901"] {
            assert!(is_alias(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in
            ["", "ab", "-ab", "ab-", "a--b", "Abc", "a_b", "a b", "123456789012", &long, "ä12"]
        {
            assert!(!is_alias(bad), "{bad}");
        }
    }
}
