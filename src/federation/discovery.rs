//! Fetching an issuer's keys: OpenID Connect Discovery over HTTPS. The host is pinned by the
//! configuration.
use super::Jwks;
use super::issuers::Settings;
use crate::outgoing::{Outgoing, OutgoingError};
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use serde::Deserialize;
use std::time::Duration;

/// For the connection, the handshake and the answer together, and for all that is asked.
const DEADLINE: Duration = Duration::from_secs(5);
/// Of a discovery document or a key set. Those of the large issuers have some kilobytes.
const MAX_BYTES: usize = 128 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0}")]
    Io(std::io::Error),
    #[error("{0}")]
    Outgoing(#[from] OutgoingError),
    #[error("{0}")]
    Content(&'static str),
    #[error("the answer was {0}")]
    Status(StatusCode),
}

/// An issuer that is asked for its keys.
#[derive(Debug)]
pub(super) struct Endpoint {
    issuer: String,
    jwks_url: Option<Uri>,
    outgoing: Outgoing,
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
        let issuer = secure(&settings.issuer)?;
        let outgoing = Outgoing::new(&issuer, settings.ca_file.as_deref(), DEADLINE, MAX_BYTES)?;
        Ok(Self {
            issuer: settings.issuer.clone(),
            jwks_url,
            outgoing: outgoing.at(settings.address),
        })
    }

    pub(super) async fn keys(&self) -> Result<Jwks, FetchError> {
        let fetched = tokio::time::timeout(DEADLINE, self.fetch_keys()).await;
        fetched.map_err(|_| OutgoingError::TooLate)?
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
        let request = Request::get(url)
            .header(header::ACCEPT, "application/json")
            .body(Full::default())
            .map_err(|_| FetchError::Content("the URL cannot be asked for"))?;
        let answer = self.outgoing.send(request).await?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            status => Err(FetchError::Status(status)),
        }
    }
}

/// OpenID Connect knows no plain HTTP, not even on loopback.
fn secure(url: &str) -> Result<Uri, FetchError> {
    let uri: Uri = url.parse().map_err(|_| FetchError::Content("not a URL"))?;
    let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    match uri.scheme_str() == Some("https") && plain {
        true => Ok(uri),
        false => Err(FetchError::Content("not an https:// URL")),
    }
}
