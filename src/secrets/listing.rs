//! The secrets of an account and region: filtered, sorted, a page at a time.
use super::secret::may_be_in_a_name;
use super::{Filter, Secret, SecretError};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Region};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many are read from the store at a time.
const BATCH: usize = 500;

/// What a list is sorted by; the name decides among equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    Created,
    Accessed,
    Changed,
    Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// What a caller wants listed.
#[derive(Debug)]
pub struct Query {
    pub filters: Vec<Filter>,
    /// Whether those that are scheduled for deletion are wanted too.
    pub with_scheduled: bool,
    pub by: SortBy,
    pub order: Order,
    /// The position that the page before ended at.
    pub after: Option<String>,
    pub size: usize,
}

#[derive(Debug)]
pub struct Listing {
    pub secrets: Vec<Arc<Secret>>,
    /// The position of the last one, if more follow.
    pub next: Option<String>,
}

/// A secret, filed under the moment it was made and its name: what lists in AWS's usual order are read
/// from.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ByCreation {}

impl Record for ByCreation {
    const TABLE: Table = Table::new("secret-created");
    const CACHED: bool = false;
}

impl ByCreation {
    pub(super) fn put(tx: &mut Tx<'_>, secret: &Secret) -> Result<(), StoreError> {
        let made = secret.created.row_part();
        let key = [secret.account.as_str(), secret.region.as_str(), &made, &secret.name];
        tx.put(&key, Self {}).map(drop)
    }

    pub(super) fn delete(tx: &mut Tx<'_>, secret: &Secret) -> Result<(), StoreError> {
        let made = secret.created.row_part();
        let key = [secret.account.as_str(), secret.region.as_str(), &made, &secret.name];
        tx.delete::<Self>(&key)
    }
}

/// A page of the account's secrets in the region. In the order of creation or of names, from the first
/// to the last, it reads little more than it answers; for the orders that have no index, and for
/// filters in the order of creation, every secret whose name begins as a filter of names says. It keeps no
/// more than a batch and a page.
pub async fn list(
    tx: &Tx<'_>,
    account: &AccountId,
    region: &Region,
    query: &Query,
) -> Result<Listing, SecretError> {
    let wanted = match (query.by, query.order) {
        (SortBy::Created, Order::Ascending) if query.filters.is_empty() => {
            by_creation(tx, account, region, query).await?
        }
        _ => by_name(tx, account, region, query).await?,
    };
    Ok(query.page_of(wanted))
}

/// A page of them and one more, if there are, read in the order of names.
async fn by_name(
    tx: &Tx<'_>,
    account: &AccountId,
    region: &Region,
    query: &Query,
) -> Result<Vec<Arc<Secret>>, SecretError> {
    // Listed by name, neither what comes before the page is read nor what comes after it.
    let in_order = query.by == SortBy::Name && query.order == Order::Ascending;
    let prefix = query.name_prefix();
    // Few of them may be wanted: many small batches would take longer than a few large ones.
    let mut batch = query.size.saturating_add(1).min(BATCH);
    let after = query.after.as_deref().filter(|_| in_order);
    let mut after = after.and_then(|position| position.strip_prefix(' ')).map(str::to_owned);
    let mut wanted = Vec::new();
    if after.as_deref().unwrap_or_default() < prefix {
        let named = Secret::peek(tx, account, region, prefix).await?;
        wanted.extend(named.filter(|secret| query.wants(secret)));
        after = Some(prefix.to_owned());
    }
    loop {
        let page = Secret::page(tx, account, region, after.as_deref(), batch).await?;
        let more = |name: &String| page.more && name.starts_with(prefix);
        after = page.records.last().map(|(name, _)| name.clone()).filter(more);
        let secrets = page.records.into_iter().map(|(_, secret)| secret);
        wanted.extend(secrets.filter(|secret| query.wants(secret)));
        query.keep_page(&mut wanted);
        if after.is_none() || in_order && wanted.len() > query.size {
            return Ok(wanted);
        }
        batch = batch.saturating_mul(2).min(BATCH);
    }
}

/// The same in the order of creation: a page of them and one more, if there are.
async fn by_creation(
    tx: &Tx<'_>,
    account: &AccountId,
    region: &Region,
    query: &Query,
) -> Result<Vec<Arc<Secret>>, SecretError> {
    let scope = [account.as_str(), region.as_str()];
    let start = query.after.as_deref().and_then(|position| position.split_once(' '));
    let mut after = start.map(|(made, name)| vec![made.to_owned(), name.to_owned()]);
    let mut wanted = Vec::new();
    loop {
        let from: Vec<&str> = after.iter().flatten().map(String::as_str).collect();
        let limit = query.size.saturating_add(1);
        let page = tx.list_deep::<ByCreation>(&scope, &from, limit).await?;
        for (parts, _) in &page.records {
            let [made, name] = parts.as_slice() else { continue };
            let secret = Secret::peek(tx, account, region, name).await?;
            // One that was made anew meanwhile stands further down.
            let is =
                |secret: &Arc<Secret>| secret.created.row_part() == *made && query.wants(secret);
            wanted.extend(secret.filter(is));
        }
        after = page.records.last().map(|(parts, _)| parts.clone()).filter(|_| page.more);
        if after.is_none() || wanted.len() > query.size {
            return Ok(wanted);
        }
    }
}

