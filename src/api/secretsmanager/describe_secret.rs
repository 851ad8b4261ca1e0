use super::common::authorized_secret;
use super::shapes::{
    CrossAccountPrimary, CrossAccountReplica, ExternalRotationItem, ReplicationStatus,
    RotationRules, Tag,
};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::Secret;
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Says what a secret is, without its value. Works on one that is scheduled for deletion too.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSecret {
    secret_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSecretResponse {
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
    version_ids_to_stages: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owning_service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<Vec<ReplicationStatus>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_account_primary: Option<CrossAccountPrimary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_account_replicas: Option<Vec<CrossAccountReplica>>,
}

impl Operation for DescribeSecret {
    type Service = SecretsManager;
    type Response = DescribeSecretResponse;
    const NAME: &'static str = "DescribeSecret";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["SecretId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<DescribeSecretResponse, Error> {
        let action = "secretsmanager:DescribeSecret";
        let secret =
            authorized_secret(call, &self.secret_id, action, Conditions::default()).await?;
        Ok(DescribeSecretResponse::from(&**secret))
    }
}

impl From<&Secret> for DescribeSecretResponse {
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
            // "The date the secret is scheduled for deletion" (API reference, DescribeSecret).
            deleted_date: secret.deletion,
            next_rotation_date: None,
            tags: Tag::list(&secret.tags),
            version_ids_to_stages: (!labelled.is_empty()).then_some(labelled),
            owning_service: None,
            created_date: Some(secret.created),
            primary_region: None,
            replication_status: None,
            cross_account_primary: None,
            cross_account_replicas: None,
        }
    }
}
