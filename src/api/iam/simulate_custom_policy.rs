use super::simulation::{
    ContextEntry, SimulatePolicyResponse, Simulation, Source, Who, given_boundary, simulate,
};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Says what policies that are at hand as text would allow.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SimulateCustomPolicy {
    policy_input_list: Vec<String>,
    permissions_boundary_policy_input_list: Option<Vec<String>>,
    ordered_organization_policy_input_list: Option<Vec<OrganizationPolicies>>,
    action_names: Vec<String>,
    resource_arns: Option<Vec<String>>,
    resource_policy: Option<String>,
    resource_owner: Option<String>,
    caller_arn: Option<String>,
    context_entries: Option<Vec<ContextEntry>>,
    /// Of EC2's scenarios, which AWS has given up.
    resource_handling_option: Option<String>,
    max_items: Option<i64>,
    marker: Option<String>,
}

/// The policies of one level of an organisation.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OrganizationPolicies {
    service_control_policy_input_list: Option<Vec<String>>,
}

impl Operation for SimulateCustomPolicy {
    type Service = Iam;
    type Response = SimulatePolicyResponse;
    const NAME: &'static str = "SimulateCustomPolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["PolicyInputList", "ActionNames", "ResourceArns", "CallerArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<SimulatePolicyResponse, Error> {
        let account = call.whole_account();
        call.authorize("iam:SimulateCustomPolicy", account, Conditions::default())?;
        if self.ordered_organization_policy_input_list.is_some_and(|levels| !levels.is_empty()) {
            let text = "OrderedOrganizationPolicyInputList is not supported by this endpoint.";
            return Err(Error::InvalidInput(text.into()));
        }
        let who = match &self.caller_arn {
            Some(arn) => Who::user(call, arn).await?,
            None if self.resource_policy.is_some() => {
                let text = "CallerArn is required if you include a ResourcePolicy.";
                return Err(Error::InvalidInput(text.into()));
            }
            None => Who::anybody(call.account()),
        };
        let asked = Simulation {
            who,
            policies: Source::given_list("PolicyInputList", &self.policy_input_list)?,
            boundary: given_boundary(self.permissions_boundary_policy_input_list)?,
            actions: self.action_names,
            resources: self.resource_arns,
            resource_policy: self.resource_policy,
            resource_owner: self.resource_owner,
            context: self.context_entries,
            max_items: self.max_items,
            marker: self.marker,
        };
        simulate(call, "SimulateCustomPolicy", asked).await
    }
}
