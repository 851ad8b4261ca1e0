use super::common::remove_tags;
use super::managed::policy_to_change;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Takes tags from a managed policy. Names that are not there are passed over.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagPolicy {
    policy_arn: String,
    tag_keys: Vec<String>,
}

impl Operation for UntagPolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "UntagPolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["PolicyArn", "TagKeys"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let mut conditions = Conditions::default();
        conditions.add_all("aws:tagkeys", self.tag_keys.iter());
        let (policy, allowed) =
            policy_to_change(call, &self.policy_arn, "iam:UntagPolicy", conditions).await?;
        let mut tags = policy.tags.clone();
        remove_tags(&mut tags, self.tag_keys.iter());
        policy.set_tags(&allowed, &mut call.tx, tags)?;
        Ok(Empty)
    }
}
