use super::entities::detach;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Detaches a managed policy from a group.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetachGroupPolicy {
    group_name: String,
    policy_arn: String,
}

impl Operation for DetachGroupPolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DetachGroupPolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["GroupName", "PolicyArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whom = (EntityKind::Group, self.group_name.as_str());
        detach(call, whom, &self.policy_arn, "iam:DetachGroupPolicy").await
    }
}
