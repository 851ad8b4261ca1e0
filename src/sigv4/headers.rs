//! Rules about the headers of a request which hold before anything in it is believed.

use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName};
use http::request::Parts;
use http::uri::{Authority, Scheme};

use super::AuthError;
use super::text::echo;

/// The most names a request may sign; the listener takes fewer headers than this.
const MAX_SIGNED_HEADERS: usize = 100;

const X_AMZ: &str = "x-amz-";
pub(super) const AMZ_DATE: &str = "x-amz-date";
pub(super) const SECURITY_TOKEN: &str = "x-amz-security-token";
pub(super) const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// The headers that this module reads, found in one pass: looking names up one by one would cost
/// more than all the rest of parsing.
#[derive(Default)]
pub(super) struct Known<'a> {
    pub(super) authorization: Option<&'a str>,
    pub(super) amz_date: Option<&'a str>,
    pub(super) date: Option<&'a str>,
    pub(super) security_token: Option<&'a str>,
    pub(super) payload_hash: Option<&'a str>,
}

/// Refuses what two readers of one request could understand differently: repeated headers that
/// decide something, headers beyond ASCII, a Host that contradicts the authority.
///
/// [`super::parse`] begins with it; calls that need no signature go through it alone.
///
/// # Errors
///
/// Kind `IncompleteSignature`.
pub fn check_shape(head: &Parts) -> Result<(), AuthError> {
    known(head).map(|_| ())
}

/// Checks as [`check_shape`] and finds the headers of the signature.
pub(super) fn known(head: &Parts) -> Result<Known<'_>, AuthError> {
    let headers = &head.headers;
    // Only when some header is repeated must we look for which.
    if headers.keys_len() != headers.len() {
        let repeated = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
        if let Some(name) = headers.keys().find(|name| single(name) && repeated(name)) {
            return Err(AuthError::RepeatedHeader(echo(name.as_str())));
        }
    }
    let mut known = Known::default();
    for (name, value) in headers {
        // `http` lets no control character but the tab into a value.
        let Some(value) = std::str::from_utf8(value.as_bytes()).ok().filter(|v| v.is_ascii())
        else {
            return Err(AuthError::HeaderNotAscii(echo(name.as_str())));
        };
        match name.as_str() {
            "authorization" => known.authorization = Some(value),
            "date" => known.date = Some(value),
            AMZ_DATE => known.amz_date = Some(value),
            SECURITY_TOKEN => known.security_token = Some(value),
            CONTENT_SHA256 => known.payload_hash = Some(value),
            _ => {}
        }
    }
    match (headers.get(HOST), head.uri.authority()) {
        (Some(host), Some(authority)) if !same_host(host.as_bytes(), head, authority) => {
            Err(AuthError::RepeatedHeader("host".into()))
        }
        _ => Ok(known),
    }
}

fn single(name: &HeaderName) -> bool {
    [AUTHORIZATION, HOST, CONTENT_TYPE, CONTENT_LENGTH].contains(name)
        || name.as_str().starts_with(X_AMZ)
}

fn same_host(host: &[u8], head: &Parts, authority: &Authority) -> bool {
    host.eq_ignore_ascii_case(authority.as_str().as_bytes())
        || host.eq_ignore_ascii_case(without_default_port(head, authority).as_bytes())
}

/// The value signed as `host`: the header as received, or on HTTP/2 the authority.
pub(super) fn host(head: &Parts) -> Option<&[u8]> {
    match head.headers.get(HOST) {
        Some(value) => Some(value.as_bytes()),
        None => {
            head.uri.authority().map(|authority| without_default_port(head, authority).as_bytes())
        }
    }
}

/// Signers leave the scheme's own port out (Go `SanitizeHostForHeader`, aws-sigv4
/// `is_port_scheme_default`), HTTP/2 clients may keep it in `:authority`.
fn without_default_port<'a>(head: &Parts, authority: &'a Authority) -> &'a str {
    let text = authority.as_str();
    let scheme = head.uri.scheme();
    let port = if scheme == Some(&Scheme::HTTPS) {
        ":443"
    } else if scheme == Some(&Scheme::HTTP) {
        ":80"
    } else {
        return text;
    };
    text.strip_suffix(port).unwrap_or(text)
}

/// The list of signed headers is canonical and leaves out nothing that must be signed: `host` and
/// every `x-amz-*` but the payload's hash, which is compared with the body instead.
///
/// Not demanded, as clients leave them out or proxies change them: content-type, content-length,
/// user-agent, amz-sdk-*, x-amzn-*.
pub(super) fn check_signed(headers: &HeaderMap, signed: &str) -> Result<(), AuthError> {
    let mut previous: &[u8] = b"";
    let mut host = false;
    for (count, name) in names(signed).enumerate() {
        let lower = name.iter().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase());
        // Strictly rising, starting after the empty name: sorted, unique, none empty.
        if count == MAX_SIGNED_HEADERS || !lower || name <= previous {
            return Err(AuthError::SignedHeadersForm);
        }
        host |= name == b"host";
        previous = name;
    }
    if !host {
        return Err(AuthError::HostNotSigned);
    }
    for name in headers.keys().map(HeaderName::as_str) {
        let must = name.starts_with(X_AMZ) && name != CONTENT_SHA256;
        if must && !names(signed).any(|signed| signed == name.as_bytes()) {
            return Err(AuthError::HeaderNotSigned(echo(name)));
        }
    }
    Ok(())
}

/// The names in a list of signed headers; as bytes, since cutting a `str` takes twice the time.
fn names(signed: &str) -> impl Iterator<Item = &[u8]> {
    signed.as_bytes().split(|byte| *byte == b';')
}

/// A claimed payload hash that would keep the body out of the signature.
pub(super) fn check_payload_hash(value: &str) -> Result<(), AuthError> {
    if value == "UNSIGNED-PAYLOAD" || value.starts_with("STREAMING-") {
        return Err(AuthError::PayloadNotSigned(echo(value)));
    }
    Ok(())
}
