//! Imported key material that expires, and wrapping keys that have had their day.
use super::rotation::is_conflict;
use super::{BATCH, Failure};
use crate::call::{Server, service_event};
use crate::keys::import::{self, DueImport, Expired};
use crate::nodes::Turn;

pub(super) async fn expire(server: &Server, turn: Turn<'_>) -> Result<(), Failure> {
    loop {
        let due = import::due(&server.store.begin(), server.clock.now(), BATCH).await?;
        let mut ended = 0;
        for found in &due {
            match end(server, &turn, found).await {
                Ok(()) => ended += 1,
                // Whoever changed the key at the same time was first: the next look finds it again.
                Err(error) if is_conflict(&error) => {}
                // One that cannot be ended keeps no other from it.
                Err(error) => {
                    let key = found.key_id();
                    tracing::error!(key, %error, "cannot end an import");
                }
            }
        }
        if due.len() < BATCH || ended == 0 {
            return Ok(());
        }
    }
}

async fn end(server: &Server, turn: &Turn<'_>, due: &DueImport) -> Result<(), Failure> {
    let mut tx = server.store.begin();
    turn.hold(&mut tx).await?;
    let now = server.clock.now();
    let Expired::Material(key, material) = import::expire(&mut tx, due, now).await? else {
        return Ok(tx.commit().await?);
    };
    let resource = ("AWS::KMS::Key", &key.arn);
    let (source, name) = ("kms.amazonaws.com", "DeleteExpiredKeyMaterial");
    let (account, region) = (&key.account, &key.region);
    let mut event = service_event(server, source, name, account, region, resource);
    // Only keys that can have more than one material name it.
    event.service_event_details = Some(match key.spec.is_symmetric() {
        true => serde_json::json!({"keyId": key.id, "keyMaterialId": material}),
        false => serde_json::json!({"keyId": key.id}),
    });
    server.commit_service_events(tx, vec![event]).await?;
    Ok(())
}
