use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::{ATTACHED_POLICIES, Counted, group, managed_policy, role, user};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts what the account has, beside what it may have.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetAccountSummary {}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetAccountSummaryResponse {
    summary_map: BTreeMap<String, usize>,
}

/// Quotas as AWS has them without asking for more.
const QUOTAS: &[(&str, usize)] = &[
    ("AccessKeysPerUserQuota", 2),
    ("AssumeRolePolicySizeQuota", role::TRUST_POLICY_CHARS),
    ("AttachedPoliciesPerGroupQuota", ATTACHED_POLICIES),
    ("AttachedPoliciesPerRoleQuota", ATTACHED_POLICIES),
    ("AttachedPoliciesPerUserQuota", ATTACHED_POLICIES),
    ("GroupPolicySizeQuota", group::INLINE_POLICY_CHARS),
    ("GroupsPerUserQuota", 10),
    ("GroupsQuota", Counted::Groups.most()),
    ("InstanceProfilesQuota", 1000),
    ("PoliciesQuota", Counted::Policies.most()),
    ("PolicySizeQuota", managed_policy::POLICY_CHARS),
    ("PolicyVersionsInUseQuota", Counted::PolicyVersions.most()),
    ("RolePolicySizeQuota", role::INLINE_POLICY_CHARS),
    ("RolesQuota", Counted::Roles.most()),
    ("ServerCertificatesQuota", 20),
    ("SigningCertificatesPerUserQuota", 2),
    ("UserPolicySizeQuota", user::INLINE_POLICY_CHARS),
    ("UsersQuota", Counted::Users.most()),
    ("VersionsPerPolicyQuota", managed_policy::VERSIONS),
];

const COUNTED: &[(&str, Counted)] = &[
    ("Users", Counted::Users),
    ("Groups", Counted::Groups),
    ("Roles", Counted::Roles),
    ("Policies", Counted::Policies),
    ("PolicyVersionsInUse", Counted::PolicyVersions),
    ("MFADevices", Counted::MfaDevices),
    ("MFADevicesInUse", Counted::MfaDevices),
];

/// What is the same for every account.
const SAME: &[(&str, usize)] = &[
    // What root has: its keys are the deployment's, and it has neither password nor device.
    ("AccountMFAEnabled", 0),
    ("AccountAccessKeysPresent", 0),
    ("AccountPasswordPresent", 0),
    ("AccountSigningCertificatesPresent", 0),
    ("GlobalEndpointTokenVersion", 1),
    ("InstanceProfiles", 0),
    ("ServerCertificates", 0),
];

impl Operation for GetAccountSummary {
    type Service = Iam;
    type Response = GetAccountSummaryResponse;
    const NAME: &'static str = "GetAccountSummary";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &[];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetAccountSummaryResponse, Error> {
        let whole = call.whole_account();
        call.authorize("iam:GetAccountSummary", whole, Conditions::default())?;
        let account = call.account().clone();
        let mut all: BTreeMap<String, usize> =
            QUOTAS.iter().chain(SAME).map(|(name, figure)| ((*name).to_owned(), *figure)).collect();
        for (name, counted) in COUNTED {
            let number = counted.number(&mut call.tx, &account).await?;
            all.insert((*name).to_owned(), number);
        }
        Ok(GetAccountSummaryResponse { summary_map: all })
    }
}
