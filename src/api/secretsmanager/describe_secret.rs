use super::common::authorized_secret;
use super::cross_account;
use super::described::Described;
use super::replicate::statuses;
use super::shapes::{CrossAccountPrimary, CrossAccountReplica, ReplicationStatus};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::Secret;
use crate::types::Timestamp;
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
    #[serde(flatten)]
    described: Described,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_ids_to_stages: Option<BTreeMap<String, Vec<String>>>,
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
        let replication_status = statuses(call, &secret).await?;
        Ok(DescribeSecretResponse { replication_status, ..DescribeSecretResponse::from(&**secret) })
    }
}

impl From<&Secret> for DescribeSecretResponse {
    fn from(secret: &Secret) -> Self {
        let labelled = secret.versions.labelled();
        let (cross_account_primary, cross_account_replicas) = cross_account::shown(secret);
        Self {
            described: secret.into(),
            // "The date the secret is scheduled for deletion" (API reference, DescribeSecret).
            deleted_date: secret.deletion,
            version_ids_to_stages: (!labelled.is_empty()).then_some(labelled),
            replication_status: None,
            cross_account_primary,
            cross_account_replicas,
        }
    }
}
