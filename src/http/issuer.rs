//! What others need to check the tokens of GetWebIdentityToken: for everybody, without credentials.
use super::admin::page;
use crate::call::Server;
use crate::identity::outbound::OutboundFederation;
use crate::store::Freshness;
use crate::types::AccountId;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};

const JSON: &str = "application/json";
/// New keys are used at once, and looked for when a token names one; old ones may be kept a while.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// A page that a request is for.
pub(super) struct Page<'a> {
    base: &'a str,
    account: &'a str,
    document: &'a str,
}

impl<'a> Page<'a> {
    /// The page, if the request is for one and the server has a public URL.
    pub(super) fn of(server: &'a Server, head: &'a Parts) -> Option<Self> {
        let base = server.public_url.as_deref()?;
        let rest = head.uri.path().strip_prefix(public_path(base))?;
        let (account, document) =
            rest.strip_prefix("/web-identity/")?.split_once("/.well-known/")?;
        Some(Self { base, account, document })
    }

    pub(super) async fn answer(self, server: &Server, head: &Parts) -> Response<Bytes> {
        let Self { base, account, document } = self;
        let missing = || page(StatusCode::NOT_FOUND, JSON, "{}".into());
        let Ok(account) = account.parse::<AccountId>() else { return missing() };
        if head.method != Method::GET {
            return page(StatusCode::METHOD_NOT_ALLOWED, JSON, "{}".into());
        }
        // Anybody may ask, as often as they like: not the database each time. A key
        // that another node has made since is not in it yet: who misses it looks again.
        let mut tx = server.store.begin_with(Freshness::Bounded);
        let keys = match OutboundFederation::load(&mut tx, &account).await {
            Ok(Some(federation)) => federation.key_set(server.clock.now()),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let found = match (keys, document) {
            (Ok(Some(_)), "openid-configuration") => OutboundFederation::discovery(base, &account),
            (Ok(Some(keys)), "jwks.json") => keys,
            (Ok(_), _) => return missing(),
            (Err(error), _) => {
                tracing::error!(%error, "the keys of an issuer cannot be read");
                return page(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}".into());
            }
        };
        let mut response = page(StatusCode::OK, JSON, found.to_string());
        response.headers_mut().insert(header::CACHE_CONTROL, CACHED);
        response
    }
}

/// What stands between the host and our own paths.
fn public_path(base: &str) -> &str {
    let host = base.strip_prefix("https://").unwrap_or(base);
    host.find('/').and_then(|at| host.get(at..)).unwrap_or_default()
}
