//! The grant that lets a caller do what no policy does.
//!
//! A grantee may have very many grants on a key, one for each volume or table that a service keeps
//! for it, told apart by a pair of the encryption context. So they are found by such a pair: its tag
//! stands in the key of the grantee's rows, and a request has as many tags as pairs, and one more for
//! grants that ask for none.
use super::record::GrantOfGrantee;
use super::{Asked, Grant};
use crate::keys::Key;
use crate::policy::How;
use crate::store::{StoreError, Tx};
use crate::types::Principal;
use std::sync::Arc;

/// AWS's quota of grants on a key, and so more than a grantee can have there.
const MOST: usize = 50_000;

/// A grant that covers what is asked, and how its grantee is the caller.
#[derive(Clone, Debug)]
pub struct Covering {
    pub grant: Arc<Grant>,
    pub how: How,
}

/// A grant on the key by which `caller` may do what it asks; one that names the caller itself rather
/// than one that names its account and leaves the rest to the account's policies.
pub async fn covering(
    tx: &mut Tx<'_>,
    key: &Key,
    caller: &Principal,
    asked: Asked<'_>,
) -> Result<Option<Covering>, StoreError> {
    let tags = asked.tags();
    for (grantee, how) in names(caller) {
        let scope = [key.region.as_str(), &key.id, grantee];
        let mut listed = Vec::new();
        match &tags {
            None => listed.extend(tx.list::<GrantOfGrantee>(&scope, None, MOST).await?.records),
            Some(tags) => {
                for tag in tags {
                    let scope = [scope.as_slice(), &[tag]].concat();
                    let page = tx.list::<GrantOfGrantee>(&scope, None, MOST).await?;
                    listed.extend(page.records);
                }
            }
        }
        let operation = asked.operation();
        for (id, row) in listed {
            if !row.operations.contains(&operation) {
                continue;
            }
            // A listing is not part of what a commit checks, this is: a change that rests on a grant
            // fails if the grant goes meanwhile.
            let Some(grant) = Grant::load(tx, key, &id).await? else { continue };
            if grant.terms.cover(asked) {
                return Ok(Some(Covering { grant, how }));
            }
        }
    }
    Ok(None)
}

/// The grantees that the caller is, the closest first.
fn names(caller: &Principal) -> Vec<(&str, How)> {
    let account = (caller.account.as_str(), How::Account);
    match caller.is_root() {
        true => vec![account],
        false => vec![(caller.unique_id.as_str(), How::Exact), account],
    }
}
