//! What happens by itself: keys are rotated, imported material expires, keys and secrets whose waiting period is over are
//! destroyed, and the outbox forgets what the audit log has.
mod devices;
mod imports;
mod membership;
mod resident;
mod rotation;
mod rows;

pub use devices::watch_devices;
pub use membership::keep_membership;
pub use rows::distrust_rows;

use crate::call::{Server, service_event};
use crate::keys;
use crate::nodes::{self, Turn, Work};
use crate::secrets;
use crate::services;
use crate::store::StoreError;
use resident::Away;
use std::sync::Arc;
use std::time::Duration;

/// How often the background looks. AWS may take a day longer than the window; we take a second.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many overdue things one look destroys before the next kind has its turn.
const BATCH: usize = 100;

/// Looks for work until the task is dropped.
pub async fn run(server: Arc<Server>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sweep(&server).await;
    }
}

/// One look. What fails is logged and tried again at the next.
pub async fn sweep(server: &Server) {
    // Before keys are destroyed, so that nothing is written of one that is gone.
    match server.last_uses.write(&server.store).await {
        Ok(()) | Err(StoreError::Conflict) => {}
        Err(error) => tracing::error!(%error, "cannot write when keys were last used"),
    }
    let (store, reads) = (&server.store, &server.last_uses.reads);
    if let Err(error) = secrets::readers::write(store, reads, server.clock.now()).await {
        tracing::error!(%error, "cannot write who read secrets");
    }
    // Rows that nobody has compared may be put back ones.
    if server.store.is_verified() && keeps_time(server).await {
        do_what_is_due(server).await;
    }
    match server.outbox.settle(server).await {
        Ok(()) | Err(StoreError::Conflict) => {}
        Err(error) => tracing::error!(%error, "cannot find out what took effect"),
    }
    server.store.forget_unused(server.clock.now().secs());
    if let Err(error) = server.outbox.retry(server).await {
        tracing::error!(%error, "the audit log still refuses events");
    }
    match server.outbox.sweep(server).await {
        Ok(()) | Err(StoreError::Conflict) => {}
        Err(error) => tracing::error!(%error, "cannot empty the outbox"),
    }
}

/// What the calendar says, or a turn, which also goes by the clock. Most of it cannot be undone.
async fn do_what_is_due(server: &Server) {
    if let Some(turn) = turn(server, Work::KeyRotation).await
        && let Err(error) = rotation::rotate_keys(server, turn).await
    {
        tracing::error!(%error, "cannot rotate keys that are due");
    }
    if let Some(turn) = turn(server, Work::Expiry).await
        && let Err(error) = imports::expire(server, turn).await
    {
        tracing::error!(%error, "cannot end imports that are due");
    }
    // These two in no turn: who has the device must do it. Two who have it may both try, and one commits.
    let mut away = Away::default();
    if let Err(error) = destroy_keys(server, &mut away).await {
        tracing::error!(%error, "cannot destroy keys that are due");
    }
    if let Err(error) = resident::clear(server, &mut away).await {
        tracing::error!(%error, "cannot clear away what was begun in devices");
    }
    if let Some(turn) = turn(server, Work::SecretDeletion).await
        && let Err(error) = destroy_secrets(server, turn).await
    {
        tracing::error!(%error, "cannot destroy secrets that are due");
    }
    if turn(server, Work::Forgetting).await.is_some() {
        match services::forget_old(&server.store, server.clock.wall(), BATCH).await {
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(error) => tracing::error!(%error, "cannot forget what services handed over"),
        }
    }
    if let Some(turn) = turn(server, Work::Inheritance).await
        && let Err(error) = membership::inherit(server, turn).await
    {
        tracing::error!(%error, "cannot log what nodes left behind that are gone");
    }
}

/// Whether the clock can be gone by.
async fn keeps_time(server: &Server) -> bool {
    match nodes::keeps_time(server.node.as_ref(), server.clock.now()).await {
        Ok(keeps_time) => keeps_time,
        // The store's own follower tells of it.
        Err(StoreError::Unavailable(_)) => false,
        Err(error) => {
            tracing::error!(%error, "cannot compare the clock with the database's");
            false
        }
    }
}

