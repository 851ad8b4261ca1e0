//! Every error that AWS's model lists for an operation: a request that is answered with it, or the
//! reason why none is.
mod cases;
mod columns;
mod reasons;
mod subject;

use super::{not_found, scheduled};
use crate::modelled::Modelled;
use crate::support::failed;
use crate::world::{Failed, World, table};
use serde_json::{Value, json};
use subject::Subject;

const MODELLED: Modelled = Modelled {
    service: "secretsmanager",
    model: include_str!("../../../../models/secretsmanager.json"),
    reasons: reasons::REASONS,
};

/// Makes the error happen, if there is a case for it.
async fn produce(operation: &str, error: &str) -> Option<Failed> {
    match cases::produce(operation, error).await {
        Some(refused) => Some(refused),
        None => columns::produce(operation, error).await,
    }
}

#[tokio::test]
async fn every_modelled_error_is_produced_or_there_is_a_reason() {
    let (mut produced, mut cannot, mut wrong) = (0, 0, Vec::new());
    for (operation, error) in MODELLED.pairs() {
        // Whatever has a reason is not tried: the same request is answered with something else.
        if MODELLED.reason(&operation, &error).is_some() {
            cannot += 1;
            continue;
        }
        match produce(&operation, &error).await {
            Some(refused) if refused.code == error => produced += 1,
            Some(refused) => wrong.push(format!("{operation}, {error}: {refused:?}")),
            None => wrong.push(format!("{operation}, {error}: no case, no reason")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!((produced, cannot, produced + cannot), (117, 10, 127));
}

#[test]
fn reasons_are_about_what_the_model_has() {
    MODELLED.check_reasons();
}

#[test]
fn the_table_of_operations_is_the_models() {
    MODELLED.check_table();
}

/// Operations on a secret that do not mind that it is scheduled for deletion.
const INDIFFERENT: [&str; 4] =
    ["DeleteSecret", "DescribeSecret", "ListSecretVersionIds", "RestoreSecret"];

#[tokio::test]
async fn nothing_else_is_done_with_a_secret_that_is_scheduled() {
    let (mut refused, mut done) = (0, 0);
    for entry in table("secretsmanager").operations {
        let Subject { world, body } = Subject::of(entry.name).await;
        let Some(body) = on(body, "deleted") else { continue };
        let events = world.events().len();
        if INDIFFERENT.contains(&entry.name) {
            world.sm(entry.name, body).await;
            done += 1;
            continue;
        }
        assert_eq!(attempt(&world, entry.name, body).await, scheduled(), "{}", entry.name);
        assert_eq!(world.event_names(events).last().map(String::as_str), Some(entry.name));
        refused += 1;
    }
    assert_eq!((refused, done), (19, 4));
}

/// The same request about another secret; none if it names no secret.
fn on(mut body: Value, id: &str) -> Option<Value> {
    match body.get_mut("SecretId") {
        Some(named) => *named = json!(id),
        None => *body.get_mut("SecretIdList")? = json!([id]),
    }
    Some(body)
}

/// How a call of root fails. A batch fails as its first secret does.
async fn attempt(world: &World, operation: &str, body: Value) -> Failed {
    match world.call("secretsmanager", operation, body).await {
        Err(refused) => refused,
        Ok(answer) => match answer["Errors"].get(0) {
            Some(error) => {
                let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
                failed(&text("ErrorCode"), text("Message"))
            }
            None => failed("none", "It succeeded."),
        },
    }
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}
