//! What the operations on managed policies share: permission, and how answers show a policy.
use super::Error;
use super::common::{Tag, url_encoded};
use crate::authorize::{Authorized, Conditions, Protected, Resource, Rule};
use crate::call::Call;
use crate::identity::ManagedPolicy;
use crate::identity::managed_policy::PolicyVersion;
use crate::policy::Policy;
use crate::types::{AccountId, Arn, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const POLICY: &str = "AWS::IAM::Policy";

/// The policy as answers show it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyEntry {
    policy_name: String,
    policy_id: String,
    arn: Arn,
    path: String,
    default_version_id: String,
    attachment_count: u32,
    permissions_boundary_usage_count: u32,
    is_attachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    create_date: Timestamp,
    update_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
}

impl PolicyEntry {
    /// With its counts in this account.
    pub fn of(policy: &ManagedPolicy, (attachments, boundaries): (u32, u32)) -> Self {
        Self {
            policy_name: policy.name.clone(),
            policy_id: policy.id.clone(),
            arn: policy.arn.clone(),
            path: policy.path.clone(),
            default_version_id: format!("v{}", policy.default),
            attachment_count: attachments,
            permissions_boundary_usage_count: boundaries,
            is_attachable: true,
            description: Some(policy.description.clone()).filter(|text| !text.is_empty()),
            create_date: policy.created.whole_secs(),
            update_date: policy.updated.whole_secs(),
            tags: Tag::shown(&policy.tags),
        }
    }

    /// As ListPolicies shows it: without description and tags.
    pub fn in_list(self) -> Self {
        Self { description: None, tags: None, ..self }
    }
}

/// A version of a policy as answers show it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VersionEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    version_id: String,
    is_default_version: bool,
    create_date: Timestamp,
}

impl VersionEntry {
    pub fn new(number: u32, is_default_version: bool, created: Timestamp) -> Self {
        Self {
            document: None,
            version_id: format!("v{number}"),
            is_default_version,
            create_date: created.whole_secs(),
        }
    }

    pub fn with(self, text: &str) -> Self {
        Self { document: Some(url_encoded(text)), ..self }
    }

    /// All versions with their texts, the newest first.
    pub fn all(policy: &ManagedPolicy) -> Vec<Self> {
        let versions = policy.versions.iter().rev();
        let entry = |(number, version): (&u32, &PolicyVersion)| {
            Self::new(*number, *number == policy.default, version.created).with(&version.text)
        };
        versions.map(entry).collect()
    }
}

/// The ARN of a managed policy; nothing else has permission to be asked about.
fn parsed(arn: &str) -> Result<Arn, Error> {
    let invalid = || Error::InvalidInput(format!("ARN {arn} is not valid."));
    let parsed: Arn = arn.parse().map_err(|_| invalid())?;
    let names_policy = parsed.service() == "iam" && parsed.resource().starts_with("policy/");
    if names_policy { Ok(parsed) } else { Err(invalid()) }
}

/// One of AWS's policies, as something of the caller's own account: everybody has them.
#[derive(Debug)]
struct GivenPolicy {
    arn: Arn,
    account: AccountId,
}

impl Protected for GivenPolicy {
    fn arn(&self) -> &str {
        self.arn.as_str()
    }
    fn account(&self) -> &str {
        self.account.as_str()
    }
    fn rule(&self) -> Rule {
        Rule::Identity
    }
    fn policy(&self) -> Option<&Policy> {
        None
    }
    fn kind(&self) -> &'static str {
        POLICY
    }
}

/// A policy that the caller may read: the account's own, or one of AWS's.
pub(super) async fn policy_to_read(
    call: &mut Call<'_>,
    arn: &str,
    action: &'static str,
) -> Result<Arc<ManagedPolicy>, Error> {
    if parsed(arn)?.account() == "aws" {
        let given = GivenPolicy { arn: parsed(arn)?, account: call.account().clone() };
        call.authorize(action, given, Conditions::default())?;
        return ManagedPolicy::find(&mut call.tx, arn).await;
    }
    policy_to_change(call, arn, action, Conditions::default()).await.map(|(policy, _)| policy)
}

/// A policy of the account that the caller may change. AWS's are in no account: nobody may.
pub(super) async fn policy_to_change(
    call: &mut Call<'_>,
    arn: &str,
    action: &'static str,
    mut conditions: Conditions,
) -> Result<(Arc<ManagedPolicy>, Authorized<Resource>), Error> {
    let arn = parsed(arn)?;
    // Permission first: whoever may not ask does not learn what exists.
    let found = ManagedPolicy::find(&mut call.tx, arn.as_str()).await;
    let tags = found.as_ref().map_or_else(|_| Tags::default(), |policy| policy.tags.clone());
    conditions.add_tag_spellings(&tags);
    let allowed = call.authorize(action, Resource { arn, kind: POLICY, tags }, conditions)?;
    Ok((found?, allowed))
}

/// What CreatePolicy asks about: a policy that is not there yet.
pub(super) fn new_policy(arn: Arn) -> Resource {
    Resource { arn, kind: POLICY, tags: Tags::default() }
}
