//! What DescribeSecret and ListSecrets both say of a secret. What it does not have, AWS leaves out.
use super::shapes::{ExternalRotationItem, RotationRules, Tag};
use crate::secrets::{Replication, Secret};
use crate::types::{Arn, Region, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Described {
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
    next_rotation_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
    /// No service makes secrets of its own here.
    #[serde(skip_serializing_if = "Option::is_none")]
    owning_service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_region: Option<String>,
}

impl From<&Secret> for Described {
    fn from(secret: &Secret) -> Self {
        let rotation = secret.rotation.as_ref();
        let window = rotation.filter(|rotation| rotation.enabled).and_then(|r| r.window);
        let replicated = secret.replication != Replication::Alone;
        Self {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            kind: secret.kind.clone(),
            description: secret.description.clone().filter(|text| !text.is_empty()),
            kms_key_id: secret.kms_key_id.clone(),
            rotation_enabled: rotation.map(|rotation| rotation.enabled),
            rotation_lambda_arn: rotation.and_then(|r| r.function.as_ref()).map(Arn::to_string),
            rotation_rules: rotation.and_then(|r| r.rules.as_ref()).map(RotationRules::from),
            external_secret_rotation_metadata: rotation
                .and_then(|r| ExternalRotationItem::list(&r.external_metadata)),
            external_secret_rotation_role_arn: rotation.and_then(|r| r.external_role.clone()),
            last_rotated_date: rotation.and_then(|rotation| rotation.last),
            last_changed_date: Some(secret.changed),
            last_accessed_date: secret.accessed,
            next_rotation_date: window.map(|(_, end)| end),
            tags: Tag::list(&secret.tags),
            owning_service: None,
            created_date: Some(secret.created),
            primary_region: replicated.then(|| secret.primary_region()).map(Region::to_string),
        }
    }
}
