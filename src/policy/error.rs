//! Why a policy document was refused. Callers answer all of them with
//! `MalformedPolicyDocumentException`; the sentence is for the person who wrote the document.

/// A defect of a policy document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy is longer than {0} bytes")]
    TooLong(usize),
    #[error("not valid JSON: {0}")]
    Json(String),
    #[error("{0} must be a JSON object")]
    NotAnObject(&'static str),
    #[error("{0} must be a string")]
    NotAString(&'static str),
    #[error("{0} must be a string or a list of strings")]
    NotStrings(&'static str),
    #[error("{0} must not be empty")]
    Empty(&'static str),
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    #[error("unknown element {0}")]
    UnknownElement(String),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} and {1} exclude each other")]
    Both(&'static str, &'static str),
    #[error("{0} is not allowed in this kind of policy")]
    NotHere(&'static str),
    #[error("NotPrincipal is supported with the effect Deny only")]
    NotPrincipalAllows,
    #[error("Version must be 2012-10-17 or 2008-10-17")]
    Version,
    #[error("Effect must be Allow or Deny")]
    Effect,
    #[error("the statement ID {0:?} is not valid")]
    Sid(String),
    #[error("the statement ID {0:?} is used twice")]
    DuplicateSid(String),
    #[error("{0:?} is not an action")]
    Action(String),
    #[error("the resource {0:?} must be in ARN format or \"*\"")]
    Resource(String),
    #[error("{0:?} is not a principal")]
    Principal(String),
    /// Of a policy that was stored.
    #[error("whom {0:?} meant is not known")]
    Unbound(String),
    #[error("unknown principal type {0}")]
    PrincipalType(String),
    #[error("unknown condition operator {0}")]
    Operator(String),
    #[error("{0:?} is not a condition key")]
    ConditionKey(String),
    #[error("{value:?} is not a value for the condition operator {operator}")]
    ConditionValue { operator: String, value: String },
    #[error("{0} is overly permissive with ForAllValues: the key has one value, or none")]
    OverlyPermissive(String),
    #[error("{0:?} has a policy variable that is not well formed")]
    Variable(String),
}
