//! IAM's policy language, as a pure evaluator: request and policies in, decision and reasons out.
//! No IO, no clock; the caller brings every fact, including the time, as a condition key.
//!
//! A policy is compiled once ([`Policy::parse`]) and evaluated often ([`evaluate`]). What is written
//! must parse; what is *found* and does not parse denies everything ([`Policy::parse_stored`]).
//!
//! Source: IAM User Guide, "IAM JSON policy reference" and "Policy evaluation logic"; KMS Developer
//! Guide, "Key policies" and "Troubleshooting key access".

mod bound;
pub mod check;
mod condition;
mod condition_keys;
mod condition_value;
mod context_keys;
mod decision;
mod document;
mod error;
mod evaluate;
mod json;
mod pattern;
mod position;
mod principal;
mod search;
mod statement;
mod template;
mod trace;
mod value_type;

pub use bound::BoundPolicy;
pub use condition_keys::Conditions;
pub use condition_value::Network;
pub use context_keys::context_keys;
pub use decision::{Decision, Effect, PolicyKind, Reason};
pub use document::{Kind, Policy};
pub use error::PolicyError;
pub use evaluate::{
    Grant, Guardrail, Policies, PolicyRef, Request, ResourceRule, evaluate, permit,
};
pub use position::{Position, Span, statement_spans};
pub use principal::{How, Principal, PrincipalKind, PrincipalPattern};
pub use statement::{Element, Statement};
pub use trace::{Examined, Spoken, Unmet, examine};
pub use value_type::ValueType;

#[cfg(test)]
mod tests;