/// Where a secret stands in a list: its rank and its name, which holds no space.
fn position(by: SortBy, secret: &Secret) -> String {
    let rank = match by {
        SortBy::Created => secret.created.row_part(),
        SortBy::Accessed => secret.accessed.unwrap_or_default().row_part(),
        SortBy::Changed => secret.changed.row_part(),
        SortBy::Name => String::new(),
    };
    format!("{rank} {}", secret.name)
}

impl Query {
    fn wants(&self, secret: &Secret) -> bool {
        (self.with_scheduled || secret.deletion.is_none())
            && self.filters.iter().all(|filter| filter.passes(secret))
    }

    /// What all names that are wanted begin with, as far as a name can.
    fn name_prefix(&self) -> &str {
        let prefixes = self.filters.iter().map(Filter::name_prefix);
        let longest = prefixes.max_by_key(|prefix| prefix.len()).unwrap_or_default();
        let name = longest.bytes().take_while(|byte| may_be_in_a_name(*byte)).count();
        longest.get(..name).unwrap_or_default()
    }

    /// Drops what cannot be in the page, but for the first one that follows it, and sorts the rest.
    fn keep_page(&self, secrets: &mut Vec<Arc<Secret>>) {
        let follows = |position: &String| match (&self.after, self.order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => position > after,
            (Some(after), Order::Descending) => position < after,
        };
        let mut rest: Vec<(String, Arc<Secret>)> = std::mem::take(secrets)
            .into_iter()
            .map(|secret| (position(self.by, &secret), secret))
            .filter(|(position, _)| follows(position))
            .collect();
        rest.sort_unstable_by(|(a, _), (b, _)| match self.order {
            Order::Ascending => a.cmp(b),
            Order::Descending => b.cmp(a),
        });
        rest.truncate(self.size.saturating_add(1));
        secrets.extend(rest.into_iter().map(|(_, secret)| secret));
    }

    fn page_of(&self, mut secrets: Vec<Arc<Secret>>) -> Listing {
        self.keep_page(&mut secrets);
        let more = secrets.len() > self.size;
        secrets.truncate(self.size);
        let next = secrets.last().filter(|_| more).map(|secret| position(self.by, secret));
        Listing { secrets, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::secret::tests::secret;
    use crate::types::Timestamp;

    fn query(by: SortBy, order: Order) -> Query {
        Query { filters: Vec::new(), with_scheduled: false, by, order, after: None, size: 2 }
    }

    /// Every page, two names each.
    fn pages(mut query: Query) -> Vec<Vec<String>> {
        let made = |name: &str, secs: i64| {
            let created = Timestamp::from_secs(secs);
            Arc::new(Secret { created, ..secret(name) })
        };
        let all = [made("c", 1), made("a", 2), made("d", 2), made("b", 3), made("a-b", 2)];
        let mut pages = Vec::new();
        loop {
            let page = query.page_of(all.to_vec());
            pages.push(page.secrets.iter().map(|secret| secret.name.clone()).collect());
            query.after = page.next;
            if query.after.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let cases = [
            (SortBy::Created, Order::Ascending, [vec!["c", "a"], vec!["a-b", "d"], vec!["b"]]),
            (SortBy::Created, Order::Descending, [vec!["b", "d"], vec!["a-b", "a"], vec!["c"]]),
            (SortBy::Name, Order::Ascending, [vec!["a", "a-b"], vec!["b", "c"], vec!["d"]]),
            (SortBy::Name, Order::Descending, [vec!["d", "c"], vec!["b", "a-b"], vec!["a"]]),
        ];
        for (by, order, expected) in cases {
            assert_eq!(pages(query(by, order)), expected, "{by:?} {order:?}");
        }
    }

    /// However many secrets are read for a page, few stay in memory.
    #[test]
    fn what_cannot_be_in_the_page_is_dropped_after_each_batch() {
        for order in [Order::Ascending, Order::Descending] {
            for by in [SortBy::Created, SortBy::Accessed, SortBy::Changed, SortBy::Name] {
                let query = query(by, order);
                let made = |n: i64| {
                    let at = Timestamp::from_secs(n * 7919 % 1000);
                    let accessed = Some(at);
                    let like = secret(&format!("{:03}", n * 7919 % 1000));
                    Arc::new(Secret { created: at, changed: at, accessed, ..like })
                };
                let all: Vec<Arc<Secret>> = (0..1000).map(made).collect();
                let mut kept = Vec::new();
                for batch in all.chunks(100) {
                    kept.extend_from_slice(batch);
                    query.keep_page(&mut kept);
                    assert_eq!(kept.len(), query.size + 1);
                }
                let names: Vec<&str> = kept.iter().map(|secret| secret.name.as_str()).collect();
                let first = match order {
                    Order::Ascending => ["000", "001", "002"],
                    Order::Descending => ["999", "998", "997"],
                };
                assert_eq!(names, first, "{by:?} {order:?}");
            }
        }
    }

    #[test]
    fn scheduled_secrets_are_hidden_unless_asked_for() {
        let mut subject = secret("a");
        subject.deletion = Some(Timestamp(0));
        let mut query = query(SortBy::Name, Order::Ascending);
        assert!(!query.wants(&subject));
        query.with_scheduled = true;
        assert!(query.wants(&subject));
    }
}
