//! This node among the others: it says that it is there, learns what they change of the root of trust, and
//! takes care of what those left behind that are gone.
use super::Failure;
use crate::call::{self, Server};
use crate::nodes::{ThisNode, Turn};
use crate::root_of_trust::RootError;
use crate::store::StoreError;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether another node has changed what wraps the domain keys.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How many looks there are from one report to the next.
const LOOKS_PER_REPORT: u32 = 5;

/// Works as long as this is a node; ends when it is told that it is none any more. Where there can be
/// no others it never ends.
pub async fn keep_membership(server: Arc<Server>) {
    let Some(node) = &server.node else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut looks = 0_u32;
    loop {
        ticks.tick().await;
        let learned = learn(&server).await;
        if learned || looks.is_multiple_of(LOOKS_PER_REPORT) {
            report(&server, node).await;
            if node.is_fenced() {
                return;
            }
        }
        looks = looks.wrapping_add(1);
    }
}

/// Answers whether there was news. The wraps that are new are tried at once.
async fn learn(server: &Arc<Server>) -> bool {
    let (root, now) = (server.root.clone(), server.clock.now());
    let learn = move || {
        let learned = root.refresh()?;
        if learned {
            root.look(now);
        }
        Ok::<_, RootError>(learned)
    };
    match tokio::task::spawn_blocking(learn).await {
        Ok(Ok(learned)) => learned,
        // The store's own follower tells of it.
        Ok(Err(RootError::Store(StoreError::Unavailable(_)))) => false,
        Ok(Err(error)) => {
            tracing::error!(%error, "cannot learn who wraps the domain keys");
            false
        }
        Err(error) => {
            tracing::error!(%error, "cannot learn who wraps the domain keys");
            false
        }
    }
}

async fn report(server: &Server, node: &ThisNode) {
    match node.report(&server.root, &server.store).await {
        Ok(()) if node.is_fenced() => tracing::error!("this node is none any more"),
        Ok(()) | Err(StoreError::Unavailable(_)) => {}
        // Another database, perhaps, for as long as it takes to restore one.
        Err(error) => tracing::error!(%error, "this node cannot say that it is there"),
    }
}

/// Logs what nodes left in the outbox that are gone for good.
pub(super) async fn inherit(server: &Server, turn: Turn<'_>) -> Result<(), Failure> {
    let Some(node) = &server.node else { return Ok(()) };
    let others = call::owners(server).await?.into_iter().filter(|id| id != node.id());
    for gone in node.gone(others.collect()).await? {
        let events = call::inherit(server, &gone, &turn).await?;
        if events > 0 {
            tracing::warn!(node = gone, events, "logged events that a node left behind");
        }
    }
    Ok(())
}
