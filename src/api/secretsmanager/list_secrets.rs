use super::common::page_size;
use super::shapes::{ExternalRotationItem, RotationRules, Tag};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::{self, Order, Query, Secret, SortBy};
use crate::types::{Arn, Timestamp};
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
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_enabled: Option<bool>,
    #[serde(rename = "RotationLambdaARN", skip_serializing_if = "Option::is_none")]
    rotation_lambda_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_rules: Option<RotationRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_secret_rotation_metadata: Option<Vec<ExternalRotationItem>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_secret_rotation_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotated_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_changed_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_versions_to_stages: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owning_service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_region: Option<String>,
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
        // A position means something in one order only.
        let list = format!("ListSecrets {by:?} {order:?}");
        let after =
            call.resume(&list, self.next_token.as_deref()).ok_or(Error::InvalidNextToken)?;
        let filters = self.filters.unwrap_or_default().into_iter();
        let filters = filters.map(|f| secrets::Filter::parse(f.key.as_deref(), f.values));
        let query = Query {
            filters: filters.collect::<Result<_, _>>()?,
            with_scheduled: self.include_planned_deletion == Some(true),
            by,
            order,
            after,
            size: page_size(self.max_results),
        };
        let listing = secrets::list(&call.tx, call.account(), call.region(), &query).await?;
        let next_token = listing.next.map(|last| call.marker_after(&list, &last));
        let secret_list = listing.secrets.iter().map(|secret| (&**secret).into()).collect();
        Ok(ListSecretsResponse { secret_list, next_token })
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
    /// What a secret does not have, AWS leaves out.
    fn from(secret: &Secret) -> Self {
        let labelled = secret.versions.labelled();
        Self {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            kind: None,
            description: secret.description.clone().filter(|text| !text.is_empty()),
            kms_key_id: secret.kms_key_id.clone(),
            rotation_enabled: None,
            rotation_lambda_arn: None,
            rotation_rules: None,
            external_secret_rotation_metadata: None,
            external_secret_rotation_role_arn: None,
            last_rotated_date: None,
            last_changed_date: Some(secret.changed),
            last_accessed_date: secret.accessed,
            // "The date and time the deletion of the secret occurred": of the call, other than
            // DescribeSecret has it (API reference, SecretListEntry).
            deleted_date: secret.deleted,
            next_rotation_date: None,
            tags: Tag::list(&secret.tags),
            secret_versions_to_stages: (!labelled.is_empty()).then_some(labelled),
            owning_service: None,
            created_date: Some(secret.created),
            primary_region: None,
        }
    }
}
