//! Structures of the model that several requests and answers have.
use super::Error;
use crate::secrets::parse_tags;
use crate::types::{Tags, Timestamp};
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

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExternalRotationItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// Where a secret is to be replicated to.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicaRegion {
    region: Option<String>,
    kms_key_id: Option<String>,
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
    last_accessed_date: Option<Timestamp>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CrossAccountPrimary {
    #[serde(rename = "PrimarySecretARN", skip_serializing_if = "Option::is_none")]
    primary_secret_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CrossAccountReplica {
    #[serde(rename = "ReplicaSecretARN", skip_serializing_if = "Option::is_none")]
    replica_secret_arn: Option<String>,
    #[serde(rename = "ReplicationRoleARN", skip_serializing_if = "Option::is_none")]
    replication_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
}
