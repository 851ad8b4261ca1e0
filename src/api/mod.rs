//! The AWS APIs: one folder a service, one file an operation.
pub mod iam;
pub mod kms;
pub mod lambda;
pub mod rolesanywhere;
pub mod secretsmanager;
pub mod sts;

use crate::call::{ServiceTable, Speech};

/// As CloudTrail shows a secret.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Every service.
pub static SERVICES: &[&ServiceTable] =
    &[&iam::TABLE, &kms::TABLE, &secretsmanager::TABLE, &sts::TABLE];

/// The JSON service and the name of the operation that a target such as `TrentService.Encrypt`
/// means.
pub fn by_target(target: &str) -> Option<(&'static ServiceTable, &str)> {
    let (prefix, name) = target.rsplit_once('.')?;
    let service = SERVICES.iter().find(|service| match service.speech {
        Speech::Json { target_prefix } => target_prefix == prefix,
        Speech::Query { .. } => false,
    })?;
    Some((service, name))
}

/// The Query service that has an API version.
pub fn by_version(wanted: &str) -> Option<&'static ServiceTable> {
    let found = SERVICES.iter().find(|service| match service.speech {
        Speech::Query { version } => version == wanted,
        Speech::Json { .. } => false,
    })?;
    Some(found)
}
