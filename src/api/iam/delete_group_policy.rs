use super::entities::remove;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Removes a policy from a group.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteGroupPolicy {
    group_name: String,
    policy_name: String,
}

impl Operation for DeleteGroupPolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteGroupPolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["GroupName", "PolicyName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whom = (EntityKind::Group, self.group_name.as_str());
        remove(call, whom, &self.policy_name, "iam:DeleteGroupPolicy").await
    }
}
