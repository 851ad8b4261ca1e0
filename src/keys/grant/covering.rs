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
use crate::types::{Principal, PrincipalKind};
use std::sync::Arc;

/// Rows looked at between two waits: a grantee may have tens of thousands, and other requests must not
/// wait for the last. The store lists so few without a thread of its own.
const PAGE: usize = 60;

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
        let scopes = match &tags {
            None => vec![scope.to_vec()],
            Some(tags) => tags.iter().map(|tag| [scope.as_slice(), &[tag]].concat()).collect(),
        };
        for scope in scopes {
            if let Some(grant) = first_under(tx, key, &scope, asked).await? {
                return Ok(Some(Covering { grant, how }));
            }
        }
    }
    Ok(None)
}

/// The first grant that covers what is asked, of those whose rows' keys begin so.
async fn first_under(
    tx: &mut Tx<'_>,
    key: &Key,
    scope: &[&str],
    asked: Asked<'_>,
) -> Result<Option<Arc<Grant>>, StoreError> {
    let (operation, has_source) = (asked.operation(), asked.has_source());
    let mut after: Vec<String> = Vec::new();
    loop {
        let from: Vec<&str> = after.iter().map(String::as_str).collect();
        let page = tx.list_deep::<GrantOfGrantee>(scope, &from, PAGE).await?;
        after = page.records.last().map(|(parts, _)| parts.clone()).unwrap_or_default();
        for (parts, row) in page.records {
            if !row.operations.contains(&operation) || (row.source && !has_source) {
                continue;
            }
            // A listing is not part of what a commit checks, this is: a change that rests on a grant
            // fails if the grant goes meanwhile.
            let Some(id) = parts.last() else { continue };
            let Some(grant) = Grant::load(tx, key, id).await? else { continue };
            if grant.terms.cover(asked) {
                return Ok(Some(grant));
            }
        }
        if !page.more {
            return Ok(None);
        }
        tokio::task::yield_now().await;
    }
}

/// The grantees that the caller is, the closest first.
pub(super) fn names(caller: &Principal) -> Vec<(&str, How)> {
    let account = (caller.account.as_str(), How::Account);
    let itself = (caller.unique_id.as_str(), How::Exact);
    match &caller.kind {
        PrincipalKind::Root => vec![account],
        PrincipalKind::User | PrincipalKind::FederatedUser { .. } => vec![itself, account],
        PrincipalKind::WebIdentity { .. } | PrincipalKind::Service { .. } => Vec::new(),
        PrincipalKind::AssumedRole { role_id, .. } => {
            vec![itself, (role_id.as_str(), How::RoleOfSession), account]
        }
    }
}
