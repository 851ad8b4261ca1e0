//! IAM's policy language, as a pure evaluator: request and policies in, decision and reasons out.
//! No IO, no clock; the caller brings every fact, including the time, as a condition key.
//!
//! A policy is compiled once ([`Policy::parse`]) and evaluated often ([`evaluate`]). What is written
//! must parse; what is *found* and does not parse denies everything ([`Policy::parse_stored`]).
//!
//! Source: IAM User Guide, "IAM JSON policy reference" and "Policy evaluation logic"; KMS Developer
//! Guide, "Key policies" and "Troubleshooting key access".

mod condition;
mod condition_keys;
mod condition_value;
mod decision;
mod document;
mod error;
mod evaluate;
mod json;
mod pattern;
mod principal;
mod statement;
mod template;

pub use condition_keys::Conditions;
pub use decision::{Decision, Effect, PolicyKind, Reason};
pub use document::{Kind, Policy};
pub use error::PolicyError;
pub use evaluate::{Grant, Guardrail, Policies, PolicyRef, Request, ResourceRule, evaluate};
pub use principal::{How, Principal, PrincipalKind, PrincipalPattern};
pub use statement::Statement;

#[cfg(test)]
mod tests;
