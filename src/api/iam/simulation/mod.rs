//! What the two simulations share: policies with the places of their statements, the request that is
//! imagined, and the answer. The decisions are the server's own.
//!
//! Beyond AWS's: a key of the caller's account is asked with its own policy and its grants, and a
//! role to be assumed with its trust policy, unless the request brings a policy for the resource. What
//! is elsewhere, or nowhere, or not for whoever asks to read, stands as if it had none.
mod shapes;
mod sight;
mod source;

pub use shapes::{ContextEntry, SimulatePolicyResponse};
pub(super) use source::{Source, Who, given_boundary};

use super::Error;
use super::common::{bad_marker, page_size};
use crate::authorize::{Caller, NamedPolicy, Rule};
use crate::call::Call;
use crate::policy::{Effect, Examined, Kind, PolicyKind, Spoken, ValueType, statement_spans};
use crate::simulate::{self, Answer, Context, Hypothetical, Sight, Target};
use crate::types::{AccountId, Arn, Principal};
use shapes::{
    EvaluationResult, MatchedStatement, PermissionsBoundaryDecisionDetail, ResourceSpecificResult,
};
use sight::may_read;
use std::collections::BTreeMap;

/// Actions times resources of one page of the answer: each is an evaluation of all the policies.
const MOST_EVALUATIONS: usize = 1000;
/// About how many bytes the results of a page are at most. It then ends before the action that would
/// not fit.
const MOST_BYTES: usize = 4 << 20;
/// Statements of all policies that are asked, and values of all condition keys together: what one
/// evaluation goes through.
const MOST_STATEMENTS: usize = 2000;
const MOST_VALUES: usize = 256;
/// Characters of one value.
const LONGEST_VALUE: usize = 2048;
/// Members that both requests have, and what was made of the others.
#[derive(Debug)]
pub(super) struct Simulation {
    pub who: Who,
    pub policies: Vec<Source>,
    pub boundary: Option<Source>,
    pub actions: Vec<String>,
    pub resources: Option<Vec<String>>,
    pub resource_policy: Option<String>,
    pub resource_owner: Option<String>,
    pub context: Option<Vec<ContextEntry>>,
    pub max_items: Option<i64>,
    pub marker: Option<String>,
}

/// The same, checked.
struct Imagined {
    caller: Caller,
    policies: Vec<Source>,
    boundary: Option<Source>,
    resource_policy: Option<Source>,
    /// Of what does not say in its ARN whose it is.
    owner: AccountId,
    context: Context,
}

/// Simulates one page of actions.
pub(super) async fn simulate(
    call: &mut Call<'_>,
    list: &str,
    mut asked: Simulation,
) -> Result<SimulatePolicyResponse, Error> {
    let actions = std::mem::take(&mut asked.actions);
    for action in &actions {
        check_action(action)?;
    }
    let resources = asked.resources.take().filter(|all| !all.is_empty());
    let resources = resources.unwrap_or_else(|| vec!["*".into()]);
    let resumed = call.resume(list, asked.marker.as_deref()).ok_or_else(bad_marker)?;
    let from: usize = resumed.map_or(Ok(0), |at| at.parse()).map_err(|_| bad_marker())?;
    let size = page_size(asked.max_items);
    let page: Vec<&String> = actions.iter().skip(from).take(size).collect();
    if page.len().saturating_mul(resources.len()) > MOST_EVALUATIONS {
        let text = format!(
            "A page must not have more than {MOST_EVALUATIONS} pairs of an action and a resource."
        );
        return Err(Error::InvalidInput(text));
    }
    let imagined = Imagined::new(asked)?;
    let (mut results, mut left) = (Vec::new(), MOST_BYTES);
    'page: for action in page {
        let mut outcomes = Vec::new();
        for resource in &resources {
            let outcome = imagined.evaluate(call, action, resource).await?;
            match left.checked_sub(outcome.result.weight()) {
                Some(rest) => left = rest,
                None if results.is_empty() => {
                    let text = format!(
                        "The results of {action} are too long for a page: name fewer resources."
                    );
                    return Err(Error::InvalidInput(text));
                }
                None => break 'page,
            }
            outcomes.push(outcome);
            // Many policies times many actions: others must get their turn.
            tokio::task::yield_now().await;
        }
        results.push(result(action, outcomes));
    }
    let done = from.saturating_add(results.len());
    let truncated = done < actions.len();
    Ok(SimulatePolicyResponse {
        evaluation_results: results,
        is_truncated: truncated,
        marker: truncated.then(|| call.marker_after(list, &done.to_string())),
    })
}

