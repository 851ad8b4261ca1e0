//! What the audit log says of rotations: service events, never with a value. (Secrets Manager user
//! guide, "AWS CloudTrail entries for Secrets Manager".)
use crate::api::secretsmanager::rotation_event;
use crate::audit::Event;
use crate::call::{ReplayError, Server};
use crate::secrets::Secret;
use crate::secrets::readers::Judged;
use crate::secrets::rotation::{Purpose, Run, Step};
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Arn, Region};
use serde_json::json;

/// A moment in a run that has an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Started,
    Succeeded,
    Failed(Step),
    Abandoned,
}

pub(super) fn of_run(server: &Server, run: &Run, moment: Moment) -> Event {
    let name = match (run.purpose, moment) {
        (Purpose::Rotate, Moment::Started) => "RotationStarted",
        (Purpose::Rotate, Moment::Succeeded) => "RotationSucceeded",
        (Purpose::Rotate, Moment::Failed(_)) => "RotationFailed",
        (Purpose::Test, Moment::Started) => "TestRotationStarted",
        (Purpose::Test, Moment::Succeeded) => "TestRotationSucceeded",
        (Purpose::Test, Moment::Failed(_)) => "TestRotationFailed",
        (_, Moment::Abandoned) => "RotationAbandoned",
    };
    let mut event = rotation_event(server, name, (&run.account, &run.region, &run.arn));
    if let Moment::Failed(step) = moment {
        let step = step.name();
        let text = format!("Error when executing lambda {} during {step} step", run.function);
        event.error_message = Some(text);
    }
    event
}

/// Not AWS's: a rotation is over and its old version is still read. At most so many readers are named,
/// and none of the replica in another account.
pub(super) fn in_use(server: &Server, run: &Run, secret: &Secret, readers: &[Judged]) -> Event {
    const MOST_NAMED: usize = 50;
    let mut event = rotation_event(server, "PreviousVersionInUse", of_secret(secret));
    let own = readers.iter().filter(|reader| !reader.elsewhere);
    let who = own.take(MOST_NAMED).map(|reader| {
        let arn = reader.arn.as_ref().map_or("others", Arn::as_str);
        let at = reader.last.whole_secs().to_string();
        json!({ "arn": arn, "awsRegion": reader.region, "lastRead": at })
    });
    let who: Vec<_> = who.collect();
    event.additional_event_data = Some(json!({
        "SecretId": run.arn,
        "PreviousVersionId": secret.previous(),
        "Readers": who,
        "ReaderCount": readers.len(),
    }));
    event
}

/// Not AWS's: a window ended and the secret was not rotated in it.
pub(super) fn missed(server: &Server, secret: (&AccountId, &Region, &Arn)) -> Event {
    rotation_event(server, "RotationMissed", secret)
}

pub(super) fn of_secret(secret: &Secret) -> (&AccountId, &Region, &Arn) {
    (&secret.account, &secret.region, &secret.arn)
}

/// Commits a transaction with its events. A log that refuses an event after the commit gets it again
/// later: the change is made.
pub(super) async fn commit(
    server: &Server,
    tx: Tx<'_>,
    events: Vec<Event>,
) -> Result<(), StoreError> {
    if events.is_empty() {
        return tx.commit().await;
    }
    match server.commit_service_events(tx, events).await {
        Ok(()) => Ok(()),
        Err(ReplayError::Store(error)) => Err(error),
        Err(ReplayError::Audit(error)) => {
            tracing::error!(%error, "the audit log refused an event of a rotation");
            Ok(())
        }
    }
}
