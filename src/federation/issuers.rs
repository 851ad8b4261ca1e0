//! The issuers that the configuration names, and where their keys come from: a file, or the issuer
//! itself. Keys are kept for a while; a key that is not known yet is looked for again, not too often.
//! Only who needs a fetch waits for one.
use super::discovery::{Endpoint, FetchError};
use super::{InvalidToken, Jwks, Token};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// How long keys are used before they are asked for anew, and how soon at the earliest: strangers can
/// send tokens with any key's name.
const FRESH_SECONDS: i64 = 3600;
const RETRY_SECONDS: i64 = 60;
/// The same for a file: a key that is taken out of it ends soon, and reading it costs little.
const FILE_FRESH_SECONDS: i64 = 60;
const FILE_RETRY_SECONDS: i64 = 1;
/// Calls that may wait for an issuer's keys, the one that fetches them among them.
const WAITING: usize = 16;

/// One `[[oidc]]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `https://…`, exactly as tokens name it.
    pub issuer: String,
    /// A file with the issuer's key set. It is read again after a minute, and when a token names a key
    /// it does not have.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// The issuer's certificate authorities, in PEM, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Where the issuer really is, instead of what its name resolves to.
    #[serde(default)]
    pub address: Option<SocketAddr>,
    /// Where the key set is, if on another host than the issuer. Discovery is left out then.
    #[serde(default)]
    pub jwks_url: Option<String>,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuersError {
    #[error("oidc {issuer}: {what}")]
    Invalid { issuer: String, what: String },
}

/// There are no keys to check with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// The configuration does not name the issuer.
    #[error("the issuer is not configured")]
    Unknown,
    #[error("{0}")]
    Unreachable(String),
}

#[derive(Debug, Default)]
pub struct Issuers(BTreeMap<String, Source>);

#[derive(Debug)]
struct Source {
    from: Origin,
    /// Locked for a look, never while keys are fetched.
    cached: Mutex<Cached>,
    /// The turn to fetch: one.
    turn: Semaphore,
    /// Places to wait for it.
    places: Semaphore,
}

#[derive(Debug)]
enum Origin {
    File(PathBuf),
    Issuer(Endpoint),
}

#[derive(Debug, Default)]
struct Cached {
    keys: Option<Arc<Jwks>>,
    fetched: i64,
    tried: Option<i64>,
}

impl Issuers {
    pub fn new(settings: &[Settings]) -> Result<Self, IssuersError> {
        let mut all = BTreeMap::new();
        for one in settings {
            let invalid = |what: String| IssuersError::Invalid { issuer: one.issuer.clone(), what };
            let from = match &one.jwks_file {
                Some(path) => {
                    let text = std::fs::read(path).map_err(|e| invalid(e.to_string()))?;
                    Jwks::parse(&text).ok_or_else(|| invalid("jwks_file: no key set".into()))?;
                    Origin::File(path.clone())
                }
                None => Origin::Issuer(Endpoint::new(one).map_err(|e| invalid(e.to_string()))?),
            };
            if !one.issuer.starts_with("https://") {
                return Err(invalid("an issuer is an https:// URL".into()));
            }
            let source = Source::new(from);
            if all.insert(one.issuer.clone(), source).is_some() {
                return Err(invalid("is named twice".into()));
            }
        }
        Ok(Self(all))
    }

    /// The keys for a token, by the issuer that it names.
    pub async fn keys(&self, token: &Token<'_>, now_secs: i64) -> Result<Arc<Jwks>, NoKeys> {
        let source = self.0.get(token.issuer()).ok_or(NoKeys::Unknown)?;
        if let Some(settled) = source.settled(token, now_secs) {
            return settled;
        }
        let _place = source.places.try_acquire().map_err(|_| unreachable())?;
        let _turn = source.turn.acquire().await.map_err(|_| unreachable())?;
        // Whoever waited here waited for the same answer.
        if let Some(settled) = source.settled(token, now_secs) {
            return settled;
        }
        let fetched = source.from.fetch().await;
        if let Err(error) = &fetched {
            tracing::warn!(issuer = token.issuer(), %error, "cannot fetch an issuer's keys");
        }
        source.note(fetched.ok(), now_secs).ok_or_else(unreachable)
    }
}

fn unreachable() -> NoKeys {
    NoKeys::Unreachable(InvalidToken::Key.to_string())
}

impl Source {
    fn new(from: Origin) -> Self {
        let (turn, places) = (Semaphore::new(1), Semaphore::new(WAITING));
        Self { from, cached: Mutex::default(), turn, places }
    }

