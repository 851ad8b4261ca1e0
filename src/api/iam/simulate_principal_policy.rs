use super::entities::authorized_entity;
use super::get_context_keys_for_principal_policy::source;
use super::simulation::{
    ContextEntry, SimulatePolicyResponse, Simulation, Source, Who, given_boundary, simulate,
};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::{Attachments, Entity, EntityKind, Group, ManagedPolicy};
use crate::policy::{Kind, Policy};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Says what a user, a role or the members of a group may do.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SimulatePrincipalPolicy {
    policy_source_arn: String,
    policy_input_list: Option<Vec<String>>,
    permissions_boundary_policy_input_list: Option<Vec<String>>,
    policy_exclusion_list: Option<Vec<PolicyIdentifier>>,
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

/// A policy, or all of a type, that is to be left out.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyIdentifier {
    inline_policy_identifier: Option<InlinePolicyIdentifier>,
    policy_arn: Option<String>,
    policy_type: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InlinePolicyIdentifier {
    attachment_type: String,
    attachment_name: String,
    policy_name: String,
}

impl PolicyIdentifier {
    fn is_inline(&self, whose: EntityKind, owner: &str, name: &str) -> bool {
        let this = self.inline_policy_identifier.as_ref().is_some_and(|inline| {
            inline.attachment_type == whose.word()
                && inline.attachment_name == owner
                && inline.policy_name == name
        });
        this || self.policy_type.as_deref() == Some("inline")
    }

    fn is_managed(&self, arn: &str, kind: &str) -> bool {
        self.policy_arn.as_deref() == Some(arn) || self.policy_type.as_deref() == Some(kind)
    }
}

impl Operation for SimulatePrincipalPolicy {
    type Service = Iam;
    type Response = SimulatePolicyResponse;
    const NAME: &'static str = "SimulatePrincipalPolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["PolicySourceArn", "PolicyInputList", "ActionNames", "ResourceArns", "CallerArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<SimulatePolicyResponse, Error> {
        let (kind, name) = source(&self.policy_source_arn, call.account().as_str())?;
        let action = "iam:SimulatePrincipalPolicy";
        let (entity, _) =
            authorized_entity(call, (kind, &name), action, Conditions::default()).await?;
        if entity.arn().as_str() != self.policy_source_arn {
            let text = format!("{} cannot be found.", self.policy_source_arn);
            return Err(Error::NoSuchEntity(text));
        }
        let excluded = self.policy_exclusion_list.unwrap_or_default();
        let mut policies = carried(call, &entity, &excluded).await?;
        let given = self.policy_input_list.unwrap_or_default();
        policies.extend(Source::given_list("PolicyInputList", &given)?);
        let boundary = match given_boundary(self.permissions_boundary_policy_input_list)? {
            Some(given) => Some(given),
            None => own_boundary(call, &entity, &excluded).await?,
        };
        let who = match &self.caller_arn {
            Some(arn) => Who::user(call, arn).await?,
            None if self.resource_policy.is_some() && kind != EntityKind::User => {
                let text = "CallerArn is required if you include a ResourcePolicy and the \
                            PolicySourceArn is not the ARN for an IAM user.";
                return Err(Error::InvalidInput(text.into()));
            }
            None => itself(call, &entity),
        };
        let list = format!("SimulatePrincipalPolicy {}", self.policy_source_arn);
        let asked = Simulation {
            who,
            policies,
            boundary,
            actions: self.action_names,
            resources: self.resource_arns,
            resource_policy: self.resource_policy,
            resource_owner: self.resource_owner,
            context: self.context_entries,
            max_items: self.max_items,
            marker: self.marker,
        };
        simulate(call, &list, asked).await
    }
}

/// The user, or somebody who has assumed the role. Of a group it is not known who asks.
fn itself(call: &Call<'_>, entity: &Entity) -> Who {
    match entity {
        Entity::Group(_) => Who::anybody(call.account()),
        Entity::Role(role) => Who {
            principal: role.principal(Some("simulation")),
            tags: role.tags.clone(),
            // Its second half is the name of the session.
            unknown: &["aws:userid"],
        },
        Entity::User(user) => {
            Who { principal: user.principal(), tags: user.tags.clone(), unknown: &[] }
        }
    }
}

/// All policies of the entity and, of a user, those of its groups.
async fn carried(
    call: &mut Call<'_>,
    entity: &Entity,
    excluded: &[PolicyIdentifier],
) -> Result<Vec<Source>, Error> {
    let mut all = Vec::new();
    let whose = (entity.kind(), entity.name());
    collect(call, whose, entity.policies(), excluded, &mut all).await?;
    if let Entity::User(user) = entity {
        for name in &user.groups {
            if let Some(group) = Group::load(&mut call.tx, &user.account, name).await? {
                let whose = (EntityKind::Group, group.name.as_str());
                collect(call, whose, &group.policies, excluded, &mut all).await?;
            }
        }
    }
    Ok(all)
}

async fn collect(
    call: &mut Call<'_>,
    (kind, owner): (EntityKind, &str),
    policies: &Attachments,
    excluded: &[PolicyIdentifier],
    all: &mut Vec<Source>,
) -> Result<(), Error> {
    for (name, text) in &policies.inline {
        if !excluded.iter().any(|one| one.is_inline(kind, owner, name)) {
            let policy = Arc::new(Policy::parse_stored(text, Kind::Identity));
            let id = format!("{}_{owner}_{name}", kind.word());
            all.push(Source::stored(id, kind.word(), text, policy));
        }
    }
    for arn in &policies.attached {
        if let Some(policy) = ManagedPolicy::by_arn(&mut call.tx, arn).await? {
            let kind = type_of(&policy);
            if !excluded.iter().any(|one| one.is_managed(arn, kind)) {
                all.push(managed(&policy));
            }
        }
    }
    Ok(())
}

fn type_of(policy: &ManagedPolicy) -> &'static str {
    if policy.account.is_none() { "aws-managed" } else { "user-managed" }
}

fn managed(policy: &ManagedPolicy) -> Source {
    let (id, compiled) = (policy.name.clone(), policy.compiled().policy);
    Source::stored(id, type_of(policy), policy.text(), compiled)
}

/// A boundary that cannot be found denies everything here too.
async fn own_boundary(
    call: &mut Call<'_>,
    entity: &Entity,
    excluded: &[PolicyIdentifier],
) -> Result<Option<Source>, Error> {
    let Some(arn) = entity.boundary() else { return Ok(None) };
    if excluded.iter().any(|one| one.is_managed(arn, "permission-boundary")) {
        return Ok(None);
    }
    Ok(Some(match ManagedPolicy::by_arn(&mut call.tx, arn).await? {
        Some(policy) => managed(&policy),
        None => {
            let unreadable = Arc::new(Policy::parse_stored("", Kind::Identity));
            Source::stored(arn.to_owned(), "user-managed", "", unreadable)
        }
    }))
}
