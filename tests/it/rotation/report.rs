//! What the operator is shown.
use super::{Fault, Stage, function_arn};
use crate::support::token;
use crate::world::{ACCOUNT, REGION};
use claviger::control::{self, Command, Output, RotationReport, WhichSecret};
use claviger::rotation::Failure;
use claviger::secrets::rotation::{Outcome, Step};
use std::path::Path;

async fn report(stage: &Stage, secret: &str) -> RotationReport {
    let which = WhichSecret {
        named: secret.into(),
        account: Some(ACCOUNT.parse().unwrap()),
        region: Some(REGION.parse().unwrap()),
    };
    let command = Command::SecretRotation(which);
    let nowhere = Path::new("/nonexistent");
    match control::execute(&stage.world.server, nowhere, command, &|_| {}).await.unwrap() {
        Output::SecretRotation(report) => report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_rotation_is_shown_from_its_beginning_to_its_end() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    let before = report(&stage, "db").await;
    assert!(!before.enabled && before.history.is_empty() && before.under_way.is_none());
    assert!(before.to_string().contains("last rotated  never"));

    let failure =
        Failure { log: Some("one\n\u{1b}[2Jtwo".into()), ..Failure::passing("not there") };
    stage.function.fault(Step::SetSecret, Fault::Fails(failure));
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    let waiting = report(&stage, &secret).await;
    let run = waiting.under_way.as_ref().unwrap();
    assert_eq!((run.step.as_deref(), run.attempts.len()), (Some("createSecret"), 2));
    assert_eq!(run.not_before.as_deref(), Some("2026-01-01T00:00:10Z"));
    let text = waiting.to_string();
    assert!(text.contains("under way, createSecret not before 2026-01-01T00:00:10Z"), "{text}");
    assert!(text.contains("not there") && text.contains("      | one"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");

    stage.after(10).await;
    let after = report(&stage, "db").await;
    assert_eq!((after.enabled, after.function.unwrap().as_str()), (true, &*function_arn()));
    assert_eq!(after.last_rotated.as_deref(), Some("2026-01-01T00:00:10Z"));
    assert!(after.under_way.is_none() && after.window.is_some());
    let [run] = &*after.history else { panic!("{:?}", after.history) };
    assert_eq!((run.outcome, run.version.as_str()), (Some(Outcome::Succeeded), &*token(1)));
    assert_eq!(run.attempts.len(), 6);
    let password = stage.function.password(&secret);
    assert!(!serde_json::to_string(&after.history).unwrap().contains(&password));
}
