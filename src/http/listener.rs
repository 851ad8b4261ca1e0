//! The accept loop: lets connections in up to the caps, survives errors of `accept`, and stops
//! gracefully.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use super::{
    Connections, Handler, Limits, Tls, admission::Admission, body::Pool, connection,
    limits::LEAST_HEADER_BYTES,
};

/// The first and the longest pause after `accept` failed for want of a resource. Without a pause the
/// loop would spin, as the waiting connection stays ready.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why a listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("plain HTTP is served on loopback addresses only, not on {0}: configure TLS")]
    Plain(SocketAddr),
    #[error("max_header_bytes must be at least {LEAST_HEADER_BYTES}")]
    HeaderBytes,
    #[error("the listening socket has no address")]
    Address(#[from] io::Error),
}

/// Plain HTTP shows every plaintext and session token to the network, so it stays on the machine.
pub fn check_plain_allowed(address: SocketAddr) -> Result<(), ListenError> {
    if address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(ListenError::Plain(address))
    }
}

/// What a listener did until it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeStats {
    pub accepted: u64,
    pub refused: u64,
    pub timed_out: u64,
    /// Connections whose requests did not end within `Limits::stop`.
    pub cut_at_stop: usize,
}

/// A bound socket with everything that is needed to serve it.
pub struct Listener<H> {
    tcp: TcpListener,
    shared: Arc<Shared<H>>,
}

impl<H> std::fmt::Debug for Listener<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

/// What all connections of a listener share.
pub(super) struct Shared<H> {
    pub(super) handler: Arc<H>,
    pub(super) limits: Limits,
    pub(super) counters: Arc<Connections>,
    pub(super) tls: Option<Tls>,
    pub(super) pool: Pool,
    pub(super) stop: Stop,
}

/// The wish to stop, cheap to look at and possible to wait for.
#[derive(Debug, Default)]
pub(super) struct Stop {
    asked: AtomicBool,
    wake: Notify,
}

impl Stop {
    fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) async fn asked(&self) {
        let mut woken = pin!(self.wake.notified());
        // Registered before the flag is read, so that no `ask` falls between the two.
        woken.as_mut().enable();
        if !self.is_asked() {
            woken.await;
        }
    }
}

impl<H: Handler> Listener<H> {
    /// Without `tls` the socket must be bound to a loopback address.
    pub fn new(
        tcp: TcpListener,
        tls: Option<&Tls>,
        handler: Arc<H>,
        limits: Limits,
    ) -> Result<Self, ListenError> {
        if tls.is_none() {
            check_plain_allowed(tcp.local_addr()?)?;
        }
        if limits.max_header_bytes < LEAST_HEADER_BYTES {
            return Err(ListenError::HeaderBytes);
        }
        let shared = Shared {
            handler,
            counters: Arc::default(),
            tls: tls.cloned(),
            pool: Pool::new(limits.max_buffered_bytes),
            stop: Stop::default(),
            limits,
        };
        Ok(Listener { tcp, shared: Arc::new(shared) })
    }

    /// The counters, for the metrics endpoint; they stay readable after the stop.
    #[must_use]
    pub fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.shared.counters)
    }

    /// Serves until `shutdown` is ready, then lets the requests in flight end.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> ServeStats {
        let Listener { tcp, shared } = self;
        let admission = Admission::new(&shared.limits, Arc::clone(&shared.counters));
        let mut tasks = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        let mut pause = FIRST_PAUSE;
        loop {
            let (stream, address) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = tasks.join_next() => {
                    report(ended);
                    continue;
                }
                accepted = accept(&tcp, &mut pause, &shared.counters) => accepted,
            };
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            // A connection that may not come in is closed here, by being dropped.
            let Some(place) = admission.admit(address.ip()) else { continue };
            let shared = Arc::clone(&shared);
            tasks.spawn(async move {
                connection::run(shared, stream, address).await;
                drop(place);
            });
        }
        drop(tcp);
        let cut_at_stop = stop(&shared, &mut tasks).await;
        let counters = &shared.counters;
        ServeStats {
            accepted: counters.accepted.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            timed_out: counters.timed_out.load(Ordering::Relaxed),
            cut_at_stop,
        }
    }
}

/// The next connection. Errors are counted, never returned: a server whose accept loop has ended
/// looks alive and is not.
async fn accept(
    tcp: &TcpListener,
    pause: &mut Duration,
    counters: &Connections,
) -> (TcpStream, SocketAddr) {
    loop {
        match tcp.accept().await {
            Ok(accepted) => {
                *pause = FIRST_PAUSE;
                return accepted;
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                counters.accept_errors.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, ?pause, "cannot accept connections");
                sleep(*pause).await;
                *pause = (*pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// The client went away before it was accepted; the next one may be waiting.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn stop<H>(shared: &Shared<H>, tasks: &mut JoinSet<()>) -> usize {
    shared.stop.ask();
    let all_ended = async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    };
    if timeout(shared.limits.stop, all_ended).await.is_ok() {
        return 0;
    }
    let left = tasks.len();
    tracing::warn!(connections = left, "requests in flight are cut");
    tasks.shutdown().await;
    left
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}
