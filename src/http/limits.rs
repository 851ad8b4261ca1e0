//! Every limit the front door sets, as a named constant with its reason. A server uses
//! `Limits::default()`; tests shorten the deadlines.

use std::time::Duration;

/// From the end of the TLS handshake to the last byte of the first request's head; without TLS from accept to
/// the first byte; and from the first byte of every other head to its last. A head is one packet; 10 s is a bad network.
pub const HEAD: Duration = Duration::from_secs(10);
/// The TLS handshake: two round trips, and the client's own certificate checks between them.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// A whole request body. The largest is a few hundred kilobytes: 30 s is 70 kbit/s.
pub const BODY: Duration = Duration::from_secs(30);
/// The handler. Longer than any device or database call that still ends; SDKs give up at 60 s too.
pub const HANDLING: Duration = Duration::from_secs(60);
/// The client's taking of a whole response (HTTP/1), and the longest time a socket may take nothing.
pub const WRITE: Duration = Duration::from_secs(30);
/// Between two requests of an HTTP/1 connection. Client pools reuse a connection within moments;
/// an idle one costs memory and a place under the cap.
pub const IDLE: Duration = Duration::from_secs(5);
/// An HTTP/2 connection without streams. Longer than `IDLE`: one connection carries all of a
/// client's traffic, and GOAWAY ends it without the race that HTTP/1 has.
pub const HTTP2_IDLE: Duration = Duration::from_secs(30);
/// A PING to an HTTP/2 peer that has been silent this long, and how long it may take to answer.
pub const HTTP2_PING: Duration = Duration::from_secs(20);
/// After our last byte, how long what the client still sends is read and thrown away, so that the
/// kernel's reset does not destroy a refusal before the client has read it.
pub const LINGER: Duration = Duration::from_secs(2);
/// The requests in flight when a stop is asked for. Orchestrators kill after 30 s.
pub const STOP: Duration = Duration::from_secs(30);

/// AWS SDKs send 8 to 15 headers; proxies add a few. No use above 100, hyper's own cap over HTTP/1.
pub const MAX_HEADERS: usize = 64;
/// Session tokens and presigned queries take up to 8 KiB; four times that is generous.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;
/// The largest body is a secret of 64 KiB, each byte of it escaped in JSON as `\u0001`.
pub const MAX_BODY_BYTES: usize = 448 * 1024;
/// Bodies still arriving in more than one piece, over all connections. Without it 20 000 stalled
/// clients would hold `CONNECTIONS` × `MAX_BODY_BYTES` = 9 GB.
pub const MAX_BUFFERED_BYTES: usize = 256 * 1024 * 1024;
/// Open connections. An idle one costs 1 to 30 KB, so the cap holds below 600 MB.
pub const CONNECTIONS: usize = 20_000;
/// HTTP/2 streams in flight on one connection; RFC 9113 advises no fewer than 100.
pub const HTTP2_STREAMS: u32 = 128;
/// HTTP/2 response bytes waiting for one stream's window; each stream of a slow reader costs this.
pub const HTTP2_SEND_BUFFER: usize = 64 * 1024;

/// hyper refuses a smaller buffer for a request head, so `max_header_bytes` is at least this.
pub const LEAST_HEADER_BYTES: usize = 8 * 1024;

/// The limits of one listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// See [`HEAD`].
    pub head: Duration,
    /// See [`HANDSHAKE`].
    pub handshake: Duration,
    /// See [`BODY`].
    pub body: Duration,
    /// See [`HANDLING`].
    pub handling: Duration,
    /// See [`WRITE`].
    pub write: Duration,
    /// See [`IDLE`].
    pub idle: Duration,
    /// See [`HTTP2_IDLE`].
    pub http2_idle: Duration,
    /// See [`HTTP2_PING`].
    pub http2_ping: Duration,
    /// See [`LINGER`].
    pub linger: Duration,
    /// See [`STOP`].
    pub stop: Duration,
    /// See [`MAX_HEADERS`].
    pub max_headers: usize,
    /// See [`MAX_HEADER_BYTES`]; at least [`LEAST_HEADER_BYTES`].
    pub max_header_bytes: usize,
    /// See [`MAX_BODY_BYTES`]; `Handler::max_body_bytes` may lower it for a request.
    pub max_body_bytes: usize,
    /// See [`MAX_BUFFERED_BYTES`].
    pub max_buffered_bytes: usize,
    /// See [`CONNECTIONS`].
    pub connections: usize,
    /// Open connections of one IPv4 address or IPv6 /64. None by default: behind a load balancer
    /// every client has the same address.
    pub connections_per_ip: Option<usize>,
    /// See [`HTTP2_STREAMS`].
    pub http2_streams: u32,
    /// See [`HTTP2_SEND_BUFFER`].
    pub http2_send_buffer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head: HEAD,
            handshake: HANDSHAKE,
            body: BODY,
            handling: HANDLING,
            write: WRITE,
            idle: IDLE,
            http2_idle: HTTP2_IDLE,
            http2_ping: HTTP2_PING,
            linger: LINGER,
            stop: STOP,
            max_headers: MAX_HEADERS,
            max_header_bytes: MAX_HEADER_BYTES,
            max_body_bytes: MAX_BODY_BYTES,
            max_buffered_bytes: MAX_BUFFERED_BYTES,
            connections: CONNECTIONS,
            connections_per_ip: None,
            http2_streams: HTTP2_STREAMS,
            http2_send_buffer: HTTP2_SEND_BUFFER,
        }
    }
}

impl Limits {
    /// The longest an HTTP/2 stream may live: the sum of what its three phases may take.
    pub(super) fn stream_lifetime(&self) -> Duration {
        self.body + self.handling + self.write
    }
}
