use super::common::authorized_secret;
use super::{Error, SecretsManager, policies};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::{FoundSecret, MANAGED_POLICY};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Makes a replica a secret of its own, in its own region, whether the primary's is well or not.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StopReplicationToReplica {
    secret_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StopReplicationToReplicaResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
}

impl Operation for StopReplicationToReplica {
    type Service = SecretsManager;
    type Response = StopReplicationToReplicaResponse;
    const NAME: &'static str = "StopReplicationToReplica";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["SecretId"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN"];

    async fn execute(self, call: &mut Call<'_>) -> Result<StopReplicationToReplicaResponse, Error> {
        let action = "secretsmanager:StopReplicationToReplica";
        let secret =
            authorized_secret(call, &self.secret_id, action, Conditions::default()).await?;
        let now = call.now;
        if secret.primary_elsewhere().is_some() {
            // The managed policy goes with it (user guide, "Stop cross-account replication").
            let conditions = policies::conditions(Some(MANAGED_POLICY));
            let action = "secretsmanager:DeleteResourcePolicy";
            call.authorize(action, FoundSecret::clone(&secret), conditions)
                .map_err(|denied| denied.of(&self.secret_id))?;
            secret.alive()?;
            secret.end_cross_account(&mut call.tx, now).await?;
        } else {
            secret.promote(&mut call.tx, now).await?;
        }
        Ok(StopReplicationToReplicaResponse { arn: Some(secret.arn.clone()) })
    }
}
