use super::common::page_size;
use super::described::Described;
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::{self, Order, Query, Secret, SortBy};
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Lists the account's secrets in the region, without their values.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListSecrets {
    include_planned_deletion: Option<bool>,
    max_results: Option<i64>,
    next_token: Option<String>,
    filters: Option<Vec<Filter>>,
    sort_order: Option<String>,
    sort_by: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Filter {
    key: Option<String>,
    values: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListSecretsResponse {
    secret_list: Vec<SecretListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SecretListEntry {
    #[serde(flatten)]
    described: Described,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_versions_to_stages: Option<BTreeMap<String, Vec<String>>>,
}

impl Operation for ListSecrets {
    type Service = SecretsManager;
    type Response = ListSecretsResponse;
    const NAME: &'static str = "ListSecrets";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["IncludePlannedDeletion", "MaxResults", "NextToken", "Filters", "SortOrder", "SortBy"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListSecretsResponse, Error> {
        let action = "secretsmanager:ListSecrets";
        call.authorize(action, call.whole_account(), Conditions::default())?;
        let (by, order) = self.sorting();
        let filters = Filter::parse(self.filters)?;
        let with_scheduled = self.include_planned_deletion == Some(true);
        // A position means something in one list only.
        let list = format!("ListSecrets {by:?} {order:?} {with_scheduled} {filters:?}");
        let after =
            call.resume(&list, self.next_token.as_deref()).ok_or(Error::InvalidNextToken)?;
        let size = page_size(self.max_results);
        let query = Query { filters, with_scheduled, by, order, after, size };
        let listing = secrets::list(&call.tx, call.account(), call.region(), &query).await?;
        let next_token = listing.next.map(|last| call.marker_after(&list, &last));
        let secret_list = listing.secrets.iter().map(|secret| (&**secret).into()).collect();
        Ok(ListSecretsResponse { secret_list, next_token })
    }
}

impl Filter {
    pub(super) fn parse(filters: Option<Vec<Self>>) -> Result<Vec<secrets::Filter>, Error> {
        let one = |f: Self| secrets::Filter::parse(f.key.as_deref(), f.values);
        filters.unwrap_or_default().into_iter().map(one).collect()
    }
}

impl ListSecrets {
    /// The model knows no other values than these.
    fn sorting(&self) -> (SortBy, Order) {
        let by = match self.sort_by.as_deref() {
            Some("last-accessed-date") => SortBy::Accessed,
            Some("last-changed-date") => SortBy::Changed,
            Some("name") => SortBy::Name,
            _ => SortBy::Created,
        };
        let order = match self.sort_order.as_deref() {
            Some("desc") => Order::Descending,
            _ => Order::Ascending,
        };
        (by, order)
    }
}

impl From<&Secret> for SecretListEntry {
    fn from(secret: &Secret) -> Self {
        let labelled = secret.versions.labelled();
        Self {
            described: secret.into(),
            // "The date and time the deletion of the secret occurred": of the call, other than
            // DescribeSecret has it (API reference, SecretListEntry).
            deleted_date: secret.deleted,
            secret_versions_to_stages: (!labelled.is_empty()).then_some(labelled),
        }
    }
}
