//! Every error that AWS's model lists for an operation: a request that is answered with it, or the
//! reason why none is.
mod cases;
mod columns;
pub mod failing;
mod reasons;
mod stores;

use crate::modelled::Modelled;
use crate::support::failed;
use crate::world::{ACCOUNT, Failed, World};
use serde_json::Value;

const MODELLED: Modelled = Modelled {
    service: "kms",
    model: include_str!("../../../../models/kms.json"),
    reasons: reasons::REASONS,
};
const ROOT: &str = "arn:aws:iam::111122223333:root";

/// Makes the error happen, if there is a case for it.
async fn produce(operation: &str, error: &str) -> Option<Failed> {
    if columns::ERRORS.contains(&error) {
        return columns::produce(operation, error).await;
    }
    if let Some(refused) = stores::produce(operation, error).await {
        return Some(refused);
    }
    cases::produce(operation, error).await
}

#[tokio::test]
async fn every_modelled_error_is_produced_or_there_is_a_reason() {
    assert!(ROOT.contains(ACCOUNT));
    let (mut produced, mut cannot, mut wrong) = (0, 0, Vec::new());
    for (operation, error) in MODELLED.pairs() {
        let reason = MODELLED.reason(&operation, &error);
        match (produce(&operation, &error).await, reason) {
            (Some(refused), None) if refused.code == error => produced += 1,
            (None, Some(_)) => cannot += 1,
            (Some(refused), None) => wrong.push(format!("{operation}, {error}: {refused:?}")),
            (Some(_), Some(_)) => wrong.push(format!("{operation}, {error}: a case and a reason")),
            (None, None) => wrong.push(format!("{operation}, {error}: no case, no reason")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!((produced, cannot, produced + cannot), (304, 106, 410));
}

#[test]
fn reasons_are_about_what_the_model_has() {
    MODELLED.check_reasons();
}

#[test]
fn the_table_of_operations_is_the_models() {
    MODELLED.check_table();
}

/// How a call of root fails.
async fn refused(world: &World, operation: &str, body: Value) -> Failed {
    let outcome = world.call("kms", operation, body).await;
    outcome.err().unwrap_or_else(|| failed("none", "It succeeded."))
}