/// This node's turn at work that one at a time does for all. None: it is another's.
async fn turn(server: &Server, work: Work) -> Option<Turn<'_>> {
    match nodes::turn(server.node.as_ref(), &server.store, work, server.clock.now()).await {
        Ok(turn) => turn,
        Err(error) => {
            tracing::error!(?work, %error, "cannot tell whose turn it is");
            None
        }
    }
}

/// Boxed: background work only logs what went wrong.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What one step of the work achieved.
enum Step {
    Destroyed,
    /// Somebody changed its mind in the meantime.
    NotDue,
}

async fn destroy_keys(server: &Server, away: &mut Away) -> Result<(), Failure> {
    loop {
        let due = keys::due(&server.store.begin(), server.clock.now(), BATCH).await?;
        let mut destroyed = 0;
        for found in &due {
            match destroy_key(server, found, away).await {
                Ok(Step::Destroyed) => destroyed += 1,
                Ok(Step::NotDue) => {}
                // Whoever changed the key at the same time was first: the next look finds it again.
                Err(error) if rotation::is_conflict(&error) => {}
                // One that cannot be destroyed keeps no other from it.
                Err(error) => tracing::error!(key = found.id, %error, "cannot destroy a key"),
            }
        }
        if due.len() < BATCH || destroyed == 0 {
            return Ok(());
        }
    }
}

async fn destroy_key(server: &Server, due: &keys::Due, away: &mut Away) -> Result<Step, Failure> {
    if !resident::is_rid_of(server, due, away).await? {
        return Ok(Step::NotDue);
    }
    let mut tx = server.store.begin();
    let (region, now) = (&due.region, server.clock.now());
    while keys::grant::thin_out(&mut tx, region, &due.id, now).await? {
        std::mem::replace(&mut tx, server.store.begin()).commit().await?;
    }
    let Some(key) = keys::destroy(&mut tx, due, now).await? else {
        return Ok(Step::NotDue);
    };
    let resource = ("AWS::KMS::Key", &key.arn);
    let source = "kms.amazonaws.com";
    let mut event = service_event(server, source, "DeleteKey", &key.account, region, resource);
    event.service_event_details = Some(serde_json::json!({"keyId": key.id}));
    server.commit_service_events(tx, vec![event]).await?;
    Ok(Step::Destroyed)
}

async fn destroy_secrets(server: &Server, turn: Turn<'_>) -> Result<(), Failure> {
    loop {
        let due = secrets::due(&server.store.begin(), server.clock.now(), BATCH).await?;
        let mut destroyed = 0;
        for found in &due {
            match destroy_secret(server, &turn, found).await {
                Ok(Step::Destroyed) => destroyed += 1,
                Ok(Step::NotDue) => {}
                Err(error) if rotation::is_conflict(&error) => {}
                Err(error) => tracing::error!(%error, "cannot destroy a secret"),
            }
        }
        if due.len() < BATCH || destroyed == 0 {
            return Ok(());
        }
    }
}

async fn destroy_secret(
    server: &Server,
    turn: &Turn<'_>,
    found: &secrets::DueSecret,
) -> Result<Step, Failure> {
    let mut tx = server.store.begin();
    turn.hold(&mut tx).await?;
    let now = server.clock.now();
    let Some(secret) = secrets::destroy(&mut tx, found, now).await? else {
        return Ok(Step::NotDue);
    };
    let resource = ("AWS::SecretsManager::Secret", &secret.arn);
    let (source, name) = ("secretsmanager.amazonaws.com", "EndSecretVersionDelete");
    let (account, region) = (&secret.account, &secret.region);
    let mut event = service_event(server, source, name, account, region, resource);
    event.additional_event_data = Some(serde_json::json!({"SecretId": secret.arn.as_str()}));
    server.commit_service_events(tx, vec![event]).await?;
    Ok(Step::Destroyed)
}
