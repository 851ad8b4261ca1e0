use super::common::authorized_group;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Deletes a group that has no users and no policies left.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteGroup {
    group_name: String,
}

impl Operation for DeleteGroup {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteGroup";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["GroupName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "iam:DeleteGroup";
        let (group, allowed) =
            authorized_group(call, &self.group_name, action, Conditions::default()).await?;
        group.delete(&allowed, &mut call.tx).await?;
        Ok(Empty)
    }
}
