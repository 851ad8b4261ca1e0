//! Fetching an issuer's keys: OpenID Connect Discovery over HTTPS. The host is pinned by the
//! configuration, no redirect is followed, and time and size have an end.
use super::Jwks;
use super::issuers::Settings;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For the connection, the handshake and the answer together.
const DEADLINE: Duration = Duration::from_secs(5);
/// Of a discovery document or a key set. Those of the large issuers have some kilobytes.
const MAX_BYTES: usize = 128 * 1024;
/// Where systems keep the certificate authorities they trust.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0}")]
    Io(std::io::Error),
    #[error("{0}")]
    Http(hyper::Error),
    #[error("{0}")]
    Content(&'static str),
    #[error("the answer was {0}")]
    Status(StatusCode),
    #[error("no answer in time")]
    TooLate,
}

/// An issuer that is asked for its keys.
#[derive(Debug)]
pub(super) struct Endpoint {
    issuer: String,
    jwks_url: Option<Uri>,
    address: Option<SocketAddr>,
    tls: Arc<ClientConfig>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Endpoint {
    pub(super) fn new(settings: &Settings) -> Result<Self, FetchError> {
        let url = settings.jwks_url.as_deref();
        let jwks_url = url.map(secure).transpose()?;
        secure(&settings.issuer)?;
        Ok(Self {
            issuer: settings.issuer.clone(),
            jwks_url,
            address: settings.address,
            tls: Arc::new(tls(settings.ca_file.as_ref())?),
        })
    }

    pub(super) async fn keys(&self) -> Result<Jwks, FetchError> {
        let fetched = tokio::time::timeout(DEADLINE, self.fetch_keys()).await;
        fetched.map_err(|_| FetchError::TooLate)?
    }

    async fn fetch_keys(&self) -> Result<Jwks, FetchError> {
        let url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let text = self.get(&url).await?;
        Jwks::parse(&text).ok_or(FetchError::Content("no key set"))
    }

    /// OpenID Connect Discovery, section 4.
    async fn discover(&self) -> Result<Uri, FetchError> {
        let base = self.issuer.trim_end_matches('/');
        let url = secure(&format!("{base}/.well-known/openid-configuration"))?;
        let text = self.get(&url).await?;
        let document: Document = serde_json::from_slice(&text)
            .map_err(|_| FetchError::Content("no discovery document"))?;
        if document.issuer != self.issuer {
            return Err(FetchError::Content("the discovery document is another issuer's"));
        }
        let keys = secure(&document.jwks_uri)?;
        // An issuer that was taken over must not send us about in the network.
        if keys.authority() != url.authority() {
            return Err(FetchError::Content(
                "the keys are on another host: name it in jwks_url if it is right",
            ));
        }
        Ok(keys)
    }

    async fn get(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let host = url.host().ok_or(FetchError::Content("no host"))?;
        let address = self.resolve(host, url.port_u16().unwrap_or(443)).await?;
        let tcp = TcpStream::connect(address).await.map_err(FetchError::Io)?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| FetchError::Content("the host is no name"))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, tcp).await.map_err(FetchError::Io)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(FetchError::Http)?;
        let connection = tokio::spawn(connection);
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let authority = url.authority().map_or(host, |authority| authority.as_str());
        let request = Request::get(path)
            .header(header::HOST, authority)
            .header(header::ACCEPT, "application/json")
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::Content("the URL cannot be asked for"))?;
        let answer = sender.send_request(request).await.map_err(FetchError::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
        connection.abort();
        Ok(body.map_err(|_| FetchError::Content("the answer broke off or is too long"))?.to_bytes())
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr, FetchError> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let mut found = tokio::net::lookup_host((host, port)).await.map_err(FetchError::Io)?;
        found
            .find(|address| is_ordinary(address.ip()))
            .ok_or(FetchError::Content("the name has no address that may be asked"))
    }
}

/// Link-local addresses are where clouds keep their metadata service.
fn is_ordinary(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(link_local || ip.is_unspecified() || ip.is_multicast())
}

fn secure(url: &str) -> Result<Uri, FetchError> {
    let uri: Uri = url.parse().map_err(|_| FetchError::Content("not a URL"))?;
    let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    match uri.scheme_str() == Some("https") && plain {
        true => Ok(uri),
        false => Err(FetchError::Content("not an https:// URL")),
    }
}

/// The certificate authorities of a file, or else the system's.
pub fn trusted_roots(ca_file: Option<&PathBuf>) -> Result<RootCertStore, FetchError> {
    let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists());
    let path = ca_file.cloned().or_else(system);
    let path = path.ok_or(FetchError::Content("no certificate authorities: set ca_file"))?;
    let mut roots = RootCertStore::empty();
    let bad = |_| FetchError::Content("ca_file: not PEM");
    for certificate in CertificateDer::pem_file_iter(&path).map_err(bad)? {
        // A bundle may hold what this library does not take.
        let _ = roots.add(certificate.map_err(bad)?);
    }
    if roots.is_empty() {
        return Err(FetchError::Content("ca_file: no certificate"));
    }
    Ok(roots)
}

fn tls(ca_file: Option<&PathBuf>) -> Result<ClientConfig, FetchError> {
    let roots = trusted_roots(ca_file)?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|_| FetchError::Content("TLS cannot be set up"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
