use super::common::{request_token, save_replicated};
use super::cross_account;
use super::external::describe_kind;
use super::kms::{describe_key, parse_key_id, try_key};
use super::policies;
use super::replicate::{self, Wanted, statuses};
use super::shapes::{ReplicaRegion, ReplicationStatus, Tag};
use super::values::{check_repeated, write_value};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::{MANAGED_POLICY, NewSecret, Secret, SecretValue};
use crate::types::{Arn, Plaintext, SecretText};
use serde::{Deserialize, Serialize};

/// Creates a secret, with a first version if a value is given.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSecret {
    name: String,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_binary: Option<Plaintext>,
    secret_string: Option<SecretText>,
    tags: Option<Vec<Tag>>,
    add_replica_regions: Option<Vec<ReplicaRegion>>,
    force_overwrite_replica_secret: Option<bool>,
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(rename = "CrossAccountPrimaryARN")]
    cross_account_primary_arn: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSecretResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<Vec<ReplicationStatus>>,
}

impl Operation for CreateSecret {
    type Service = SecretsManager;
    type Response = CreateSecretResponse;
    const NAME: &'static str = "CreateSecret";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[
        "Name",
        "ClientRequestToken",
        "Description",
        "KmsKeyId",
        "Tags",
        "AddReplicaRegions",
        "ForceOverwriteReplicaSecret",
        "CrossAccountPrimaryARN",
        "Type",
    ];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateSecretResponse, Error> {
        let tags = Tag::parse(self.tags)?;
        let key_id = self.kms_key_id.and_then(|named| parse_key_id(call, named));
        let random = call.random();
        let new = NewSecret::named(call.account(), call.region(), self.name, &*random)?;

        let mut conditions = Conditions::default();
        conditions.add("secretsmanager:name", new.name());
        if let Some(description) = &self.description {
            conditions.add("secretsmanager:description", description.as_str());
        }
        describe_kind(&mut conditions, self.kind.as_deref());
        conditions.add_request_tags(&tags);
        let overwrite = self.force_overwrite_replica_secret;
        replicate::describe(&mut conditions, self.add_replica_regions.as_deref(), overwrite);
        describe_key(call, key_id.as_deref(), &mut conditions).await?;
        let allowed =
            call.authorize("secretsmanager:CreateSecret", new.clone(), conditions.clone())?;
        if !tags.0.is_empty() {
            call.authorize("secretsmanager:TagResource", new.clone(), conditions)?;
        }
        if self.cross_account_primary_arn.is_some() {
            let conditions = policies::conditions(Some(MANAGED_POLICY));
            call.authorize("secretsmanager:PutResourcePolicy", new, conditions)?;
        }

        let token = request_token(self.client_request_token)?;
        let value = SecretValue::parse(self.secret_string, self.secret_binary)?;
        if let Some(existing) = allowed.existing(&mut call.tx).await? {
            if !is_repeated(call, &existing, &token, value.as_ref()).await? {
                return Err(allowed.taken());
            }
            return CreateSecretResponse::of(call, &existing, value.map(|_| token)).await;
        }
        let regions = self.add_replica_regions.unwrap_or_default();
        let wanted = Wanted::parse(call, call.account(), regions, overwrite)?;
        let link = match &self.cross_account_primary_arn {
            None => None,
            Some(named) => {
                let plain = value.is_none() && wanted.regions.is_empty();
                Some(cross_account::new_replica(call, named, key_id.as_deref(), plain)?)
            }
        };
        if let Some(named) = &key_id {
            try_key(call, &allowed.arn, named).await?;
        }
        let now = call.now;
        let mut secret = allowed.create(self.description, key_id, tags, &token, now);
        if let Some(kind) = self.kind {
            secret.set_kind(kind)?;
        }
        secret.set_cross_account(link);
        if let Some(value) = &value {
            write_value(call, &mut secret, &token, value, None).await?;
        }
        for (region, named) in &wanted.regions {
            secret.replicate_to(region, named.clone())?;
        }
        let secret = save_replicated(call, secret, &wanted).await?;
        CreateSecretResponse::of(call, &secret, value.map(|_| token)).await
    }
}

/// Whether it was this very request that made the secret: a client that missed the answer asks
/// again.
async fn is_repeated(
    call: &mut Call<'_>,
    existing: &Secret,
    token: &str,
    value: Option<&SecretValue>,
) -> Result<bool, Error> {
    // Another request's secret is not even looked into: whoever may create secrets must not learn by
    // trying what the existing ones hold.
    let made = existing.created_with == token;
    if !made {
        return Ok(false);
    }
    match (value, existing.versions.contains(token)) {
        (Some(value), true) => {
            check_repeated(call, existing, token, value).await?;
            Ok(made)
        }
        (None, false) => Ok(made),
        (Some(_), false) | (None, true) => Ok(false),
    }
}

impl CreateSecretResponse {
    async fn of(
        call: &mut Call<'_>,
        secret: &Secret,
        version_id: Option<String>,
    ) -> Result<Self, Error> {
        Ok(Self {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            version_id,
            replication_status: statuses(call, secret).await?,
        })
    }
}
