//! Keys in devices: what their end leaves there is destroyed, and looked for, before the key is gone; and
//! so is what came of no key.
use super::rotation::is_conflict;
use super::{BATCH, Failure};
use crate::call::{Server, service_event};
use crate::keys::resident::{self, ResidentKey, Unfinished};
use crate::keys::{self, Due};
use claviger_hsm::{HsmError, ResidentId};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a device that did not do it is left alone.
const RETRY_SECONDS: i64 = 60;
/// How long one is waited for. What it does afterwards counts at the next attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// The devices that failed in one look. They are not asked again in it: other work waits meanwhile.
#[derive(Debug, Default)]
pub(super) struct Away(BTreeSet<String>);

impl Away {
    async fn destroy(
        &mut self,
        server: &Server,
        cluster: &str,
        object: &ResidentId,
    ) -> Result<(), HsmError> {
        let text = |text: &str| HsmError::Unavailable(format!("{cluster} {text}"));
        if self.0.contains(cluster) {
            return Err(text("has just failed"));
        }
        let Some(device) = server.devices.of_cluster(cluster) else {
            return Err(text("is no device of the configuration"));
        };
        let destroyed =
            match tokio::time::timeout(PATIENCE, resident::destroy(device, object)).await {
                Ok(destroyed) => destroyed,
                Err(_) => Err(text("takes too long")),
            };
        if destroyed.is_err() {
            self.0.insert(cluster.to_owned());
        }
        destroyed
    }
}

/// Whether another node may have the device, while this one has not.
fn is_anothers(server: &Server, cluster: &str) -> bool {
    server.node.is_some() && server.devices.of_cluster(cluster).is_none()
}

/// Whether the key that is due has nothing in a device (any more). If it has, and cannot be rid of it
/// now, it stays as it is and is tried again later.
pub(super) async fn is_rid_of(
    server: &Server,
    due: &Due,
    away: &mut Away,
) -> Result<bool, Failure> {
    let now = server.clock.now();
    let object = keys::object_of(&mut server.store.begin(), due, now).await?;
    let Some(key) = object else { return Ok(true) };
    let ResidentKey { object, cluster, .. } = &*key;
    if is_anothers(server, cluster) {
        return Ok(false);
    }
    match away.destroy(server, cluster, object).await {
        Ok(()) => {
            tracing::info!(key = due.id, %object, cluster, "destroyed a key in its device");
            Ok(true)
        }
        Err(error) => {
            tracing::error!(key = due.id, %object, cluster, %error, "a key stays in its device");
            let mut tx = server.store.begin();
            keys::postpone(&mut tx, due, RETRY_SECONDS, now).await?;
            tx.commit().await?;
            Ok(false)
        }
    }
}

/// Destroys what was begun in a device and did not become a key.
pub(super) async fn clear(server: &Server, away: &mut Away) -> Result<(), Failure> {
    let due = resident::unfinished(&server.store.begin(), server.clock.now(), BATCH).await?;
    for found in due.iter().filter(|found| !is_anothers(server, &found.cluster)) {
        match end(server, found, away).await {
            Ok(()) => {}
            Err(error) if is_conflict(&error) => {}
            // One that cannot be ended keeps no other from it.
            Err(error) => {
                let (object, cluster) = (&found.object, &found.cluster);
                tracing::error!(%object, cluster, %error, "what became no key stays in its device");
                let now = server.clock.now();
                resident::postpone(&server.store, found, RETRY_SECONDS, now).await?;
            }
        }
    }
    Ok(())
}

async fn end(server: &Server, found: &Unfinished, away: &mut Away) -> Result<(), Failure> {
    if !found.condemn(&server.store).await? {
        return Ok(());
    }
    let (object, cluster) = (&found.object, &found.cluster);
    away.destroy(server, cluster, object).await?;
    tracing::warn!(%object, cluster, "destroyed what was made in a device and became no key");
    let mut tx = server.store.begin();
    resident::clear(&mut tx, found)?;
    let arn = keys::arn(&found.account, &found.region, found.key_id());
    let (source, name) = ("kms.amazonaws.com", "DeleteUnfinishedKey");
    let resource = ("AWS::KMS::Key", &arn);
    let mut event = service_event(server, source, name, &found.account, &found.region, resource);
    event.service_event_details =
        Some(serde_json::json!({"keyId": found.key_id(), "clusterId": found.cluster}));
    server.commit_service_events(tx, vec![event]).await?;
    Ok(())
}
