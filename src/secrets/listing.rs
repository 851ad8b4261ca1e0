//! The secrets of an account and region: filtered, sorted, a page at a time.
use super::{Filter, Secret, SecretError};
use crate::store::Tx;
use crate::types::{AccountId, Region, Timestamp};
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

/// Reads every secret of the account in the region: what is sorted by date has no index. With the
/// 500 000 that AWS allows this is slow, not wrong.
pub async fn list(
    tx: &Tx<'_>,
    account: &AccountId,
    region: &Region,
    query: &Query,
) -> Result<Listing, SecretError> {
    let mut wanted = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = Secret::page(tx, account, region, after.as_deref(), BATCH).await?;
        after = page.records.last().map(|(name, _)| name.clone()).filter(|_| page.more);
        wanted
            .extend(page.records.into_iter().map(|(_, secret)| secret).filter(|s| query.wants(s)));
        if after.is_none() {
            return Ok(query.page_of(wanted));
        }
    }
}

/// Where a secret stands in a list: its rank and its name, which holds no space.
fn position(by: SortBy, secret: &Secret) -> String {
    let digits = |at: Timestamp| format!("{:019}", at.0.max(0));
    let rank = match by {
        SortBy::Created => digits(secret.created),
        SortBy::Accessed => digits(secret.accessed.unwrap_or_default()),
        SortBy::Changed => digits(secret.changed),
        SortBy::Name => String::new(),
    };
    format!("{rank} {}", secret.name)
}

impl Query {
    fn wants(&self, secret: &Secret) -> bool {
        (self.with_scheduled || secret.deletion.is_none())
            && self.filters.iter().all(|filter| filter.passes(secret))
    }

    fn page_of(&self, all: Vec<Arc<Secret>>) -> Listing {
        let follows = |position: &String| match (&self.after, self.order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => position > after,
            (Some(after), Order::Descending) => position < after,
        };
        let mut rest: Vec<(String, Arc<Secret>)> = all
            .into_iter()
            .map(|secret| (position(self.by, &secret), secret))
            .filter(|(position, _)| follows(position))
            .collect();
        rest.sort_unstable_by(|(a, _), (b, _)| match self.order {
            Order::Ascending => a.cmp(b),
            Order::Descending => b.cmp(a),
        });
        let more = rest.len() > self.size;
        rest.truncate(self.size);
        let next = rest.last().map(|(position, _)| position.clone()).filter(|_| more);
        Listing { secrets: rest.into_iter().map(|(_, secret)| secret).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::secret::tests::secret;

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
