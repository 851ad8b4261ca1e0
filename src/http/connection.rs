//! One connection from accept to close: handshake, protocol, and the watch over its deadlines.

use std::{
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::TcpStream,
    time::{sleep_until, timeout},
};

use super::{
    ClientCertificate, Connections, Handler, Limits, TlsDetails,
    exchange::Peer,
    framing::HTTP2_PREFACE,
    listener::{Shared, Stop},
    progress::{Phase, Progress},
    stream::{Stream, Transport},
    tls::HTTP2_ALPN,
};

/// HTTP/2 lets a client send so much over all streams before we have read it. h2's receive buffers
/// of one connection are bounded by it.
const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;

enum Protocol {
    Http1,
    Http2,
    /// Not said yet by a plain connection's first bytes.
    Either,
}

pub(super) async fn run<H: Handler>(shared: Arc<Shared<H>>, tcp: TcpStream, address: SocketAddr) {
    // Small answers must not wait for the client's delayed acknowledgement.
    let _ = tcp.set_nodelay(true);
    let Some(shaken) = shake_hands(&shared, tcp).await else { return };
    let Shaken { transport, protocol, tls, certificate } = shaken;
    let progress = Arc::new(Progress::new(&shared.limits));
    let stream = Stream::new(transport, Arc::clone(&progress));
    let builder = builder(&shared, &progress, &protocol);
    let (there, reported) = (Arc::clone(&shared), Arc::clone(&progress));
    let peer = Arc::new(Peer { shared: there, address, tls, certificate, progress: reported });
    let service = service_fn(move |request| Arc::clone(&peer).answer(request));
    let connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let end = auto::Connection::graceful_shutdown;
    watch(connection, end, &progress, &shared.stop, &shared.counters).await;
}

/// A connection that can be spoken on.
struct Shaken {
    transport: Transport,
    protocol: Protocol,
    tls: Option<TlsDetails>,
    certificate: Option<Arc<ClientCertificate>>,
}

async fn shake_hands<H>(shared: &Shared<H>, tcp: TcpStream) -> Option<Shaken> {
    let Some(tls) = &shared.tls else {
        let protocol = tokio::select! {
            outcome = timeout(shared.limits.head, spoken(&tcp)) => outcome,
            () = shared.stop.asked() => return None,
        };
        let Ok(protocol) = protocol else {
            shared.counters.timed_out.fetch_add(1, Relaxed);
            return None;
        };
        let transport = Transport::Plain(tcp);
        return Some(Shaken { transport, protocol, tls: None, certificate: None });
    };
    let outcome = tokio::select! {
        outcome = timeout(shared.limits.handshake, tls.acceptor().accept(tcp)) => outcome,
        () = shared.stop.asked() => return None,
    };
    match outcome {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            let http2 = session.alpn_protocol() == Some(HTTP2_ALPN);
            let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
            let details = TlsDetails::of(session);
            let certificate = ClientCertificate::new(session.peer_certificates(), tls.clients());
            let certificate = certificate.map(Arc::new);
            let transport = Transport::Tls(Box::new(stream));
            Some(Shaken { transport, protocol, tls: details, certificate })
        }
        Ok(Err(error)) => {
            // What concerns a machine that should get in is for its operator to see.
            if matches!(refused_by(&error), Some(rustls::Error::InvalidCertificate(_))) {
                tracing::warn!(%error, "a client's certificate was refused");
            } else {
                tracing::debug!(%error, "TLS handshake failed");
            }
            None
        }
        Err(_) => {
            shared.counters.timed_out.fetch_add(1, Relaxed);
            None
        }
    }
}

/// What a plain connection begins with. hyper would find that out too, but it reads the first bytes by
/// themselves for it: the first head would come in pieces, into a buffer that has to grow.
async fn spoken(tcp: &TcpStream) -> Protocol {
    let mut start = [0; 4];
    let there = tcp.peek(&mut start).await.unwrap_or(0);
    match start.get(..there) {
        Some(start) if !HTTP2_PREFACE.starts_with(start) => Protocol::Http1,
        _ => Protocol::Either,
    }
}

