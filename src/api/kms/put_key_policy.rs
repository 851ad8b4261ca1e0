use super::common::{authorized_key, own};
use super::get_key_policy::DEFAULT;
use super::{Error, Kms};
use crate::authorize::{Conditions, Protected};
use crate::call::{Call, Empty, Operation};
use crate::identity::{self, BindError};
use crate::keys::Accept;
use crate::policy::{BoundPolicy, Kind, Policy};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// The policy in which AWS Resource Access Manager keeps what it shares.
const OF_RAM: &str = "AWS_RAM";

/// Replaces a key's policy.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutKeyPolicy {
    key_id: String,
    policy_name: Option<String>,
    policy: String,
    bypass_policy_lockout_safety_check: Option<bool>,
}

impl Operation for PutKeyPolicy {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "PutKeyPolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "PolicyName", "Policy", "BypassPolicyLockoutSafetyCheck"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let name = self.policy_name.as_deref().unwrap_or(DEFAULT);
        let bypass = self.bypass_policy_lockout_safety_check.unwrap_or(false);
        let mut conditions = Conditions::default();
        conditions.add("kms:policyname", name);
        conditions.add("kms:bypasspolicylockoutsafetycheck", if bypass { "true" } else { "false" });
        let action = "kms:PutKeyPolicy";
        let same = conditions.clone();
        let key = authorized_key(call, &self.key_id, Accept::Key, action, conditions).await?;
        own(call, &key)?;
        if name == OF_RAM {
            let text = "The AWS_RAM policy can only be managed by the RAM service.";
            return Err(Error::Validation(text.into()));
        }
        if name != DEFAULT {
            return Err(Error::Validation("The policy name must be default.".into()));
        }
        let next_time = (!bypass).then(|| {
            let mut conditions = same;
            conditions.add("kms:calleraccount", call.account().as_str());
            key.describe(&mut conditions);
            (&key.arn, conditions)
        });
        let policy = bind_policy(call, self.policy, next_time).await?;
        key.set_policy(&mut call.tx, policy)?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}

/// A key policy as it is kept. AWS asks of it that it be readable, with principals that exist, and, if
/// not bypassed, that it let the caller change it again: `next_time` is the key, and the conditions
/// that such a call would have.
pub(super) async fn bind_policy(
    call: &mut Call<'_>,
    text: String,
    next_time: Option<(&Arn, Conditions)>,
) -> Result<BoundPolicy, Error> {
    let most = call.resource_quotas().key_policy_bytes;
    if text.len() > most {
        let text = format!("The policy is longer than {most} bytes.");
        return Err(Error::LimitExceeded(text));
    }
    let policy = Policy::parse(&text, Kind::Resource)?;
    let bound = identity::bind(&mut call.tx, text, &policy).await.map_err(|error| match error {
        BindError::Store(error) => error.into(),
        BindError::Unknown(_) => {
            let text = "Policy contains a statement with one or more invalid principals.";
            Error::MalformedPolicy(text.into())
        }
    })?;
    if let Some((key, conditions)) = next_time
        && !call.would_allow("kms:PutKeyPolicy", key, &bound.compile(Kind::Resource), conditions)
    {
        let text = "The new key policy will not allow you to update the key policy in the future.";
        return Err(Error::MalformedPolicy(text.into()));
    }
    Ok(bound)
}
