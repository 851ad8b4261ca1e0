//! Automatic rotation: keys whose period is over get new material.
use super::{BATCH, Failure};
use crate::call::{ReplayError, Server, service_event, synchronized};
use crate::keys::{self, DueRotation, KeyError};
use crate::nodes::Turn;
use crate::store::StoreError;

pub(super) async fn rotate_keys(server: &Server, turn: Turn<'_>) -> Result<(), Failure> {
    loop {
        let due = keys::due_rotations(&server.store.begin(), server.clock.now(), BATCH).await?;
        let mut done = 0;
        for key in &due {
            match rotate_key(server, &turn, key).await {
                Ok(()) => done += 1,
                // Whoever changed the key at the same time was first: the next look finds it again.
                Err(error) if is_conflict(&error) => {}
                Err(error) => tracing::error!(key = key.id, %error, "cannot rotate a key"),
            }
        }
        if due.len() < BATCH || done == 0 {
            return Ok(());
        }
    }
}

async fn rotate_key(server: &Server, turn: &Turn<'_>, due: &DueRotation) -> Result<(), Failure> {
    let mut tx = server.store.begin();
    turn.hold(&mut tx).await?;
    let fresh = async || Ok(server.root.fresh_key().await?.into());
    let rotated = keys::rotate_due(&mut tx, due, server.clock.now(), fresh).await?;
    let Some(rotated) = rotated else {
        // The key is not in use and leaves the list, which is no event.
        return Ok(tx.commit().await?);
    };
    let key = &rotated.key;
    let resource = ("AWS::KMS::Key", &key.arn);
    let source = "kms.amazonaws.com";
    let mut event = service_event(server, source, "RotateKey", &key.account, &key.region, resource);
    event.service_event_details = Some(rotated.details());
    let mut events = vec![event];
    if key.has_replicas() {
        events.push(synchronized(server, &key.account, &key.region, &key.arn));
    }
    server.commit_service_events(tx, events).await?;
    Ok(())
}

pub(super) fn is_conflict(error: &Failure) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Conflict))
        || matches!(error.downcast_ref(), Some(KeyError::Store(StoreError::Conflict)))
        || matches!(error.downcast_ref(), Some(ReplayError::Store(StoreError::Conflict)))
}
