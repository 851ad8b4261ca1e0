use super::common::authorized_secret;
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Ends sending a secret's values to a secret of another account. That one keeps what it has, and stays
/// a replica until its own account ends that too.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisassociateCrossAccountReplica {
    secret_id: String,
    #[serde(rename = "CrossAccountReplicaARN")]
    cross_account_replica_arn: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisassociateCrossAccountReplicaResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(rename = "CrossAccountReplicaARN", skip_serializing_if = "Option::is_none")]
    cross_account_replica_arn: Option<Arn>,
}

impl Operation for DisassociateCrossAccountReplica {
    type Service = SecretsManager;
    type Response = DisassociateCrossAccountReplicaResponse;
    const NAME: &'static str = "DisassociateCrossAccountReplica";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["SecretId", "CrossAccountReplicaARN"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN", "CrossAccountReplicaARN"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<DisassociateCrossAccountReplicaResponse, Error> {
        let action = "secretsmanager:DisassociateCrossAccountReplica";
        let secret =
            authorized_secret(call, &self.secret_id, action, Conditions::default()).await?;
        secret.alive()?;
        let link = secret.replica_elsewhere().map(|(link, _)| link.other.clone());
        let Some(other) = link.filter(|other| other.as_str() == self.cross_account_replica_arn)
        else {
            let text = "The secret is not associated with this cross-account replica.";
            return Err(Error::InvalidRequest(text));
        };
        let now = call.now;
        secret.end_cross_account(&mut call.tx, now).await?;
        Ok(DisassociateCrossAccountReplicaResponse {
            arn: Some(secret.arn.clone()),
            cross_account_replica_arn: Some(other),
        })
    }
}
