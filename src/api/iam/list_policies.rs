use super::common::page_size;
use super::managed::PolicyEntry;
use super::walk::{Item, Stage, walk};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::aws_managed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Lists the account's managed policies and those that AWS gives everybody.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListPolicies {
    scope: Option<String>,
    only_attached: Option<bool>,
    path_prefix: Option<String>,
    policy_usage_filter: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListPoliciesResponse {
    policies: Vec<PolicyEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListPolicies {
    type Service = Iam;
    type Response = ListPoliciesResponse;
    const NAME: &'static str = "ListPolicies";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["Scope", "OnlyAttached", "PathPrefix", "PolicyUsageFilter", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListPoliciesResponse, Error> {
        call.authorize("iam:ListPolicies", call.whole_account(), Conditions::default())?;
        let account = call.account().clone();
        let mut given = BTreeMap::new();
        for policy in aws_managed::all() {
            given.insert(policy.id.clone(), policy.uses(&mut call.tx, &account).await?);
        }
        let uses = |policy: &crate::identity::ManagedPolicy| {
            let own = (policy.attachments, policy.boundaries);
            given.get(&policy.id).copied().unwrap_or(own)
        };
        let prefix = self.path_prefix.as_deref().unwrap_or("/");
        let usage = self.policy_usage_filter.as_deref();
        let only_attached = self.only_attached.unwrap_or(false);
        let wanted = |item: &Item| {
            let Item::Policy(policy) = item else { return false };
            let (attachments, boundaries) = uses(policy);
            let used = match usage {
                Some("PermissionsPolicy") => attachments > 0,
                Some(_) => boundaries > 0,
                None => !only_attached || attachments > 0,
            };
            used && policy.path.starts_with(prefix)
        };
        let stages: &[Stage] = match self.scope.as_deref() {
            Some("Local") => &[Stage::Policies],
            Some("AWS") => &[Stage::AwsPolicies],
            _ => &[Stage::Policies, Stage::AwsPolicies],
        };
        let list = format!("ListPolicies {stages:?} {only_attached} {usage:?} {prefix}");
        let at = (self.marker.as_deref(), page_size(self.max_items));
        let (found, marker) = walk(call, &list, stages, at, wanted).await?;
        let policies = found.iter().filter_map(|item| match item {
            Item::Policy(policy) => Some(PolicyEntry::of(policy, uses(policy)).in_list()),
            Item::Entity(_) => None,
        });
        let policies = policies.collect();
        Ok(ListPoliciesResponse { policies, is_truncated: marker.is_some(), marker })
    }
}
