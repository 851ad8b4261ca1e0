//! The proxies that external key stores may name, and what carries a request to one: those that the
//! operator registered in the configuration. A stranger's host is not asked because somebody made a key
//! store of it.
use crate::outgoing::{self, Answer, Identity, Kept, Outgoing, OutgoingError};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::Deserialize;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// AWS KMS: for the connection, the handshake and the answer together.
const DEADLINE_MS: u64 = 250;
const LONGEST_DEADLINE_MS: u64 = 10_000;
/// Several times what the longest answer takes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A proxy that external key stores may name, and how it is reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `XksProxyUriEndpoint`: `https://xks.example.org`.
    pub endpoint: String,
    /// Where it is, whatever its name resolves to.
    #[serde(default)]
    pub address: Option<SocketAddr>,
    /// Whose certificates are believed, in place of the system's (PEM).
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// What we show in the handshake (mutual TLS): the certificate chain, leaf first, and its key (PEM).
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// How long it may take to answer, in milliseconds, the connection and the handshake included: AWS
    /// KMS's 250, or up to 10 000 where the proxy is far.
    #[serde(default = "default_deadline_ms")]
    pub deadline_ms: u64,
}

fn default_deadline_ms() -> u64 {
    DEADLINE_MS
}

/// What carries a request to a proxy.
#[async_trait::async_trait]
pub trait Transport: Debug + Send + Sync {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError>;

    /// Reads what was read from files anew.
    fn reload(&self) -> Result<(), OutgoingError> {
        Ok(())
    }
}

/// Connections to a proxy that are kept, and what they show of us.
#[derive(Debug)]
struct Connections {
    kept: Kept,
    identity: Option<Arc<Identity>>,
}

#[async_trait::async_trait]
impl Transport for Connections {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError> {
        // Each of the protocol's four requests may be made twice: none of them changes anything.
        self.kept.send(request).await
    }

    fn reload(&self) -> Result<(), OutgoingError> {
        let Some(identity) = &self.identity else { return Ok(()) };
        identity.reload()?;
        self.kept.forget();
        Ok(())
    }
}

/// A proxy that can be asked.
#[derive(Clone, Debug)]
pub struct Way {
    endpoint: String,
    transport: Arc<dyn Transport>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<Way>);

impl Proxies {
    pub fn new(settings: &[Settings]) -> Result<Self, OutgoingError> {
        Ok(Self(settings.iter().map(Way::new).collect::<Result<_, _>>()?))
    }

    pub fn of(ways: Vec<Way>) -> Self {
        Self(ways)
    }

    pub fn way(&self, endpoint: &str) -> Option<&Way> {
        self.0.iter().find(|way| way.leads_to(endpoint))
    }

    /// Reads the certificates that are shown to them anew. What is bad leaves what was.
    pub fn reload(&self) {
        for way in &self.0 {
            if let Err(error) = way.transport.reload() {
                let proxy = &way.endpoint;
                tracing::error!(proxy, %error, "the certificate for a proxy stays as it was");
            }
        }
    }
}

impl Way {
    pub fn new(settings: &Settings) -> Result<Self, OutgoingError> {
        let refused = OutgoingError::Refused;
        let url = outgoing::url(&settings.endpoint)?;
        let bare = url.path() == "/" && url.query().is_none() && !settings.endpoint.ends_with('/');
        if !bare {
            return Err(refused("wanted https:// and a name, and nothing after it"));
        }
        if !(10..=LONGEST_DEADLINE_MS).contains(&settings.deadline_ms) {
            return Err(refused("deadline_ms: wanted 10 to 10000"));
        }
        let (ca_file, deadline) =
            (settings.ca_file.as_deref(), Duration::from_millis(settings.deadline_ms));
        let identity = match (&settings.client_certificate, &settings.client_key) {
            (Some(certificate), Some(key)) => Some(Arc::new(Identity::read(certificate, key)?)),
            (None, None) => None,
            _ => return Err(refused("client_certificate, client_key: wanted both or neither")),
        };
        let outgoing = match &identity {
            Some(shown) => Outgoing::showing(&url, ca_file, shown, (deadline, MAX_ANSWER_BYTES))?,
            None => Outgoing::new(&url, ca_file, deadline, MAX_ANSWER_BYTES)?,
        };
        let kept = Kept::new(url, outgoing.at(settings.address));
        Ok(Self::over(&settings.endpoint, Arc::new(Connections { kept, identity })))
    }

    /// With something else that carries requests.
    pub fn over(endpoint: &str, transport: Arc<dyn Transport>) -> Self {
        Self { endpoint: endpoint.to_owned(), transport }
    }

    /// Whether this is the way to an endpoint. Hosts have no upper and lower case.
    pub fn leads_to(&self, endpoint: &str) -> bool {
        self.endpoint.eq_ignore_ascii_case(endpoint)
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, OutgoingError> {
        self.transport.send(request).await
    }
}
