use super::common::{authorized_secret, save_replicated};
use super::replicate::{Wanted, describe, statuses};
use super::shapes::{ReplicaRegion, ReplicationStatus};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Makes replicas of a secret in other regions, or tries again where that failed.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicateSecretToRegions {
    secret_id: String,
    add_replica_regions: Vec<ReplicaRegion>,
    force_overwrite_replica_secret: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicateSecretToRegionsResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<Vec<ReplicationStatus>>,
}

impl Operation for ReplicateSecretToRegions {
    type Service = SecretsManager;
    type Response = ReplicateSecretToRegionsResponse;
    const NAME: &'static str = "ReplicateSecretToRegions";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] =
        &["SecretId", "AddReplicaRegions", "ForceOverwriteReplicaSecret"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN", "ReplicationStatus"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ReplicateSecretToRegionsResponse, Error> {
        let overwrite = self.force_overwrite_replica_secret;
        let mut conditions = Conditions::default();
        describe(&mut conditions, Some(&self.add_replica_regions), overwrite);
        let action = "secretsmanager:ReplicateSecretToRegions";
        let secret = authorized_secret(call, &self.secret_id, action, conditions).await?;
        let mut secret = secret.edit()?;
        let wanted = Wanted::parse(call, &secret.account, self.add_replica_regions, overwrite)?;
        for (region, named) in &wanted.regions {
            secret.replicate_to(region, named.clone())?;
        }
        let secret = save_replicated(call, secret, &wanted).await?;
        Ok(ReplicateSecretToRegionsResponse {
            arn: Some(secret.arn.clone()),
            replication_status: statuses(call, &secret).await?,
        })
    }
}
