use super::common::{Tag, authorized_role, bad_marker};
use super::role_entry::RoleEntry;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};

/// Lists the instance profiles of a role: none, for there are no instances here. Terraform asks
/// before it deletes a role.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListInstanceProfilesForRole {
    role_name: String,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListInstanceProfilesForRoleResponse {
    instance_profiles: Vec<InstanceProfile>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceProfile {
    path: String,
    instance_profile_name: String,
    instance_profile_id: String,
    arn: Arn,
    create_date: Timestamp,
    roles: Vec<RoleEntry>,
    tags: Option<Vec<Tag>>,
}

impl Operation for ListInstanceProfilesForRole {
    type Service = Iam;
    type Response = ListInstanceProfilesForRoleResponse;
    const NAME: &'static str = "ListInstanceProfilesForRole";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["RoleName", "Marker", "MaxItems"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<ListInstanceProfilesForRoleResponse, Error> {
        let action = "iam:ListInstanceProfilesForRole";
        authorized_role(call, &self.role_name, action, Conditions::default()).await?;
        if self.marker.is_some() {
            return Err(bad_marker());
        }
        Ok(ListInstanceProfilesForRoleResponse {
            instance_profiles: Vec::new(),
            is_truncated: false,
            marker: None,
        })
    }
}
