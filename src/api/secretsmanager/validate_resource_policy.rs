use super::common::authorized_secret;
use super::policies::{PRINCIPAL, SYNTAX, bind, conditions};
use super::{Error, SecretsManager};
use crate::authorize::{Authorized, Conditions};
use crate::call::{Call, Operation};
use crate::policy::check::{Severity, Subject, check};
use crate::policy::{BoundPolicy, statement_spans};
use crate::secrets::{FoundSecret, UnderPolicy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const VALIDATE: &str = "secretsmanager:ValidateResourcePolicy";
const PUT: &str = "secretsmanager:PutResourcePolicy";

/// AWS's sentences (Secrets Manager user guide, "Attach a permissions policy").
const BROAD: &str = "This resource policy grants broad access to your secret.";
const LOCKED_OUT: &str =
    "Your requested changes will not allow you to manage this secret in the future.";

/// Says what is wrong with a resource policy, and changes nothing.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ValidateResourcePolicy {
    secret_id: Option<String>,
    resource_policy: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ValidateResourcePolicyResponse {
    policy_validation_passed: bool,
    validation_errors: Vec<ValidationError>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ValidationError {
    #[serde(skip_serializing_if = "Option::is_none")]
    check_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
}

impl Operation for ValidateResourcePolicy {
    type Service = SecretsManager;
    type Response = ValidateResourcePolicyResponse;
    const NAME: &'static str = "ValidateResourcePolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["SecretId", "ResourcePolicy"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ValidateResourcePolicyResponse, Error> {
        let secret = self.allowed(call).await?;
        let text = self.resource_policy;
        // What has no statements has nothing that could be said of them.
        if statement_spans(&text).is_empty() {
            return Err(Error::MalformedPolicy(SYNTAX));
        }
        let mut errors = written(&text);
        match bind(call, text).await {
            Ok(policy) if is_locked_out(call, secret.as_ref(), &policy)? => {
                errors.push(ValidationError::of("lock-out", LOCKED_OUT, ""));
            }
            Err(Error::MalformedPolicy(PRINCIPAL)) => {
                errors.push(ValidationError::of("unsupported-principal", PRINCIPAL, ""));
            }
            // Of what cannot be read it was said above.
            Ok(_) | Err(Error::MalformedPolicy(_)) => {}
            Err(error) => return Err(error),
        }
        let policy_validation_passed = errors.is_empty();
        Ok(ValidateResourcePolicyResponse { policy_validation_passed, validation_errors: errors })
    }
}

impl ValidateResourcePolicy {
    /// The secret that is meant, if one is. The caller must be allowed to ask, and to put the policy
    /// afterwards (API reference, ValidateResourcePolicy).
    async fn allowed(&self, call: &mut Call<'_>) -> Result<Option<Authorized<FoundSecret>>, Error> {
        let Some(named) = &self.secret_id else {
            for (action, known) in [(VALIDATE, Conditions::default()), (PUT, of_put())] {
                let everything = call.whole_account();
                call.authorize(action, everything, known)?;
            }
            return Ok(None);
        };
        authorized_secret(call, named, VALIDATE, Conditions::default()).await?;
        let secret = authorized_secret(call, named, PUT, of_put()).await?;
        secret.alive()?;
        Ok(Some(secret))
    }
}

/// The condition keys of the PutResourcePolicy that is meant: one that blocks public policies, since
/// AWS recommends to allow no other.
fn of_put() -> Conditions {
    let mut conditions = conditions(None);
    conditions.add("secretsmanager:blockpublicpolicy", "true");
    conditions
}

impl ValidationError {
    fn of(check: &str, sentence: &str, more: &str) -> Self {
        let text = format!("{sentence} {more}").trim_end().to_owned();
        Self { check_name: Some(check.to_owned()), error_message: Some(text) }
    }
}

/// What is wrong with it as it is written. Names of operations that nobody has are no errors to AWS.
fn written(text: &str) -> Vec<ValidationError> {
    let findings = check(text, Subject::Secret, &BTreeMap::new());
    let errors = findings.into_iter().filter(|finding| finding.severity == Severity::Error);
    let shown = |finding: crate::policy::check::Finding| {
        let sentence = if finding.rule == "public-access" { BROAD } else { SYNTAX };
        let place = finding.statement.map_or_else(
            || finding.message.clone(),
            |index| format!("Statement {index}: {}.", finding.message),
        );
        ValidationError::of(finding.rule, sentence, &place)
    };
    errors.map(shown).collect()
}

/// Whether the caller could not put another policy in place of this one.
fn is_locked_out(
    call: &Call<'_>,
    secret: Option<&Authorized<FoundSecret>>,
    policy: &BoundPolicy,
) -> Result<bool, Error> {
    let Some(secret) = secret else {
        let some = UnderPolicy::any(call.account(), call.region(), policy);
        return Ok(!call.could(PUT, call.region(), some, of_put()));
    };
    let mut secret = secret.edit_metadata()?;
    secret.set_policy(Some(policy.clone()));
    Ok(!call.could(PUT, call.region(), secret.preview(), of_put()))
}
