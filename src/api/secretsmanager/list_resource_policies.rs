use super::common::{authorized_secret, page_size};
use super::policies::DEFAULT;
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::MANAGED_POLICY;
use serde::{Deserialize, Serialize};

/// Lists the names of a secret's resource policies: the owner's first.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListResourcePolicies {
    secret_id: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListResourcePoliciesResponse {
    resource_policies: Vec<PolicySummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicySummary {
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_name: Option<String>,
}

impl Operation for ListResourcePolicies {
    type Service = SecretsManager;
    type Response = ListResourcePoliciesResponse;
    const NAME: &'static str = "ListResourcePolicies";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["SecretId", "MaxResults", "NextToken"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListResourcePoliciesResponse, Error> {
        let action = "secretsmanager:ListResourcePolicies";
        let secret =
            authorized_secret(call, &self.secret_id, action, Conditions::default()).await?;
        secret.alive()?;
        let list = format!("ListResourcePolicies {}", secret.arn);
        let after =
            call.resume(&list, self.next_token.as_deref()).ok_or(Error::InvalidNextToken)?;
        let own = secret.policy.as_ref().map(|_| DEFAULT);
        let managed = secret.primary_elsewhere().map(|_| MANAGED_POLICY);
        let names: Vec<&str> = own.into_iter().chain(managed).collect();
        let seen = after.and_then(|after| names.iter().position(|name| *name == after));
        let rest = names.get(seen.map_or(0, |at| at + 1)..).unwrap_or_default();
        let page = rest.get(..page_size(self.max_results)).unwrap_or(rest);
        let last = page.last().filter(|_| page.len() < rest.len());
        let next_token = last.map(|name| call.marker_after(&list, name));
        let one = |name: &&str| PolicySummary { policy_name: Some((*name).to_owned()) };
        let resource_policies = page.iter().map(one).collect();
        Ok(ListResourcePoliciesResponse { resource_policies, next_token })
    }
}
