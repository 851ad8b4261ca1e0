//! What the server says of rotations, whoever ends them: the scheduler, or a call that changes the secret.
use super::{Error, SecretsManager};
use crate::call::{Call, Event, Server, Service, service_event};
use crate::secrets::rotation::{Outcome, Run};
use crate::secrets::{KIND, Secret};
use crate::types::{AccountId, Arn, Region};
use serde_json::json;
use smol_str::format_smolstr;

/// An event of the service's own that tells of a secret's rotation. (Secrets Manager user guide, "AWS
/// CloudTrail entries for Secrets Manager".)
pub fn rotation_event(
    server: &Server,
    name: &str,
    (account, region, arn): (&AccountId, &Region, &Arn),
) -> Event {
    let source = SecretsManager::SOURCE;
    let mut event = service_event(server, source, name, account, region, (KIND, arn));
    event.request_id = format_smolstr!("Rotation-{arn}-{}", server.random.uuid());
    event.additional_event_data = Some(json!({ "SecretId": arn }));
    event
}

/// Ends the rotation of a secret that is under way, if there is one.
pub(super) async fn end(
    call: &mut Call<'_>,
    secret: &Secret,
    outcome: Outcome,
) -> Result<(), Error> {
    let now = call.now;
    if let Some(run) = Run::end(&mut call.tx, secret, outcome, now).await? {
        count(call, &run, outcome);
    }
    Ok(())
}

/// The secret is about to be destroyed: its rotation ends with it, and has no history.
pub(super) async fn end_with(call: &mut Call<'_>, secret: &Secret) -> Result<(), Error> {
    if let Some(run) = Run::of(&mut call.tx, secret).await? {
        count(call, &run, Outcome::Cancelled);
    }
    Ok(())
}

fn count(call: &mut Call<'_>, run: &Run, outcome: Outcome) {
    // What nobody took was not counted as begun either.
    if run.has_begun() {
        let took = run.took(call.now);
        call.ends_rotation(outcome.name(), took);
    }
}
