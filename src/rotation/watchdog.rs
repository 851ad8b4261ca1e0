//! Sees that no window passes without a rotation unnoticed.
use super::events::{self, commit, of_secret};
use crate::call::Server;
use crate::nodes::Turn;
use crate::secrets::Secret;
use crate::secrets::rotation::{Overdue, Watch};
use crate::store::StoreError;

/// Windows that one look ends before the next kind of work has its turn.
const BATCH: usize = 100;

/// Ends the watch of windows that are over. Answers whether one was missed.
pub(super) async fn look(server: &Server, turn: &Turn<'_>) -> Result<bool, StoreError> {
    let mut missed = false;
    loop {
        let over = Watch::over(&server.store.begin(), server.clock.now(), BATCH).await?;
        let mut ended = 0;
        for watch in &over {
            match end(server, turn, watch).await {
                Ok(was_missed) => {
                    ended += 1;
                    missed |= was_missed;
                }
                // The other node's, or a secret that is being changed: the next look finds it again.
                Err(StoreError::Conflict) => {}
                // One that cannot end keeps no other from it.
                Err(error) => {
                    let secret = watch.arn.as_str();
                    tracing::error!(secret, %error, "cannot end the watch of a rotation window");
                }
            }
        }
        if over.len() < BATCH || ended == 0 {
            return Ok(missed);
        }
    }
}

async fn end(server: &Server, turn: &Turn<'_>, watch: &Watch) -> Result<bool, StoreError> {
    let mut tx = server.store.begin();
    turn.hold(&mut tx).await?;
    let missed = watch.end(&mut tx).await?;
    let event = missed.then(|| events::missed(server, (&watch.account, &watch.region, &watch.arn)));
    commit(server, tx, event.into_iter().collect()).await?;
    if missed {
        tell(watch.arn.as_str());
    }
    Ok(missed)
}

/// What is known of a window that was over before anybody looked.
pub(super) fn missed(server: &Server, secret: &Secret) -> crate::audit::Event {
    events::missed(server, of_secret(secret))
}

pub(super) fn tell(secret: &str) {
    tracing::error!(secret, "a rotation window ended and the secret was not rotated in it");
}

/// Has the metric say how many secrets are overdue.
pub(super) async fn count(server: &Server) -> Result<(), StoreError> {
    let mut tx = server.store.begin();
    let overdue = Overdue::count(&mut tx).await?;
    server.metrics.rotations_overdue(overdue);
    match tx.is_read_only() {
        true => Ok(()),
        false => tx.commit().await,
    }
}
