//! Health and metrics, without credentials: on a listener of their own, or beside the API where that
//! is loopback.
use super::{Connections, Handler, Incoming};
use crate::call::Server;
use crate::devices::Device;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A device that takes longer is not ready; whoever probes asks again.
const DEVICE_DEADLINE: Duration = Duration::from_secs(3);

#[derive(Clone, Debug)]
pub struct Admin {
    server: Arc<Server>,
    /// Of the API's listeners, once there are any.
    connections: Arc<OnceLock<Vec<Arc<Connections>>>>,
}

impl Admin {
    pub fn new(server: Arc<Server>) -> Self {
        Self { server, connections: Arc::default() }
    }

    /// Tells whose connections the metrics count. Only the first call counts.
    pub fn watch(&self, connections: Vec<Arc<Connections>>) {
        let _ = self.connections.set(connections);
    }

    /// The page, if the request is for one.
    pub async fn answer(&self, head: &Parts) -> Option<Response<Bytes>> {
        if head.method != Method::GET {
            return None;
        }
        match head.uri.path() {
            "/healthz" => Some(page(StatusCode::OK, TEXT, "ok\n".into())),
            "/readyz" => Some(self.ready().await),
            "/metrics" => Some(self.metrics()),
            _ => None,
        }
    }

    /// Ready to serve: the store answers and has not given up writing, a device does, and one opened the domain keys when it was last
    /// looked at.
    async fn ready(&self) -> Response<Bytes> {
        let mut faults = Vec::new();
        let mut tx = self.server.store.begin();
        if let Err(error) = tx.get::<Probe>(&["probe"]).await {
            tracing::warn!(%error, "not ready: the store does not answer");
            faults.push("store");
        }
        if let Err(error) = self.server.store.check_writable() {
            tracing::warn!(%error, "not ready: the store takes no writes");
            faults.push("store takes no writes");
        }
        let opens = self.opens().await;
        match tokio::time::timeout(DEVICE_DEADLINE, self.server.root.fresh_key()).await {
            Ok(Ok(_)) if opens => {}
            Ok(Ok(_)) => {
                tracing::warn!("not ready: no device opens the domain keys any more");
                faults.push("device");
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready: the device does not answer");
                faults.push("device");
            }
            Err(_) => {
                tracing::warn!("not ready: the device takes too long");
                faults.push("device");
            }
        }
        if !self.server.outbox.log_works() {
            faults.push("audit log");
        }
        let (status, first) = match faults.as_slice() {
            [] => (StatusCode::OK, "ready".into()),
            some => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}", some.join(", "))),
        };
        page(status, TEXT, format!("{first}\n{}", self.complaints()))
    }

    /// Whether a device opens the domain keys. If none did at the last look, it is looked again.
    async fn opens(&self) -> bool {
        let root = &self.server.root;
        if !root.is_reachable() {
            let (looked, now) = (root.clone(), self.server.clock.now());
            let look = tokio::task::spawn_blocking(move || looked.look(now));
            // Too late is as good as no.
            drop(tokio::time::timeout(DEVICE_DEADLINE, look).await);
        }
        root.is_reachable()
    }

    /// A line for each device that is not well, whether others stand in for it or not. The device's own
    /// words are for operators.
    fn complaints(&self) -> String {
        let line = |device: &Device| {
            let said = device.hsm.health()?.complaint()?;
            Some(format!("device {}: {said}\n", device.name))
        };
        self.server.devices.all().iter().filter_map(line).collect()
    }

    fn metrics(&self) -> Response<Bytes> {
        for device in self.server.devices.all() {
            if let Some(health) = device.hsm.health() {
                self.server.metrics.device(&device.name, &health);
            }
        }
        if let Some(all) = self.connections.get() {
            let sum = |which: fn(&Connections) -> &AtomicU64| {
                all.iter().map(|one| which(one).load(Ordering::Relaxed)).sum()
            };
            let (open, refused) = (sum(|c| &c.open), sum(|c| &c.refused));
            self.server.metrics.connections(open, refused, sum(|c| &c.timed_out));
        }
        let age = self.server.store.knowledge_age().unwrap_or_default();
        self.server.metrics.store(age, self.server.store.is_verified());
        page(StatusCode::OK, METRICS, self.server.metrics.text())
    }
}

/// A row that is never there: reading it shows that the store can be read.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Probe {}
impl crate::store::Record for Probe {
    const TABLE: crate::seal::Table = crate::seal::Table::new("probe");
    const CACHED: bool = false;
}

impl Handler for Admin {
    async fn handle(&self, request: Incoming) -> Response<Bytes> {
        let missing = || page(StatusCode::NOT_FOUND, TEXT, "not found\n".into());
        self.answer(&request.head).await.unwrap_or_else(missing)
    }
}

pub(super) fn page(status: StatusCode, media_type: &'static str, text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