/// "This operation does not support using wildcards (*) in an action name."
fn check_action(action: &str) -> Result<(), Error> {
    let part = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let well_formed = action.split_once(':').is_some_and(|(s, name)| part(s) && part(name));
    let text = || Error::InvalidInput(format!("Invalid Action: {action}"));
    well_formed.then_some(()).ok_or_else(text)
}

/// The account of `arn:aws:iam::111122223333:root`.
fn account_of(arn: &str) -> Result<AccountId, Error> {
    let invalid = || Error::InvalidInput(format!("Invalid Resource Owner: {arn}"));
    let parsed: Arn = arn.parse().map_err(|_| invalid())?;
    let account: AccountId = parsed.account().parse().map_err(|_| invalid())?;
    if parsed != Principal::root(&account).arn {
        return Err(invalid());
    }
    Ok(account)
}

fn read_context(entries: Option<Vec<ContextEntry>>) -> Result<Context, Error> {
    let mut context: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut number = 0_usize;
    for entry in entries.unwrap_or_default() {
        let name = entry.context_key_name.unwrap_or_default();
        let invalid = |what: &str| Err(Error::InvalidInput(format!("Invalid {what}: {name}")));
        if !name.contains(':') {
            return invalid("ContextKeyName");
        }
        let values = entry.context_key_values.unwrap_or_default();
        let kind = entry.context_key_type.as_deref().unwrap_or("stringList");
        let Some(kind) = ValueType::named(kind) else { return invalid("ContextKeyType of") };
        let wrong_number = !kind.list && values.len() != 1;
        let admitted =
            |value: &String| value.chars().count() <= LONGEST_VALUE && kind.admits(value);
        number = number.saturating_add(values.len());
        if wrong_number || number > MOST_VALUES || !values.iter().all(admitted) {
            return invalid("ContextKeyValues of");
        }
        if context.insert(name.to_lowercase(), values).is_some() {
            return invalid("ContextEntries: twice");
        }
    }
    Ok(context.into_iter().collect())
}

/// What became of one action on one resource.
struct Outcome {
    result: ResourceSpecificResult,
    effect: Effect,
    is_everything: bool,
}

impl Imagined {
    fn new(asked: Simulation) -> Result<Self, Error> {
        let owner = match asked.resource_owner.as_deref() {
            Some(arn) => account_of(arn)?,
            None => asked.who.principal.account.clone(),
        };
        let given = |text| Source::given("ResourcePolicy".into(), "resource", text, Kind::Resource);
        let resource_policy = asked.resource_policy.as_deref().map(given).transpose()?;
        let all = asked.policies.iter().chain(&asked.boundary).chain(&resource_policy);
        if all.map(|source| source.policy.statements().len()).sum::<usize>() > MOST_STATEMENTS {
            let text = format!("The policies have more than {MOST_STATEMENTS} statements.");
            return Err(Error::InvalidInput(text));
        }
        let unknown = asked.who.unknown.iter().map(|key| ((*key).to_owned(), Vec::new()));
        let context = unknown.chain(read_context(asked.context)?).collect();
        // Named by their place: their ids may be those of others too.
        let named = |(n, source): (usize, &Source)| NamedPolicy {
            name: n.to_string(),
            policy: source.policy.clone(),
        };
        Ok(Self {
            caller: Caller {
                policies: asked.policies.iter().enumerate().map(named).collect(),
                boundary: asked.boundary.as_ref().map(|source| named((0, source))),
                tags: asked.who.tags,
                ..Caller::of(asked.who.principal)
            },
            policies: asked.policies,
            boundary: asked.boundary,
            resource_policy,
            owner,
            context,
        })
    }

