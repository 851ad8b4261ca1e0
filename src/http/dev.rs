//! What only `claviger dev` offers, and only to its own machine: emptying the store and moving the
//! clock, so that deletion windows can be tested in milliseconds.
use super::Incoming;
use super::admin::page;
use crate::background;
use crate::call::Server;
use crate::clock::MovableClock;
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde::Deserialize;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

const TEXT: &str = "text/plain; charset=utf-8";
/// A hundred years: enough for every window, too little to overflow a date.
const MOST_SECONDS: i64 = 100 * 366 * 86_400;

type Seed = dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync;

/// The developer's tools.
pub struct DevTools {
    server: Arc<Server>,
    clock: Arc<MovableClock>,
    /// Puts the accounts and keys back that the server was started with.
    seed: Box<Seed>,
    /// Keeps the clock's lead across restarts.
    keep: Box<dyn Fn(i64) -> std::io::Result<()> + Send + Sync>,
}

impl Debug for DevTools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DevTools(..)")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: i64,
}

impl DevTools {
    pub fn new(
        server: Arc<Server>,
        clock: Arc<MovableClock>,
        seed: Box<Seed>,
        keep: Box<dyn Fn(i64) -> std::io::Result<()> + Send + Sync>,
    ) -> Self {
        Self { server, clock, seed, keep }
    }

    /// Whether the request is for one of the tools.
    pub(super) fn is_meant(request: &Incoming) -> bool {
        request.head.uri.path().starts_with("/_claviger/")
    }

    pub(super) async fn answer(&self, request: &Incoming) -> Response<Bytes> {
        if !from_this_machine(request) {
            let text = "only for this machine, and not from a web page\n".to_owned();
            return page(StatusCode::FORBIDDEN, TEXT, text);
        }
        let post = request.head.method == Method::POST;
        let outcome = match request.head.uri.path() {
            "/_claviger/reset" if post => self.reset().await,
            "/_claviger/clock" if post => self.advance(&request.body).await,
            "/_claviger/reset" | "/_claviger/clock" => {
                let text = "POST is wanted\n".to_owned();
                return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
            }
            _ => return page(StatusCode::NOT_FOUND, TEXT, "not found\n".into()),
        };
        match outcome {
            Ok(text) => page(StatusCode::OK, TEXT, text),
            Err((status, text)) => page(status, TEXT, text),
        }
    }

    async fn reset(&self) -> Result<String, (StatusCode, String)> {
        let failed = |error: String| {
            tracing::error!(%error, "reset failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "the reset failed: see the log\n".to_owned())
        };
        self.server.store.clear().await.map_err(|e| failed(e.to_string()))?;
        (self.seed)().await.map_err(failed)?;
        Ok("the store is empty; the credentials are the same\n".into())
    }

    async fn advance(&self, body: &[u8]) -> Result<String, (StatusCode, String)> {
        let usage = || {
            let text = "send {\"advance_seconds\": n} with n from 0 to 100 years\n".to_owned();
            (StatusCode::BAD_REQUEST, text)
        };
        // serde would take an array for the struct.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(usage());
        }
        let advance: Advance = serde_json::from_slice(body).map_err(|_| usage())?;
        let ahead = self.clock.ahead_seconds().saturating_add(advance.advance_seconds);
        if advance.advance_seconds < 0 || ahead > MOST_SECONDS {
            return Err(usage());
        }
        (self.keep)(ahead).map_err(|error| {
            tracing::error!(%error, "cannot keep the clock's lead");
            (StatusCode::INTERNAL_SERVER_ERROR, "the clock did not move: see the log\n".to_owned())
        })?;
        self.clock.advance(advance.advance_seconds);
        // What became due is done before the answer, so that a test need not wait for it.
        background::sweep(&self.server).await;
        Ok(format!("the clock is {ahead} seconds ahead\n"))
    }
}

/// A loopback peer that addressed us as such. A page in the developer's browser would come from
/// loopback too: it is known by its `Origin`, or by the name it reached us under.
fn from_this_machine(request: &Incoming) -> bool {
    let headers = &request.head.headers;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let local = name == "localhost"
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    request.peer.ip().is_loopback() && local && !headers.contains_key(header::ORIGIN)
}