/// What TLS itself complains of.
fn refused_by(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn builder<H>(
    shared: &Shared<H>,
    progress: &Arc<Progress>,
    protocol: &Protocol,
) -> auto::Builder<StreamTasks> {
    let limits: &Limits = &shared.limits;
    let tasks = StreamTasks {
        progress: Arc::clone(progress),
        counters: Arc::clone(&shared.counters),
        lifetime: limits.stream_lifetime(),
    };
    let stream_window = u32::try_from(limits.max_body_bytes).unwrap_or(u32::MAX);
    let header_list = u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX);
    let mut builder = auto::Builder::new(tasks);
    builder
        .http1()
        // Not `max_headers`, which is slower than hyper's constant 100: `exchange` counts them.
        .max_buf_size(limits.max_header_bytes.max(super::limits::LEAST_HEADER_BYTES))
        // A call ends whether or not its client is still there: looking for that at each request costs a
        // read, and a buffer for it.
        .half_close(true)
        // `progress` has a deadline for heads that costs no timer per request.
        .header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(header_list)
        .max_send_buf_size(limits.http2_send_buffer)
        .initial_stream_window_size(stream_window.min(HTTP2_CONNECTION_WINDOW))
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .keep_alive_interval(limits.http2_ping)
        .keep_alive_timeout(limits.http2_ping);
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
        Protocol::Either => builder,
    }
}

/// Polls the connection until it ends, cutting it at its deadline and ending it gracefully when it
/// is idle too long or the server stops.
///
/// One timer for the whole connection, moved only when a nearer deadline appears or it fires: a busy
/// connection touches it once in `Limits::idle`.
async fn watch<C: Future>(
    mut connection: Pin<&mut C>,
    end_gracefully: impl Fn(Pin<&mut C>),
    progress: &Progress,
    stop: &Stop,
    counters: &Connections,
) {
    let mut timer = pin!(sleep_until(progress.at(0)));
    let mut armed = None;
    let mut registered = false;
    let mut stop_asked = pin!(stop.asked());
    let end = |connection: Pin<&mut C>| {
        progress.ends();
        end_gracefully(connection);
    };
    std::future::poll_fn(|cx| {
        // The wake-up for a stop is registered once and not at each poll, which would take a lock:
        // this future never leaves its task, and a task's waker stays the same. Its outcome does
        // not matter, as the flag is read below.
        if !registered {
            let _ = stop_asked.as_mut().poll(cx);
            registered = true;
        }
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if stop.is_asked() && !progress.is_ending() {
                // hyper would wait for the rest of a first head; it is no request yet.
                if progress.is(Phase::Head) {
                    return Poll::Ready(());
                }
                end(connection.as_mut());
                continue;
            }
            let deadline = progress.deadline();
            if armed.is_some_and(|armed| deadline >= armed) && !timer.is_elapsed() {
                return Poll::Pending;
            }
            let now = progress.now();
            if now >= deadline {
                if progress.ends_handling(now) {
                    continue;
                }
                if progress.is(Phase::Idle) && !progress.is_ending() {
                    counters.idle_closed.fetch_add(1, Relaxed);
                    end(connection.as_mut());
                    continue;
                }
                if !progress.is(Phase::Closing) && !progress.is_ending() {
                    counters.timed_out.fetch_add(1, Relaxed);
                }
                progress.cut();
                return Poll::Ready(());
            }
            let next = progress.due(now);
            armed = Some(next);
            timer.as_mut().reset(progress.at(next));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// Runs HTTP/2 streams as tasks, counts them, and ends those whose client takes no answer.
#[derive(Clone)]
struct StreamTasks {
    progress: Arc<Progress>,
    counters: Arc<Connections>,
    lifetime: Duration,
}

struct Counted(Arc<Progress>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.stream_ended();
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for StreamTasks {
    fn execute(&self, stream: F) {
        self.progress.stream_began();
        let counted = Counted(Arc::clone(&self.progress));
        let (counters, lifetime) = (Arc::clone(&self.counters), self.lifetime);
        tokio::spawn(async move {
            if super::body::within(lifetime, pin!(stream)).await.is_none() {
                counters.timed_out.fetch_add(1, Relaxed);
            }
            drop(counted);
        });
    }
}
