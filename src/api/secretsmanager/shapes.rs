//! Structures of the model that several requests and answers have.
use super::Error;
use crate::keys::SECRETS_MANAGER_ALIAS;
use crate::secrets::rotation::Rules;
use crate::secrets::{Replica, Replication, parse_tags};
use crate::types::{Region, Tags, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl Tag {
    pub(super) fn parse(tags: Option<Vec<Self>>) -> Result<Tags, Error> {
        let missing = || Error::InvalidParameter("Every tag needs a Key.".into());
        let pair = |tag: Self| Ok((tag.key.ok_or_else(missing)?, tag.value.unwrap_or_default()));
        let pairs = tags.unwrap_or_default().into_iter().map(pair);
        parse_tags(pairs.collect::<Result<Vec<_>, Error>>()?)
    }

    /// As answers show them: no list rather than an empty one.
    pub(super) fn list(tags: &Tags) -> Option<Vec<Self>> {
        let one = |(key, value): (&String, &String)| Self {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        (!tags.0.is_empty()).then(|| tags.0.iter().map(one).collect())
    }
}

/// When a secret rotates.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotationRules {
    #[serde(skip_serializing_if = "Option::is_none")]
    automatically_after_days: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule_expression: Option<String>,
}

impl From<&RotationRules> for Rules {
    fn from(rules: &RotationRules) -> Self {
        Self {
            after_days: rules.automatically_after_days,
            duration: rules.duration.clone(),
            schedule: rules.schedule_expression.clone(),
        }
    }
}

impl From<&Rules> for RotationRules {
    fn from(rules: &Rules) -> Self {
        Self {
            automatically_after_days: rules.after_days,
            duration: rules.duration.clone(),
            schedule_expression: rules.schedule.clone(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExternalRotationItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl ExternalRotationItem {
    pub(super) fn parse(items: &[Self]) -> Result<Vec<(String, String)>, Error> {
        let text = "Every item of ExternalSecretRotationMetadata needs a Key and a Value.";
        let missing = || Error::InvalidParameter(text.into());
        let pair = |item: &Self| item.key.clone().zip(item.value.clone()).ok_or_else(missing);
        items.iter().map(pair).collect()
    }

    /// As answers show them: no list rather than an empty one.
    pub(super) fn list(items: &[(String, String)]) -> Option<Vec<Self>> {
        let one = |(key, value): &(String, String)| Self {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        (!items.is_empty()).then(|| items.iter().map(one).collect())
    }
}

/// Where a secret is to be replicated to.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicaRegion {
    pub(super) region: Option<String>,
    pub(super) kms_key_id: Option<String>,
}

/// How a replica is doing.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicationStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_accessed_date: Option<Timestamp>,
}

impl ReplicationStatus {
    /// How the replicas of a secret are doing; no list if it has none. When each was read, its own
    /// region knows.
    pub(super) fn list(replication: &Replication) -> Option<Vec<Self>> {
        let one = |(region, replica): (&Region, &Replica)| Self {
            region: Some(region.to_string()),
            kms_key_id: Some(replica.kms_key_id.clone().unwrap_or(SECRETS_MANAGER_ALIAS.into())),
            status: Some(if replica.failure.is_none() { "InSync" } else { "Failed" }.into()),
            status_message: Some(
                replica.failure.clone().unwrap_or_else(|| "Replication succeeded".into()),
            ),
            last_accessed_date: None,
        };
        let all: Vec<Self> = replication.replicas().map(one).collect();
        (!all.is_empty()).then_some(all)
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CrossAccountPrimary {
    #[serde(rename = "PrimarySecretARN", skip_serializing_if = "Option::is_none")]
    pub(super) primary_secret_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replication_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status_message: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CrossAccountReplica {
    #[serde(rename = "ReplicaSecretARN", skip_serializing_if = "Option::is_none")]
    pub(super) replica_secret_arn: Option<String>,
    #[serde(rename = "ReplicationRoleARN", skip_serializing_if = "Option::is_none")]
    pub(super) replication_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replication_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status_message: Option<String>,
}
