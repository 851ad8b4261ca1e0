//! Permissions boundaries: managed policies that limit what a user or a role may do at most. A policy
//! counts who has it as a boundary, so that it cannot be deleted from under them.
use super::{IdentityError, ManagedPolicy};
use crate::authorize::{Authorized, Resource};
use crate::store::Tx;
use crate::types::{AccountId, Arn};

/// Whether a policy can be a boundary in this account: its own or AWS's.
pub async fn check(tx: &mut Tx<'_>, account: &AccountId, arn: &str) -> Result<(), IdentityError> {
    let Ok(parsed) = arn.parse::<Arn>() else {
        return Err(IdentityError::InvalidInput(format!("ARN {arn} is not valid.")));
    };
    let ours = [account.as_str(), "aws"].contains(&parsed.account());
    if !ours || ManagedPolicy::by_arn(tx, arn).await?.is_none() {
        let text = format!("Scope ARN: {arn} does not exist or is not attachable.");
        return Err(IdentityError::NoSuchEntity(text));
    }
    Ok(())
}

/// Counts that an entity has the boundary `will` instead of `was`.
pub async fn exchange(
    _allowed: &Authorized<Resource>,
    tx: &mut Tx<'_>,
    account: &AccountId,
    was: Option<&str>,
    will: Option<&str>,
) -> Result<(), IdentityError> {
    for (arn, by) in [(was, -1), (will, 1)] {
        if let Some(arn) = arn
            && let Some(policy) = ManagedPolicy::by_arn(tx, arn).await?
        {
            policy.count_in(tx, account, 0, by).await?;
        }
    }
    Ok(())
}
