//! The devices are looked at all the time: one that lost its root key is known before it is needed.
use crate::call::Server;
use crate::keys::stores;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks, at least.
const INTERVAL: Duration = Duration::from_secs(5);
/// A look may take this part of a device's time: a TPM is slow, and others want it too.
const SHARE: u32 = 20;

#[expect(clippy::disallowed_methods, reason = "elapsed time is meant; no decision rests on a date")]
fn now() -> Instant {
    Instant::now()
}

/// Looks until the task is dropped. The start has just looked.
pub async fn watch_devices(server: Arc<Server>) {
    tell_of_missing(&server).await;
    let mut pause = INTERVAL;
    loop {
        tokio::time::sleep(pause).await;
        let began = now();
        let (root, time) = (server.root.clone(), server.clock.now());
        match tokio::task::spawn_blocking(move || root.look(time)).await {
            Ok(away) => away.into_iter().for_each(|away| server.metrics.devices_away(away)),
            Err(error) => tracing::error!(%error, "cannot look at the devices"),
        }
        pause = INTERVAL.max(began.elapsed().saturating_mul(SHARE));
    }
}

/// A section that was taken out of the configuration while keys live in its device: nobody but the
/// operator can say where it is.
async fn tell_of_missing(server: &Server) {
    match stores::without_device(&server.store.begin(), &server.devices).await {
        Ok(missing) => missing.iter().for_each(|link| {
            let (store, cluster) = (&link.store, link.cluster.as_deref());
            tracing::error!(
                store,
                cluster,
                "the cluster of a custom key store is no device of the configuration: its keys cannot \
                 be used"
            );
        }),
        Err(error) => tracing::error!(%error, "cannot look at the custom key stores"),
    }
}
