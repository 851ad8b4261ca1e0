//! How many keys an account has in a region, where a quota asks for it.
use super::{Alias, KeyError, KeyOfAccount, SECRETS_MANAGER_ALIAS};
use crate::store::Tx;
use crate::types::{AccountId, Region};

/// Keys that are counted at a time.
const PAGE: usize = 100;

/// Refuses a key beyond the quota of `most` customer managed keys, whatever their state. AWS managed
/// keys do not count. Keys that are made at the same moment do not see each other, so together they
/// may go beyond it; the next one is refused.
pub async fn check_count(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    most: Option<usize>,
) -> Result<(), KeyError> {
    let Some(most) = most else { return Ok(()) };
    let managed = Alias::load(tx, account, region, SECRETS_MANAGER_ALIAS).await?;
    let mut left = most.saturating_add(usize::from(managed.is_some()));
    let mut after: Option<String> = None;
    loop {
        let scope = [account.as_str(), region.as_str()];
        let page = tx.list::<KeyOfAccount>(&scope, after.as_deref(), PAGE).await?;
        left = left.saturating_sub(page.records.len());
        if left == 0 {
            let text =
                format!("The account has {most} KMS keys in this Region, which is the limit.");
            return Err(KeyError::LimitExceeded(text));
        }
        if !page.more {
            return Ok(());
        }
        after = page.records.into_iter().last().map(|(id, _)| id);
    }
}
