//! One request and its response: the rules for heads, the deadlines of body and handler, and what
//! becomes of the connection afterwards.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Version, header, request::Parts};
use http_body_util::Full;
use hyper::body::Body;

use super::{
    ClientCertificate, Handler, Incoming, Refusal, TlsDetails,
    body::{collect, until, within},
    listener::Shared,
    progress::Progress,
};

/// The two ends of one connection.
pub(super) struct Peer<H> {
    pub(super) shared: Arc<Shared<H>>,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<TlsDetails>,
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    pub(super) progress: Arc<Progress>,
}

impl<H: Handler> Peer<H> {
    /// Called with each parsed head, before hyper reads on: what follows must be known for what it
    /// is. Only the future's own part is `async`, as hyper copies the future: small is fast.
    pub(super) fn answer(
        self: Arc<Self>,
        request: Request<hyper::body::Incoming>,
    ) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> {
        let (mut head, mut body) = request.into_parts();
        let http1 = head.version < Version::HTTP_2;
        let length = body.size_hint().exact();
        if http1 {
            self.progress.request_began(length);
        }
        let checked = check_head(&mut head, self.shared.limits.max_headers);
        async move {
            let received = match checked {
                Ok(()) => self.receive(&head, &mut body).await,
                Err(refusal) => Err(refusal),
            };
            let answer = match received {
                Ok(body) => {
                    let certificate = self.certificate.clone();
                    let (peer, tls) = (self.address, self.tls);
                    let request = Incoming { head, body, peer, tls, certificate };
                    let handling = pin!(self.shared.handler.handle(request));
                    let answer = if http1 {
                        self.progress.handling_began();
                        until(|| self.progress.is_overdue(), handling).await
                    } else {
                        within(self.shared.limits.handling, handling).await
                    };
                    answer.ok_or(Refusal::HandlingTimeout)
                }
                Err(refusal) => Err(refusal),
            };
            let refused = answer.is_err();
            let mut response = answer.unwrap_or_else(|refusal| self.refuse(refusal));
            if http1 {
                // What follows a chunked body cannot be told from the next request: see `framing`.
                if refused || length.is_none() || !self.progress.is_framed() {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                self.progress.response_ready();
            }
            Ok(response.map(Full::new))
        }
    }

    async fn receive(
        &self,
        head: &Parts,
        body: &mut hyper::body::Incoming,
    ) -> Result<Bytes, Refusal> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let Shared { handler, limits, pool, .. } = &*self.shared;
        let cap = limits.max_body_bytes.min(handler.max_body_bytes(head));
        let received = within(limits.body, pin!(collect(body, cap, pool))).await;
        received.unwrap_or(Err(Refusal::BodyTimeout))
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        tracing::debug!(peer = %self.address, ?refusal, "request refused");
        if matches!(refusal, Refusal::BodyTimeout | Refusal::HandlingTimeout) {
            self.shared.counters.timed_out.fetch_add(1, Relaxed);
        }
        self.shared.handler.refuse(refusal)
    }
}

/// What hyper and h2 let pass in a head and we do not. Makes HTTP/2 heads look like HTTP/1's.
fn check_head(head: &mut Parts, max_headers: usize) -> Result<(), Refusal> {
    if head.headers.len() > max_headers {
        return Err(Refusal::TooManyHeaders);
    }
    if head.method == Method::CONNECT {
        return Err(Refusal::BadRequest("this is not a proxy"));
    }
    if head.version == Version::HTTP_2 {
        // HTTP/1's were looked at before hyper had them.
        if !head.headers.values().all(|value| value.as_bytes().is_ascii()) {
            return Err(Refusal::BadRequest("a header is not ASCII"));
        }
        if let Some(authority) = head.uri.authority()
            && !head.headers.contains_key(header::HOST)
        {
            let host = HeaderValue::from_str(authority.as_str())
                .map_err(|_| Refusal::BadRequest("the authority is malformed"))?;
            head.headers.insert(header::HOST, host);
        }
    }
    check_host(head)
}

fn check_host(head: &Parts) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) if !host.is_empty() => host,
        (None, None) if head.version < Version::HTTP_11 => return Ok(()),
        (_, Some(_)) => return Err(Refusal::BadRequest("more than one Host header")),
        _ => return Err(Refusal::BadRequest("the Host header is missing or empty")),
    };
    // Two names for the server in one request: which one is signed, which one is meant?
    match head.uri.authority() {
        Some(authority) if authority.as_str().as_bytes() != host.as_bytes() => {
            Err(Refusal::BadRequest("the Host header is not the request's authority"))
        }
        _ => Ok(()),
    }
}
