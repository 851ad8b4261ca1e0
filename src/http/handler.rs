//! What stands behind the listener: a whole request in, a whole response out.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};

use super::{ClientCertificate, TlsDetails};

/// A request that has arrived whole and within every limit.
///
/// `head` has exactly one non-empty `Host` header (HTTP/1.0 may have none), also over HTTP/2, where
/// it is made from `:authority`; header values are printable ASCII.
#[derive(Debug)]
pub struct Incoming {
    pub head: Parts,
    pub body: Bytes,
    /// The other end of the TCP connection; an IPv4 client of a dual-stack socket is IPv4 here.
    pub peer: SocketAddr,
    pub tls: Option<TlsDetails>,
    /// What the client showed in the handshake, and proved to have the key of.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// Answers requests. A future returned here is dropped before its end when the client resets the stream
/// (HTTP/2), a deadline passes or the server stops: what must not be left half done belongs in a task of
/// its own. That an HTTP/1 client has gone away is noticed when it is answered.
pub trait Handler: Send + Sync + 'static {
    fn handle(&self, request: Incoming) -> impl Future<Output = Response<Bytes>> + Send;

    /// The answer to a request that the protocol or a limit refuses; an API may want its own body.
    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        refusal.plain()
    }

    /// A cap on this request's body, below `Limits::max_body_bytes`.
    fn max_body_bytes(&self, _head: &Parts) -> usize {
        usize::MAX
    }
}

/// Why a request did not reach the handler, or its answer did not leave.
///
/// What hyper or h2 refuses while parsing never gets here: it is answered with an empty 400, 414 or
/// 431 and the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The head is against the rules; the text says which.
    BadRequest(&'static str),
    /// The body ended early or was framed wrongly.
    BodyBroken,
    /// The body did not arrive within its deadline.
    BodyTimeout,
    /// The body is above the cap.
    BodyTooLarge,
    /// More headers than the cap (above 100, hyper answers itself).
    TooManyHeaders,
    /// The bodies being received use all the memory they may.
    Busy,
    /// The handler did not answer within its deadline.
    HandlingTimeout,
}

impl Refusal {
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::BadRequest(_) | Refusal::BodyBroken => StatusCode::BAD_REQUEST,
            Refusal::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Refusal::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::Busy | Refusal::HandlingTimeout => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A sentence for the client.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::BadRequest(reason) => reason,
            Refusal::BodyBroken => "the request body is incomplete or malformed",
            Refusal::BodyTimeout => "the request body did not arrive in time",
            Refusal::BodyTooLarge => "the request body is too large",
            Refusal::TooManyHeaders => "the request has too many headers",
            Refusal::Busy => "the server is receiving too much at once",
            Refusal::HandlingTimeout => "the request took too long",
        }
    }

    /// The refusal as plain text.
    #[must_use]
    pub fn plain(self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from_static(self.reason().as_bytes()));
        *response.status_mut() = self.status();
        let text = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        response
    }
}