    async fn evaluate(
        &self,
        call: &mut Call<'_>,
        action: &str,
        named: &str,
    ) -> Result<Outcome, Error> {
        let target = self.target(call, action, named).await?;
        let text = match (&self.resource_policy, &target) {
            (Some(_), _) => None,
            (None, Target::Key(key)) => Some((key.arn.to_string(), key.policy.text().to_owned())),
            (None, Target::Role(role)) => {
                Some((role.0.arn.to_string(), role.0.trust.text().to_owned()))
            }
            _ => None,
        };
        let owner = target.protected().account().to_owned();
        let asked = Hypothetical {
            caller: self.caller.clone(),
            action: action.to_owned(),
            target,
            resource_policy: self.resource_policy.as_ref().map(|source| source.policy.clone()),
            context: self.context.clone(),
            now: None,
        };
        let answer = simulate::explain(&mut call.tx, &asked).await?;
        let effect = answer.decision.effect;
        let is_everything = named == "*";
        let details = match owner == asked.caller.principal.account.as_str() {
            true => (!is_everything).then(BTreeMap::new),
            false => Some(sides(&answer)),
        };
        let boundary = self.boundary.as_ref().map(|_| PermissionsBoundaryDecisionDetail {
            allowed_by_permissions_boundary: of_kind(&answer, PolicyKind::Boundary)
                == Effect::Allow,
        });
        let result = ResourceSpecificResult {
            eval_resource_name: named.to_owned(),
            eval_resource_decision: word(effect).to_owned(),
            matched_statements: self.decisive(&answer, text),
            missing_context_values: answer.missing,
            eval_decision_details: details,
            permissions_boundary_decision_detail: boundary,
        };
        Ok(Outcome { result, effect, is_everything })
    }

    async fn target(
        &self,
        call: &mut Call<'_>,
        action: &str,
        named: &str,
    ) -> Result<Target, Error> {
        let account = call.account().clone();
        let sight = Sight::Account(&account);
        let own = &self.caller.principal.account;
        let found = Target::load(&mut call.tx, own, sight, action, named).await?;
        let invalid = || Error::InvalidInput(format!("Invalid Resource Arn: {named}"));
        let mut found = found.ok_or_else(invalid)?;
        if !may_read(call, &found) {
            found = Target::named(named.parse().map_err(|_| invalid())?, action);
        }
        let policy_given = self.resource_policy.is_some();
        if policy_given && matches!(found, Target::Role(_)) {
            let text = "Simulation of resource-based policies isn't supported for IAM roles.";
            return Err(Error::InvalidInput(text.into()));
        }
        let of_arn = || named.parse::<Arn>().ok()?.account().parse::<AccountId>().ok();
        let owner = match found {
            Target::Named(_) => of_arn().unwrap_or_else(|| self.owner.clone()),
            Target::Account(_) if policy_given => self.owner.clone(),
            found => return Ok(found),
        };
        let is_key = action.get(..4).is_some_and(|service| service.eq_ignore_ascii_case("kms:"));
        let rule = match (policy_given, owner == *own) {
            (true, _) if is_key => Rule::KeyPolicy,
            (true, _) => Rule::Ordinary,
            // AWS simulates what does not exist by the identity policies alone.
            (false, true) => Rule::Identity,
            // Somebody else's: their policy would have to allow it.
            (false, false) => Rule::Ordinary,
        };
        Ok(Target::imagined(named, &owner, rule))
    }

    /// The statements that determine the result: of a denial the Denies, of a permission those that
    /// allow in the policies on which it rests, and none where nothing allows.
    fn decisive(&self, answer: &Answer, text: Option<(String, String)>) -> Vec<MatchedStatement> {
        let wanted = match answer.decision.effect {
            Effect::ImplicitDeny => return Vec::new(),
            effect => effect == Effect::Allow,
        };
        let stored = text.map(|(id, text)| (id, statement_spans(&text)));
        let mut all = Vec::new();
        let rests = |kind| answer.decision.reasons.iter().any(|reason| reason.kind == kind);
        let decisive = |(policy, statement): &(&Examined, &Spoken)| {
            statement.allows == wanted && (!wanted || rests(policy.kind))
        };
        for (policy, statement) in answer.matched().filter(decisive) {
            let index = statement.index;
            let source = match policy.kind {
                PolicyKind::Resource => self.resource_policy.as_ref(),
                PolicyKind::Boundary => self.boundary.as_ref(),
                _ => policy.policy.parse().ok().and_then(|n: usize| self.policies.get(n)),
            };
            all.push(match (source, &stored) {
                (Some(source), _) => source.matched(index),
                (None, Some((id, spans))) => {
                    MatchedStatement::new(id, "resource", spans.get(index))
                }
                (None, None) => continue,
            });
        }
        if let Some(grant) = answer.grant.as_ref().filter(|_| wanted) {
            all.push(MatchedStatement::new(&format!("grant/{}", grant.id), "resource", None));
        }
        all
    }
}

