//! How many users, groups, roles and policies an account has, and how many it may have. The numbers
//! are records of their own, changed together with what they count: whoever makes two things at the
//! same moment meets the other there, so that a quota holds.
use super::{Group, IdentityError, ManagedPolicy, Role, User};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::AccountId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Records that are counted at a time, where they never were.
const PAGE: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Users,
    Groups,
    Roles,
    Policies,
    /// Of all policies.
    PolicyVersions,
    /// That users have.
    MfaDevices,
}

#[derive(Debug, Serialize, Deserialize)]
struct Count {
    number: usize,
}

impl Record for Count {
    const TABLE: Table = Table::new("iam-count");
}

impl Counted {
    /// IAM's quota, as AWS has it without asking for more.
    pub const fn most(self) -> usize {
        match self {
            Self::Users => 5000,
            Self::Groups => 300,
            Self::Roles => 1000,
            Self::Policies => 1500,
            Self::PolicyVersions => 10_000,
            // Each user has a quota of them.
            Self::MfaDevices => usize::MAX,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::Groups => "Groups",
            Self::Roles => "Roles",
            Self::Policies => "Policies",
            Self::PolicyVersions => "PolicyVersions",
            Self::MfaDevices => "MFADevices",
        }
    }

    /// What the account has of it, as of this transaction.
    pub async fn number(self, tx: &mut Tx<'_>, account: &AccountId) -> Result<usize, StoreError> {
        if let Some(count) = tx.get::<Count>(&[account.as_str(), self.name()]).await? {
            return Ok(count.number);
        }
        // No number was ever written. Whoever adds something meanwhile writes one, and this
        // transaction, which has looked for it, fails.
        match self {
            Self::Users => sum::<User>(tx, account, |_| 1).await,
            Self::Groups => sum::<Group>(tx, account, |_| 1).await,
            Self::Roles => sum::<Role>(tx, account, |_| 1).await,
            Self::Policies => sum::<ManagedPolicy>(tx, account, |_| 1).await,
            Self::PolicyVersions => {
                sum::<ManagedPolicy>(tx, account, |policy| policy.versions.len()).await
            }
            Self::MfaDevices => sum::<User>(tx, account, |user| user.mfa_devices.len()).await,
        }
    }

    /// Counts one more, if the quota leaves room for it.
    pub(super) async fn add_one(
        self,
        tx: &mut Tx<'_>,
        account: &AccountId,
    ) -> Result<(), IdentityError> {
        let (number, most) = (self.number(tx, account).await?, self.most());
        if number >= most {
            let text = format!("Cannot exceed quota for {}PerAccount: {most}", self.name());
            return Err(IdentityError::LimitExceeded(text));
        }
        tx.put(&[account.as_str(), self.name()], Count { number: number.saturating_add(1) })?;
        Ok(())
    }

    pub(super) async fn remove_one(
        self,
        tx: &mut Tx<'_>,
        account: &AccountId,
    ) -> Result<(), StoreError> {
        let number = self.number(tx, account).await?.saturating_sub(1);
        tx.put(&[account.as_str(), self.name()], Count { number })?;
        Ok(())
    }
}

async fn sum<R: Record>(
    tx: &Tx<'_>,
    account: &AccountId,
    of: impl Fn(&Arc<R>) -> usize,
) -> Result<usize, StoreError> {
    let (mut sum, mut after) = (0, None::<String>);
    loop {
        let page = tx.list::<R>(&[account.as_str()], after.as_deref(), PAGE).await?;
        sum += page.records.iter().map(|(_, record)| of(record)).sum::<usize>();
        after = page.records.into_iter().last().map(|(name, _)| name);
        if !page.more {
            return Ok(sum);
        }
        // Other requests must not wait for the last of very many.
        tokio::task::yield_now().await;
    }
}
