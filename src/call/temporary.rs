//! What temporary credentials may not ask for, whatever the policies say (IAM user guide, "Compare
//! AWS STS credentials"): long-term power must not grow from short-term credentials.
use crate::authorize::Caller;
use crate::types::PrincipalKind;
use crate::wire::{Fault, Protocol};

const IAM: &str = "iam.amazonaws.com";
const STS: &str = "sts.amazonaws.com";

/// Whether the caller's credentials are of a kind that may call the operation at all.
pub(super) fn check(source: &str, name: &str, caller: &Caller) -> Result<(), Fault> {
    let Some(session) = &caller.session else { return Ok(()) };
    if name == "GetCallerIdentity" && source == STS {
        return Ok(());
    }
    let good = match (&caller.principal.kind, source) {
        // A service that acts for its user must not mint credentials that forget the service.
        (_, IAM | STS) if session.door.is_some() => false,
        // GetFederationToken.
        (PrincipalKind::FederatedUser { .. }, IAM | STS) => false,
        // GetSessionToken.
        (PrincipalKind::User | PrincipalKind::Root, IAM) => session.mfa.is_some(),
        (PrincipalKind::User | PrincipalKind::Root, STS) => name == "AssumeRole",
        (PrincipalKind::AssumedRole { .. }, STS) => {
            !matches!(name, "GetSessionToken" | "GetFederationToken")
        }
        _ => true,
    };
    match (good, source) {
        (true, _) => Ok(()),
        (false, IAM) => {
            let text = "The security token included in the request is invalid";
            Err(Fault::client("InvalidClientTokenId", text).with_status(403))
        }
        (false, _) => {
            let text = format!("Cannot call {name} with session credentials");
            Err(Fault::access_denied(Protocol::Query, text))
        }
    }
}
