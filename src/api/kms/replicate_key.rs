use super::common::{Tag, authorized_key, own};
use super::create_key::{CreateKey, CreateKeyResponse};
use super::get_key_policy::DEFAULT;
use super::metadata::KeyMetadata;
use super::put_key_policy::bind_policy;
use super::{Error, Kms};
use crate::authorize::{Authorized, Conditions};
use crate::call::{Call, Operation};
use crate::keys::{self, Accept, Found, Key, KeyState, NewReplica};
use crate::quotas::Quota;
use crate::types::Tags;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Makes the key of one more region of a multi-Region primary key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicateKey {
    key_id: String,
    replica_region: String,
    policy: Option<String>,
    bypass_policy_lockout_safety_check: Option<bool>,
    description: Option<String>,
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicateKeyResponse {
    replica_key_metadata: Option<KeyMetadata>,
    replica_policy: Option<String>,
    replica_tags: Option<Vec<Tag>>,
}

/// AWS counts a replica as so many CreateKey requests in its region.
const CREATIONS: u32 = 2;

impl Operation for ReplicateKey {
    type Service = Kms;
    type Response = ReplicateKeyResponse;
    const NAME: &'static str = "ReplicateKey";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[
        "KeyId",
        "ReplicaRegion",
        "Policy",
        "BypassPolicyLockoutSafetyCheck",
        "Description",
        "Tags",
    ];
    const ANSWER_RECORDED: &'static [&'static str] =
        &["ReplicaKeyMetadata", "ReplicaPolicy", "ReplicaTags"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ReplicateKeyResponse, Error> {
        let tags = Tag::parse(self.tags.clone())?;
        let mut conditions = Conditions::default();
        conditions.add("kms:replicaregion", self.replica_region.as_str());
        conditions.add_request_tags(&tags);
        let action = "kms:ReplicateKey";
        let key = authorized_key(call, &self.key_id, Accept::Key, action, conditions).await?;
        own(call, &key)?;
        key.is_primary_for(Self::NAME)?;
        let region = call.served(&self.replica_region).ok_or_else(|| {
            let region = &self.replica_region;
            Error::Unsupported(format!("{} cannot be replicated to Region {region}.", key.arn))
        })?;
        key.is_not_yet_in(&mut call.tx, region).await?;
        let replica_tags = self.tags.clone().unwrap_or_default();
        // What AWS's log shows in the replica's region.
        let creation = self.into_creation(&key);
        let new = NewReplica {
            region: region.clone(),
            description: creation.description.clone().unwrap_or_default(),
            policy: keys::default_policy(call.account()),
            tags,
        };
        let replica_policy = creation.policy.clone();
        let replica_policy = replica_policy.unwrap_or_else(|| new.policy.text().to_owned());
        let create = async |call: &mut Call<'_>| create(call, &key, &creation, new).await;
        let made = call.in_region(region, &creation, create).await?;
        Ok(ReplicateKeyResponse {
            replica_key_metadata: Some(made.key_metadata),
            replica_policy: Some(replica_policy),
            replica_tags: Some(replica_tags),
        })
    }
}

impl ReplicateKey {
    fn into_creation(self, key: &Key) -> CreateKey {
        CreateKey {
            policy: self.policy,
            description: self.description,
            key_usage: Some(key.usage.to_string()),
            customer_master_key_spec: None,
            key_spec: Some(key.spec.to_string()),
            origin: Some(key.origin.as_str().into()),
            custom_key_store_id: None,
            bypass_policy_lockout_safety_check: self.bypass_policy_lockout_safety_check,
            tags: self.tags,
            multi_region: Some(true),
            xks_key_id: None,
        }
    }
}

/// What happens in the replica's region. The caller needs the permissions of CreateKey there.
async fn create(
    call: &mut Call<'_>,
    key: &Authorized<Found>,
    request: &CreateKey,
    mut new: NewReplica,
) -> Result<CreateKeyResponse, Error> {
    let bypass = request.bypass_policy_lockout_safety_check.unwrap_or(false);
    let mut conditions = conditions(call, key, bypass, &new.tags);
    if !new.tags.0.is_empty() {
        call.authorize("kms:TagResource", call.whole_account(), conditions.clone())?;
    }
    let allowed = call.authorize("kms:CreateKey", call.whole_account(), conditions.clone())?;
    call.throttle_in(call.region(), Quota::CREATE_KEY, CREATIONS)?;
    if let Some(text) = &request.policy {
        conditions.add("kms:policyname", DEFAULT);
        conditions.add_tags("aws:resourcetag/", &new.tags);
        let arn = keys::arn(call.account(), call.region(), &key.id);
        let next_time = (!bypass).then_some((&arn, conditions));
        new.policy = bind_policy(call, text.clone(), next_time).await?;
    }
    let (account, region, most) = (call.account(), call.region(), call.resource_quotas().keys);
    keys::check_count(&mut call.tx, account, region, most).await?;
    let now = call.now;
    let replica = key.replicate(&allowed, &mut call.tx, new, now).await?;
    call.touched("AWS::KMS::Key", &replica.arn);
    // It is ready when the call is; programs for AWS wait for that after the answer.
    let shown = Key { state: KeyState::Creating, ..Key::clone(&replica) };
    let shown = Found::of(&mut call.tx, Arc::new(shown), None).await?;
    Ok(CreateKeyResponse { key_metadata: KeyMetadata::from(&shown) })
}

fn conditions(call: &Call<'_>, key: &Key, bypass: bool, tags: &Tags) -> Conditions {
    let mut conditions = Conditions::default();
    keys::describe(&mut conditions, key.spec, key.usage, key.origin);
    conditions.add("kms:multiregion", "true");
    conditions.add("kms:multiregionkeytype", "REPLICA");
    conditions.add("kms:bypasspolicylockoutsafetycheck", if bypass { "true" } else { "false" });
    conditions.add("kms:calleraccount", call.account().as_str());
    conditions.add_request_tags(tags);
    conditions
}
