//! What the requests of managed external secrets share.
use crate::authorize::Conditions;

/// Adds the condition key of a request that says which partner's secret it is about.
pub(super) fn describe_kind(conditions: &mut Conditions, kind: Option<&str>) {
    if let Some(kind) = kind {
        conditions.add("secretsmanager:type", kind);
    }
}
