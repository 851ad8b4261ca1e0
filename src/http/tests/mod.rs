//! The front door from outside: raw sockets against a listener with deadlines of milliseconds.
//!
//! Lower bounds are exact (nothing may be cut early); upper bounds are generous, for busy machines.
#![expect(clippy::disallowed_methods, reason = "these tests are about elapsed time")]

mod http2;
mod slow;
mod stop;
mod strict;
mod tls;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Response;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{Connections, Handler, Incoming, Limits, Listener, ServeStats, Tls};

/// How late a deadline may be noticed on a machine that does other things too.
const SLACK: Duration = Duration::from_secs(2);

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Different for each phase, so that a test sees which deadline it met.
pub(super) fn quick() -> Limits {
    Limits {
        head: ms(300),
        handshake: ms(350),
        body: ms(400),
        handling: ms(5000),
        write: ms(450),
        idle: ms(200),
        http2_idle: ms(250),
        linger: ms(300),
        stop: ms(1000),
        ..Limits::default()
    }
}

/// `/wait/N` answers after N ms, `/big/N` with N bytes; other paths tell what came.
struct Echo;

impl Handler for Echo {
    async fn handle(&self, request: Incoming) -> Response<Bytes> {
        let path = request.head.uri.path();
        let number = |prefix| path.strip_prefix(prefix)?.parse::<u64>().ok();
        if let Some(millis) = number("/wait/") {
            sleep(ms(millis)).await;
        }
        if let Some(size) = number("/big/") {
            return Response::new(Bytes::from(vec![b'x'; usize::try_from(size).unwrap()]));
        }
        let host = request.head.headers.get("host").map(|host| host.to_str().unwrap());
        let tls = request.tls.map(|tls| (tls.version, tls.cipher_suite, tls.key_exchange));
        let (method, body) = (&request.head.method, request.body.len());
        Response::new(format!("{method} {path} {host:?} body={body} {tls:?}").into())
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) connections: Arc<Connections>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<ServeStats>,
}

impl Server {
    pub(super) async fn start(limits: Limits) -> Server {
        Self::start_with(limits, None).await
    }

    pub(super) async fn start_with(limits: Limits, tls: Option<&Tls>) -> Server {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = Listener::new(tcp, tls, Arc::new(Echo), limits).unwrap();
        let connections = listener.connections();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(listener.serve(async move {
            let _ = stopped.await;
        }));
        Server { address, connections, stop: Some(stop), task }
    }

    pub(super) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    pub(super) fn ask_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(super) async fn ended(self) -> ServeStats {
        timeout(Duration::from_secs(5), self.task).await.expect("the server ends").unwrap()
    }

    /// How long it takes until no connection is open.
    pub(super) async fn emptied(&self, began: Instant) -> Duration {
        // A connection counts once it is accepted.
        while self.connections.accepted.load(Relaxed) == 0
            || self.connections.open.load(Relaxed) > 0
        {
            assert!(began.elapsed() < Duration::from_secs(10), "a connection is never closed");
            sleep(ms(5)).await;
        }
        began.elapsed()
    }

    pub(super) fn timed_out(&self) -> u64 {
        self.connections.timed_out.load(Relaxed)
    }
}

pub(super) struct Client(pub(super) TcpStream);

impl Client {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// All that comes until the server closes; a reset is an end as well.
    pub(super) async fn read_to_end(&mut self) -> String {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        let reading = async {
            while let Ok(read) = self.0.read(&mut buffer).await
                && read > 0
            {
                all.extend_from_slice(&buffer[..read]);
            }
        };
        timeout(Duration::from_secs(10), reading).await.expect("the server closes");
        String::from_utf8(all).unwrap()
    }

    /// One response with a Content-Length.
    pub(super) async fn response(&mut self) -> String {
        let mut all = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&all).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split("content-length: ").nth(1).unwrap();
                let length: usize = length.lines().next().unwrap().parse().unwrap();
                if body.len() >= length {
                    assert_eq!(body.len(), length, "bytes after the response");
                    return text;
                }
            }
            all.push(timeout(SLACK, self.0.read_u8()).await.expect("a response").unwrap());
        }
    }

    /// Sends a request and returns everything up to the close.
    pub(super) async fn last_exchange(&mut self, request: impl AsRef<[u8]>) -> String {
        self.send(request).await;
        self.read_to_end().await
    }
}

pub(super) fn status(response: &str) -> u16 {
    response.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

pub(super) fn assert_cut(elapsed: Duration, deadline: Duration) {
    assert!(elapsed >= deadline, "cut after {elapsed:?}, before {deadline:?}");
    assert!(elapsed < deadline + SLACK, "cut after {elapsed:?}, long after {deadline:?}");
}
