//! A listener that is declared as a VPC endpoint: what policies know its requests by, and its own
//! policy.
use crate::authorize::NamedPolicy;
use crate::policy::{Kind, Policy, PolicyError};
use serde_json::Value;
use std::sync::Arc;

/// AWS PrivateLink guide, "Control access to VPC endpoints using endpoint policies".
const MAX_POLICY_CHARS: usize = 20_480;

#[derive(Debug)]
pub struct Endpoint {
    /// `vpce-…`
    pub id: String,
    /// `vpc-…`
    pub vpc: String,
    /// None: whatever the caller's and the resource's policies allow, as an endpoint without a
    /// policy of its own has at AWS.
    pub(super) policy: Option<NamedPolicy>,
}

#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("an endpoint policy has at most {MAX_POLICY_CHARS} characters")]
    TooLong,
    #[error("not an endpoint policy: {0}")]
    Policy(#[from] PolicyError),
    /// In a key policy such a statement speaks of nothing. Here it would be a Deny that denies nothing.
    #[error("not an endpoint policy: a statement needs an Action and a Resource")]
    Incomplete,
}

/// Whether every statement says of which actions and which resources it speaks.
fn is_complete(text: &str) -> bool {
    let has = |statement: &Value, name: &str| {
        statement.get(name).or(statement.get(format!("Not{name}"))).is_some()
    };
    let complete = |statement: &Value| has(statement, "Action") && has(statement, "Resource");
    let policy: Value = serde_json::from_str(text).unwrap_or_default();
    match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().all(complete),
        Some(statement) => complete(statement),
        None => false,
    }
}

impl Endpoint {
    pub fn new(id: String, vpc: String) -> Self {
        Self { id, vpc, policy: None }
    }

    pub fn with_policy(self, text: &str) -> Result<Self, EndpointError> {
        if text.chars().count() > MAX_POLICY_CHARS {
            return Err(EndpointError::TooLong);
        }
        let policy = Arc::new(Policy::parse(text, Kind::Resource)?);
        if !is_complete(text) {
            return Err(EndpointError::Incomplete);
        }
        Ok(Self { policy: Some(NamedPolicy { name: self.id.clone(), policy }), ..self })
    }
}
