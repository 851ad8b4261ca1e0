use super::common::{authorized_secret, save};
use super::replicate::{record_removal, statuses};
use super::shapes::ReplicationStatus;
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::types::{Arn, Region};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Destroys a secret's replicas in some regions.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoveRegionsFromReplication {
    secret_id: String,
    remove_replica_regions: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoveRegionsFromReplicationResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<Vec<ReplicationStatus>>,
}

impl Operation for RemoveRegionsFromReplication {
    type Service = SecretsManager;
    type Response = RemoveRegionsFromReplicationResponse;
    const NAME: &'static str = "RemoveRegionsFromReplication";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["SecretId", "RemoveReplicaRegions"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN", "ReplicationStatus"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<RemoveRegionsFromReplicationResponse, Error> {
        let action = "secretsmanager:RemoveRegionsFromReplication";
        let secret =
            authorized_secret(call, &self.secret_id, action, Conditions::default()).await?;
        let mut secret = secret.edit()?;
        let invalid = |()| Error::InvalidParameter("Invalid replica region.".into());
        let known = |name: &String| {
            let region: Region = name.parse().map_err(|_| ())?;
            secret.replication.in_region(&region).map(|_| region).ok_or(())
        };
        let regions = self.remove_replica_regions.iter().map(known);
        let regions = regions.collect::<Result<BTreeSet<Region>, ()>>().map_err(invalid)?;
        for region in regions {
            if let Some(replica) = secret.remove_replica(&mut call.tx, &region).await? {
                record_removal(call, &replica);
            }
        }
        let secret = save(call, secret).await?;
        Ok(RemoveRegionsFromReplicationResponse {
            arn: Some(secret.arn.clone()),
            // An empty list where no replica is left, as AWS answers it.
            replication_status: Some(statuses(call, &secret).await?.unwrap_or_default()),
        })
    }
}
