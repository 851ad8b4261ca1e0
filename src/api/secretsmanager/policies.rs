//! What the operations on resource policies share: the policy's name, and how a text becomes a policy
//! that is kept. The sentences are AWS's (Secrets Manager user guide, "Attach a permissions policy").
use super::Error;
use crate::authorize::Conditions;
use crate::call::Call;
use crate::identity::{self, BindError};
use crate::policy::{BoundPolicy, Kind, Policy};

/// The name of the policy that a secret's owner writes.
pub(super) const DEFAULT: &str = "default";

pub(super) const SYNTAX: &str = "This resource policy contains a syntax error.";
pub(super) const PRINCIPAL: &str = "This resource policy contains an unsupported principal.";

/// The condition keys of a request that names a policy.
pub(super) fn conditions(name: Option<&str>) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.add("secretsmanager:policyname", name.unwrap_or(DEFAULT));
    conditions
}

/// Only one policy of a secret can be written.
pub(super) fn only_default(name: Option<&str>) -> Result<(), Error> {
    if name.is_none_or(|name| name == DEFAULT) {
        return Ok(());
    }
    Err(Error::InvalidParameter("The policy name must be default.".into()))
}

/// The policy as it is kept: readable, and bound to those it names, who must exist.
pub(super) async fn bind(call: &mut Call<'_>, text: String) -> Result<BoundPolicy, Error> {
    let policy =
        Policy::parse(&text, Kind::Resource).map_err(|_| Error::MalformedPolicy(SYNTAX))?;
    identity::bind(&mut call.tx, text, &policy).await.map_err(|error| match error {
        BindError::Store(error) => error.into(),
        BindError::Unknown(_) => Error::MalformedPolicy(PRINCIPAL),
    })
}
