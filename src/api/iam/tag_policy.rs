use super::common::{Tag, add_tags};
use super::managed::policy_to_change;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Gives a managed policy tags.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagPolicy {
    policy_arn: String,
    tags: Vec<Tag>,
}

impl Operation for TagPolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "TagPolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["PolicyArn", "Tags"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let new = Tag::parse(Some(self.tags))?;
        let mut conditions = Conditions::default();
        conditions.add_request_tags(&new);
        let (policy, allowed) =
            policy_to_change(call, &self.policy_arn, "iam:TagPolicy", conditions).await?;
        let mut tags = policy.tags.clone();
        add_tags(&mut tags, new)?;
        policy.set_tags(&allowed, &mut call.tx, tags)?;
        Ok(Empty)
    }
}