    fn cached(&self) -> MutexGuard<'_, Cached> {
        // Its fields are set one after the other, and none of that can fail.
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is to say without a fetch; None if it takes one.
    fn settled(&self, token: &Token<'_>, now_secs: i64) -> Option<Result<Arc<Jwks>, NoKeys>> {
        let cached = self.cached();
        let keys = cached.fresh(&self.from, now_secs);
        if let Some(keys) = keys.as_ref().filter(|keys| keys.has(token.key_id())) {
            return Some(Ok(keys.clone()));
        }
        let retry = self.from.retry_seconds();
        let tried = cached.tried.is_some_and(|at| now_secs.saturating_sub(at) < retry);
        tried.then(|| keys.ok_or_else(unreachable))
    }

    /// Notes the end of a fetch, and says which keys there are now.
    fn note(&self, fetched: Option<Jwks>, now_secs: i64) -> Option<Arc<Jwks>> {
        let mut cached = self.cached();
        cached.tried = Some(now_secs);
        if let Some(keys) = fetched {
            cached.keys = Some(Arc::new(keys));
            cached.fetched = now_secs;
        }
        cached.fresh(&self.from, now_secs)
    }
}

impl Cached {
    fn fresh(&self, from: &Origin, now_secs: i64) -> Option<Arc<Jwks>> {
        let fresh = now_secs.saturating_sub(self.fetched) < from.fresh_seconds();
        self.keys.clone().filter(|_| fresh)
    }
}

impl Origin {
    fn fresh_seconds(&self) -> i64 {
        match self {
            Self::File(_) => FILE_FRESH_SECONDS,
            Self::Issuer(_) => FRESH_SECONDS,
        }
    }

    fn retry_seconds(&self) -> i64 {
        match self {
            Self::File(_) => FILE_RETRY_SECONDS,
            Self::Issuer(_) => RETRY_SECONDS,
        }
    }

    async fn fetch(&self) -> Result<Jwks, FetchError> {
        match self {
            Self::File(path) => {
                let text = tokio::fs::read(path).await.map_err(FetchError::Io)?;
                Jwks::parse(&text).ok_or(FetchError::Content("no key set"))
            }
            Self::Issuer(endpoint) => endpoint.keys().await,
        }
    }
}

#[cfg(test)]
mod tests {
    //! An issuer that does not answer. What the keys are worth, the tests over HTTP show.
    use super::*;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    use std::time::Duration;

    const ISSUER: &str = "https://oidc.example.com";
    const NOW: i64 = 1_000_000;

    fn text(kid: &str) -> String {
        let part = |text: String| B64.encode(text);
        let header = part(format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#));
        let claims = part(format!(
            r#"{{"iss":"{ISSUER}","sub":"s","aud":"a","exp":{NOW},"iat":{NOW},"nbf":{NOW}}}"#
        ));
        format!("{header}.{claims}.{}", B64.encode([0; 64]))
    }

    async fn ask(issuers: &Issuers, kid: &str) -> Result<Arc<Jwks>, NoKeys> {
        let text = text(kid);
        issuers.keys(&Token::parse(&text).unwrap(), NOW + 100).await
    }

    #[tokio::test]
    async fn only_a_few_wait_for_an_issuer_and_nobody_who_needs_not() {
        let files = tempfile::tempdir().unwrap();
        let ca_file = files.path().join("ca.pem");
        let server = rcgen::generate_simple_self_signed(["oidc.example.com".to_owned()]).unwrap();
        std::fs::write(&ca_file, server.cert.pem()).unwrap();
        // Connections are taken, and nothing is said.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = Settings {
            issuer: ISSUER.into(),
            jwks_file: None,
            ca_file: Some(ca_file),
            address: Some(silent.local_addr().unwrap()),
            jwks_url: None,
        };
        let issuers = Arc::new(Issuers::new(&[settings]).unwrap());
        let key = B64.encode([7; 32]);
        let keys =
            format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"old","x":"{key}"}}]}}"#);
        let source = &issuers.0[ISSUER];
        source.note(Jwks::parse(keys.as_bytes()), NOW).unwrap();

        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let issuers = issuers.clone();
                tokio::spawn(async move { ask(&issuers, "new").await.map(drop) })
            })
            .collect();
        while source.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let soon = Duration::from_secs(2);
        let known = tokio::time::timeout(soon, ask(&issuers, "old")).await;
        assert!(known.expect("a known key waits for nobody").is_ok());
        let one_more = tokio::time::timeout(soon, ask(&issuers, "new")).await;
        assert_eq!(one_more.expect("it is not to wait").map(drop), Err(unreachable()));
        assert!(waiting.iter().all(|task| !task.is_finished()));
        // The one fetch ends for all of them, and they get the keys there are.
        for task in waiting {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
        assert_eq!(source.places.available_permits(), WAITING);
    }
}
