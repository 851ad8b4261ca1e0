use super::common::{bad_marker, page_of, page_size};
use super::managed::{VersionEntry, policy_to_read};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Lists the versions of a managed policy, the newest first.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListPolicyVersions {
    policy_arn: String,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListPolicyVersionsResponse {
    versions: Vec<VersionEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListPolicyVersions {
    type Service = Iam;
    type Response = ListPolicyVersionsResponse;
    const NAME: &'static str = "ListPolicyVersions";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["PolicyArn", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListPolicyVersionsResponse, Error> {
        let policy = policy_to_read(call, &self.policy_arn, "iam:ListPolicyVersions").await?;
        let list = format!("ListPolicyVersions {} {}", policy.arn, policy.id);
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        // Names by which the newest comes first.
        let backwards = |number: u32| format!("{:010}", u32::MAX - number);
        let versions = policy.versions.iter().rev().map(|(number, version)| {
            let is_default = *number == policy.default;
            (backwards(*number), VersionEntry::new(*number, is_default, version.created))
        });
        let (versions, last) = page_of(versions, after.as_deref(), page_size(self.max_items));
        let marker = last.map(|last| call.marker_after(&list, &last));
        Ok(ListPolicyVersionsResponse { versions, is_truncated: marker.is_some(), marker })
    }
}
