//! The canonical request, written straight into SHA-256.
//!
//! Source: "Create a canonical request" of the SigV4 documentation; where it is silent, what
//! aws-sigv4 1.6.4 and the test suite do. S3's exceptions are not served.

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::AuthError;
use super::headers;
use super::presign::SIGNATURE;
use super::text::{decode, echo, escape, hex, unreserved};

/// Where canonical text goes: a hash, or in tests a buffer.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

// Measured: collecting the pieces in a buffer first, on the stack or the heap, is not faster.
impl Sink for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// The SHA-256 of the canonical request, in hex.
pub(super) fn hash(
    head: &Parts,
    signed_headers: &str,
    payload_hash: &[u8; 64],
) -> Result<[u8; 64], AuthError> {
    let mut sha = Sha256::new();
    write(&mut sha, head, signed_headers, payload_hash)?;
    Ok(hex(&sha.finalize().into()))
}

pub(super) fn write(
    out: &mut impl Sink,
    head: &Parts,
    signed_headers: &str,
    payload_hash: &[u8; 64],
) -> Result<(), AuthError> {
    out.put(head.method.as_str().as_bytes());
    out.put(b"\n");
    path(out, head.uri.path());
    out.put(b"\n");
    if let Some(text) = head.uri.query() {
        query(out, text)?;
    }
    out.put(b"\n");
    for name in signed_headers.split(';') {
        header(out, head, name)?;
    }
    out.put(b"\n");
    out.put(signed_headers.as_bytes());
    out.put(b"\n");
    out.put(payload_hash);
    Ok(())
}

/// The path without `.`, `..` and doubled slashes (RFC 3986 §5.2.4), encoded once more.
fn path(out: &mut impl Sink, path: &str) {
    if path.len() <= 1 {
        return out.put(b"/");
    }
    if !path.contains('.') && !path.contains("//") {
        if !path.starts_with('/') {
            out.put(b"/");
        }
        return encode(out, path.as_bytes(), b'/');
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    for segment in &segments {
        out.put(b"/");
        encode(out, segment.as_bytes(), b'/');
    }
    let directory = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    if directory || segments.is_empty() {
        out.put(b"/");
    }
}

/// The query decoded, encoded anew and sorted by what came out, without the signature.
///
/// `X-Amz-Signature` never takes part: beside an Authorization header it is refused earlier.
fn query(out: &mut impl Sink, query: &str) -> Result<(), AuthError> {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let name = recode(name)?;
        if name != SIGNATURE.as_bytes() {
            pairs.push((name, recode(value)?));
        }
    }
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.put(b"&");
        }
        out.put(name);
        out.put(b"=");
        out.put(value);
    }
    Ok(())
}

fn recode(piece: &str) -> Result<Vec<u8>, AuthError> {
    let mut out = Vec::with_capacity(piece.len());
    encode(&mut out, &decode(piece)?, b'.');
    Ok(out)
}

/// Percent-encodes all but the unreserved characters and `kept`.
fn encode(out: &mut impl Sink, bytes: &[u8], kept: u8) {
    let plain = |byte: &u8| unreserved(*byte) || *byte == kept;
    for run in bytes.chunk_by(|a, b| plain(a) && plain(b)) {
        match run {
            [byte] if !plain(byte) => out.put(&escape(*byte)),
            _ => out.put(run),
        }
    }
}

/// `name:value,value\n`, every value trimmed and its runs of spaces made one.
fn header(out: &mut impl Sink, head: &Parts, name: &str) -> Result<(), AuthError> {
    let absent = || AuthError::SignedHeaderAbsent(echo(name));
    out.put(name.as_bytes());
    out.put(b":");
    if name == "host" {
        collapse(out, headers::host(head).ok_or_else(absent)?);
    } else {
        // With a handful of headers a walk is faster than hashing the name; repeated ones come in
        // the order of arrival.
        let named = |(header, value)| (HeaderName::as_str(header) == name).then_some(value);
        let mut values = head.headers.iter().filter_map(named);
        collapse(out, HeaderValue::as_bytes(values.next().ok_or_else(absent)?));
        for value in values {
            out.put(b",");
            collapse(out, value.as_bytes());
        }
    }
    out.put(b"\n");
    Ok(())
}

fn collapse(out: &mut impl Sink, value: &[u8]) {
    // Nearly every value has no space to take away, and then is one write.
    let edge = value.first() == Some(&b' ') || value.last() == Some(&b' ');
    if !edge && !value.windows(2).any(|pair| pair == b"  ") {
        return out.put(value);
    }
    let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    if let Some(word) = words.next() {
        out.put(word);
    }
    for word in words {
        out.put(b" ");
        out.put(word);
    }
}
