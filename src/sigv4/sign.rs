//! The client's side, for tests, benches and the command line.

use std::fmt;

use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::claim::Scope;
use super::date::{RequestDate, basic};
use super::headers::{self, AMZ_DATE, SECURITY_TOKEN};
use super::key::SigningKey;
use super::text::hex;
use super::{ALGORITHM, AuthError, TERMINATOR};

/// What a client signs with.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The access key's id.
    pub access_key_id: &'a str,
    /// Its secret.
    pub secret: &'a str,
    /// The token, for a session.
    pub session_token: Option<&'a str>,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// Headers which proxies change, so that no client signs them.
const UNSIGNED: [&str; 10] = [
    "authorization",
    "connection",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-amzn-trace-id",
];

/// Signs a request as the SDKs do: sets `x-amz-date`, `x-amz-security-token`, `authorization` and,
/// where it can be had from the URI, `host`.
///
/// # Errors
///
/// If something does not fit into a header, the time is not in four-digit years, or there is no
/// host.
pub fn sign(
    head: &mut Parts,
    body: &[u8],
    credentials: &Credentials<'_>,
    (region, service): (&str, &str),
    now: i64,
) -> Result<(), AuthError> {
    let date = RequestDate::from_seconds(now).ok_or_else(|| AuthError::BadDate(basic(now)))?;
    let day = date.day();
    head.headers.remove(AUTHORIZATION);
    if let (None, Some(host)) = (head.headers.get(HOST), headers::host(head)) {
        let host = HeaderValue::from_bytes(host);
        head.headers.insert(HOST, host.map_err(|_| AuthError::HostNotSigned)?);
    }
    head.headers.insert(HeaderName::from_static(AMZ_DATE), value(AMZ_DATE, date.as_str())?);
    if let Some(token) = credentials.session_token {
        let mut token = value(SECURITY_TOKEN, token)?;
        token.set_sensitive(true);
        head.headers.insert(HeaderName::from_static(SECURITY_TOKEN), token);
    }
    let mut names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
    names.retain(|name| !UNSIGNED.contains(name));
    names.sort_unstable();
    let signed = names.join(";");

    let key = SigningKey::derive(credentials.secret, day, region, service);
    let scope = Scope { date: day, region, service, terminator: TERMINATOR };
    let payload_hash = hex(&Sha256::digest(body).into());
    let signature = hex(&key.sign_request(head, &signed, &payload_hash, (&date, &scope))?);
    let signature = String::from_utf8_lossy(&signature);
    let id = credentials.access_key_id;
    let text = format!(
        "{ALGORITHM} Credential={id}/{day}/{region}/{service}/{TERMINATOR}, \
         SignedHeaders={signed}, Signature={signature}"
    );
    let mut authorization = value("authorization", &text)?;
    authorization.set_sensitive(true);
    head.headers.insert(AUTHORIZATION, authorization);
    Ok(())
}

fn value(name: &'static str, text: &str) -> Result<HeaderValue, AuthError> {
    HeaderValue::from_str(text).map_err(|_| AuthError::HeaderNotAscii(name.into()))
}