/// What the policies of one kind say by themselves.
fn of_kind(answer: &Answer, kind: PolicyKind) -> Effect {
    let mut effect = Effect::ImplicitDeny;
    for policy in answer.policies.iter().filter(|policy| policy.kind == kind) {
        match says(policy) {
            Effect::ExplicitDeny => return Effect::ExplicitDeny,
            Effect::Allow => effect = Effect::Allow,
            Effect::ImplicitDeny => {}
        }
    }
    effect
}

fn says(policy: &Examined) -> Effect {
    let spoke = |allows| policy.statements.iter().any(|s| s.outcome.is_ok() && s.allows == allows);
    if policy.defect.is_some() || spoke(false) {
        Effect::ExplicitDeny
    } else if spoke(true) {
        Effect::Allow
    } else {
        Effect::ImplicitDeny
    }
}

/// Of a request between accounts: what each side says.
fn sides(answer: &Answer) -> BTreeMap<String, String> {
    let resource = match of_kind(answer, PolicyKind::Resource) {
        Effect::ImplicitDeny if answer.grant.is_some() => Effect::Allow,
        effect => effect,
    };
    let identity = of_kind(answer, PolicyKind::Identity);
    [("IAM Policy", identity), ("Resource Policy", resource)]
        .map(|(side, effect)| (side.to_owned(), word(effect).to_owned()))
        .into()
}

fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allowed",
        Effect::ExplicitDeny => "explicitDeny",
        Effect::ImplicitDeny => "implicitDeny",
    }
}

/// One resource, or `*`, is the result's own; several are summed up by the worst of them.
fn result(action: &str, mut outcomes: Vec<Outcome>) -> EvaluationResult {
    let worst = [Effect::ExplicitDeny, Effect::ImplicitDeny, Effect::Allow];
    let worst = worst.into_iter().find(|effect| outcomes.iter().any(|o| o.effect == *effect));
    let decision = word(worst.unwrap_or(Effect::ImplicitDeny)).to_owned();
    let only = if outcomes.len() == 1 { outcomes.pop() } else { None };
    let mut summed = EvaluationResult {
        eval_action_name: action.to_owned(),
        eval_resource_name: Some("*".into()),
        eval_decision: decision,
        matched_statements: Vec::new(),
        missing_context_values: Vec::new(),
        organizations_decision_detail: None,
        permissions_boundary_decision_detail: None,
        eval_decision_details: None,
        resource_specific_results: None,
    };
    match only {
        Some(only) => {
            let result = only.result;
            let specific = (!only.is_everything).then(|| vec![result.clone()]);
            summed.eval_resource_name = Some(result.eval_resource_name);
            summed.matched_statements = result.matched_statements;
            // "If you include a list of resources, then any missing context values are instead
            // included under the ResourceSpecificResults section."
            if only.is_everything {
                summed.missing_context_values = result.missing_context_values;
            }
            summed.permissions_boundary_decision_detail =
                result.permissions_boundary_decision_detail;
            summed.eval_decision_details = result.eval_decision_details;
            summed.resource_specific_results = specific;
        }
        None => {
            let all: Vec<_> = outcomes.into_iter().map(|outcome| outcome.result).collect();
            let bounds = all.iter().filter_map(|r| r.permissions_boundary_decision_detail.as_ref());
            let bounds: Vec<bool> = bounds.map(|b| b.allowed_by_permissions_boundary).collect();
            summed.permissions_boundary_decision_detail =
                (!bounds.is_empty()).then(|| PermissionsBoundaryDecisionDetail {
                    allowed_by_permissions_boundary: bounds.iter().all(|allowed| *allowed),
                });
            summed.resource_specific_results = Some(all);
        }
    }
    summed
}
