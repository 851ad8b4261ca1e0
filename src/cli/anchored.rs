//! The anchor of `[store] anchor`: looked at by each start, and moved while the deployment is open.
use super::StartError;
use super::opened::off;
use crate::backup::{Anchor, BackupError};
use crate::call::Server;
use crate::config::{StoreKind, StoreSettings};
use crate::root_of_trust::RootOfTrust;
use crate::store::Store;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often it is brought up to date.
const INTERVAL: Duration = Duration::from_secs(1);

/// The configured anchor, if there is one.
pub(super) async fn read(
    settings: &StoreSettings,
    root: &RootOfTrust,
) -> Result<Option<Arc<Anchor>>, StartError> {
    let Some(path) = settings.anchor.clone() else { return Ok(None) };
    let (cluster, key) = (root.cluster(), root.anchor_key());
    let anchor = off(move || Anchor::open(&path, cluster, key)).await??;
    Ok(Some(Arc::new(anchor)))
}

/// Refuses a store that had come further once.
pub(super) fn compare(
    data: &Path,
    kind: StoreKind,
    anchor: &Anchor,
    store: &Store,
) -> Result<(), StartError> {
    let (has, anchored) = (store.acknowledged(), anchor.revision().unwrap_or_default());
    if has >= anchored {
        return Ok(());
    }
    let by = match kind {
        StoreKind::Embedded => {
            "`claviger restore` --accept-older, or by making the anchor an empty file"
        }
        StoreKind::Postgresql => "making the anchor an empty file: docs/postgresql.md",
    };
    let what = format!(
        "was put back to an older state: its store has revision {has}, and {} says that it had come to \
         {anchored}. Restore the newest backup. What was changed in between is lost for good by {by}",
        anchor.path().display()
    );
    Err(StartError::Data { path: data.to_owned(), what })
}

/// Brings an anchor that is empty to where the store is; the log says so.
pub(super) async fn begin(anchor: &Arc<Anchor>, server: &Server) -> Result<(), StartError> {
    if anchor.revision().is_some() {
        return Ok(());
    }
    let said = json!({ "anchor": anchor.path(), "revision": server.store.acknowledged() });
    let recorded = server.record("BeginAnchor", said).await;
    recorded.map_err(|e| StartError::Other(e.to_string()))?;
    advance(anchor, server).await
}

/// To where this server's commits have come. Durable when it returns.
pub(super) async fn advance(anchor: &Arc<Anchor>, server: &Server) -> Result<(), StartError> {
    to(anchor, server.store.acknowledged()).await
}

async fn to(anchor: &Arc<Anchor>, revision: u64) -> Result<(), StartError> {
    let anchor = anchor.clone();
    Ok(off(move || anchor.advance(revision)).await??)
}

/// Follows the store until the task is dropped, and with it what other nodes commit: each node's anchor
/// recognises the database that was put back, not only the anchor of whoever wrote last. A disk that fails
/// keeps nobody from being served.
pub(super) async fn follow(anchor: Arc<Anchor>, server: Arc<Server>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut fails = false;
    loop {
        ticks.tick().await;
        // A database that is away or slow is spoken of by who needs it.
        let newest = tokio::time::timeout(INTERVAL, server.store.newest()).await;
        let newest = newest.ok().and_then(Result::ok);
        match to(&anchor, newest.unwrap_or_else(|| server.store.acknowledged())).await {
            Ok(()) if fails => tracing::info!("the anchor of the store is written again"),
            Err(error) if !fails => tracing::error!(%error, "the anchor of the store stays behind"),
            _ => continue,
        }
        fails = !fails;
    }
}

/// Begins the anchor of a new deployment.
pub(super) async fn create(
    settings: &StoreSettings,
    server: &Server,
) -> Result<Option<Arc<Anchor>>, StartError> {
    let Some(path) = settings.anchor.clone() else { return Ok(None) };
    let (cluster, key) = (server.root.cluster(), server.root.anchor_key());
    let revision = server.store.acknowledged();
    let begun = move || Anchor::begin(&path, cluster, key, revision);
    Ok(Some(Arc::new(off(begun).await??)))
}

/// Before anything is made: whether there is room for an anchor.
pub(super) fn vacant(settings: &StoreSettings) -> Result<(), BackupError> {
    settings.anchor.as_deref().map_or(Ok(()), Anchor::vacant)
}
