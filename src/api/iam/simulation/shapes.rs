//! What the simulations are asked and answer, as AWS's model has it.
use crate::policy::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value, or several, of a condition key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContextEntry {
    pub(super) context_key_name: Option<String>,
    pub(super) context_key_values: Option<Vec<String>>,
    pub(super) context_key_type: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SimulatePolicyResponse {
    pub(super) evaluation_results: Vec<EvaluationResult>,
    pub(super) is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) marker: Option<String>,
}

/// What became of one action.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EvaluationResult {
    pub(super) eval_action_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) eval_resource_name: Option<String>,
    pub(super) eval_decision: String,
    pub(super) matched_statements: Vec<MatchedStatement>,
    pub(super) missing_context_values: Vec<String>,
    /// There are no organisations here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) organizations_decision_detail: Option<OrganizationsDecisionDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) permissions_boundary_decision_detail: Option<PermissionsBoundaryDecisionDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) eval_decision_details: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource_specific_results: Option<Vec<ResourceSpecificResult>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResourceSpecificResult {
    pub(super) eval_resource_name: String,
    pub(super) eval_resource_decision: String,
    pub(super) matched_statements: Vec<MatchedStatement>,
    pub(super) missing_context_values: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) eval_decision_details: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) permissions_boundary_decision_detail: Option<PermissionsBoundaryDecisionDetail>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OrganizationsDecisionDetail {
    pub(super) allowed_by_organizations: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PermissionsBoundaryDecisionDetail {
    pub(super) allowed_by_permissions_boundary: bool,
}

impl ResourceSpecificResult {
    /// About how many bytes it is of an answer: what AWS's XML has around each entry, and its text.
    pub(super) fn weight(&self) -> usize {
        const EACH: usize = 400;
        let statements = self.matched_statements.iter().map(|s| s.source_policy_id.len());
        let missing = self.missing_context_values.iter().map(String::len);
        let all = statements.chain(missing).chain([self.eval_resource_name.len()]);
        all.map(|length| length.saturating_add(EACH)).sum()
    }
}

/// A statement that decided.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MatchedStatement {
    pub(super) source_policy_id: String,
    pub(super) source_policy_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start_position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_position: Option<Position>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl MatchedStatement {
    /// The statement at a place of a policy, as far as it has one.
    pub(super) fn new(id: &str, kind: &str, span: Option<&Span>) -> Self {
        let shown = |p: crate::policy::Position| Position { line: p.line, column: p.column };
        Self {
            source_policy_id: id.to_owned(),
            source_policy_type: kind.to_owned(),
            start_position: span.map(|span| shown(span.start)),
            end_position: span.map(|span| shown(span.end)),
        }
    }
}
