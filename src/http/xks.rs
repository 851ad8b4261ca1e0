//! The listener of the XKS proxy: `crate::xks` behind it, and its words for what the listener refuses.
use super::{Handler, Incoming, Refusal};
use crate::audit::TlsDetails;
use crate::wire::Fault;
use crate::xks::{self, Asked, Proxy, SealedProxy};
use bytes::Bytes;
use http::Response;
use http::header;
use http::request::Parts;
use std::sync::Arc;

/// The proxy at a listener. If its TLS wants certificates of clients, they are checked in the handshake
/// and with every request: connections outlive certificates.
#[derive(Clone, Debug)]
pub struct XksFront {
    proxy: Arc<Proxy>,
    clock: Arc<dyn crate::clock::Clock>,
    certificates: bool,
}

impl XksFront {
    /// `certificates`: whether clients must show one.
    pub fn new(proxy: Arc<Proxy>, clock: Arc<dyn crate::clock::Clock>, certificates: bool) -> Self {
        Self { proxy, clock, certificates }
    }

    fn is_let_in(&self, request: &Incoming) -> bool {
        let now = self.clock.wall().secs();
        let good = |shown: &Arc<super::ClientCertificate>| shown.verified(now).is_ok();
        !self.certificates || request.certificate.as_ref().is_some_and(good)
    }
}

impl Handler for XksFront {
    async fn handle(&self, request: Incoming) -> Response<Bytes> {
        if !self.is_let_in(&request) {
            let text = "The client's certificate is not good.";
            return xks::refused(
                &Fault::client("AuthenticationFailedException", text).with_status(401),
            );
        }
        let host = request.head.headers.get(header::HOST).and_then(|value| value.to_str().ok());
        let tls = request.tls.as_ref().map(|tls| TlsDetails {
            tls_version: tls.version.into(),
            cipher_suite: tls.cipher_suite.into(),
            client_provided_host_header: host.unwrap_or_default().into(),
            key_exchange: Some(tls.key_exchange.into()),
        });
        let source_ip = request.peer.ip();
        self.proxy.answer(Asked { head: request.head, body: request.body, source_ip, tls }).await
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        protocols(refusal)
    }

    fn max_body_bytes(&self, _: &Parts) -> usize {
        Proxy::max_body_bytes()
    }
}

impl Handler for SealedProxy {
    async fn handle(&self, request: Incoming) -> Response<Bytes> {
        self.answer(&request.head)
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        protocols(refusal)
    }

    fn max_body_bytes(&self, _: &Parts) -> usize {
        Proxy::max_body_bytes()
    }
}

/// What the listener refuses, in the protocol's words.
fn protocols(refusal: Refusal) -> Response<Bytes> {
    let (name, status) = match refusal {
        Refusal::Busy => ("ThrottlingException", 429),
        Refusal::HandlingTimeout => ("DependencyTimeoutException", 503),
        Refusal::BodyTooLarge => ("UnsupportedOperationException", 501),
        Refusal::BadRequest(_)
        | Refusal::BodyBroken
        | Refusal::BodyTimeout
        | Refusal::TooManyHeaders => ("ValidationException", 400),
    };
    xks::refused(&Fault::client(name, refusal.reason()).with_status(status))
}
