//! A signed request that a service hands over, as STS's `TradeInToken` carries it.
//!
//! ```text
//! base64url of {"method": "POST", "uri": "/path?query", "headers": [["host", "…"], …],
//!               "body": "base64"}      or, in place of the body, "bodySha256": "hex"
//! ```
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use http::request::{Parts, Request};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// As the listener takes them.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// A request as its user sent it to the service. Nothing of it is believed yet.
pub struct Handover {
    head: Parts,
    payload_sha256: [u8; 32],
}

/// It holds a signature.
impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover(…)")
    }
}

/// Why a token is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("TradeInToken: {0}")]
pub struct Malformed(&'static str);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_sha256: Option<String>,
}

impl Handover {
    pub fn parse(token: &str) -> Result<Self, Malformed> {
        let engine = if token.ends_with('=') { URL_SAFE } else { URL_SAFE_NO_PAD };
        let plain = engine.decode(token).map_err(|_| Malformed("is not base64url"))?;
        let plain = Zeroizing::new(plain);
        // The parser's own text could repeat what is secret.
        let wire: Wire = serde_json::from_slice(&plain)
            .map_err(|_| Malformed("is not a request in the documented form"))?;
        Ok(Self { payload_sha256: wire.payload_sha256()?, head: wire.head()? })
    }

    pub fn head(&self) -> &Parts {
        &self.head
    }

    /// Of the body, as it is here or as the service says; the signature covers it.
    pub fn payload_sha256(&self) -> &[u8; 32] {
        &self.payload_sha256
    }
}

impl Wire {
    fn payload_sha256(&self) -> Result<[u8; 32], Malformed> {
        match (&self.body, &self.body_sha256) {
            (Some(body), None) => {
                let body = STANDARD.decode(body).map_err(|_| Malformed("body is not base64"))?;
                Ok(Sha256::digest(&*Zeroizing::new(body)).into())
            }
            (None, Some(text)) => {
                let bad = Malformed("bodySha256 is not 64 hex digits in lower case");
                let mut hash = [0; 32];
                let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
                hex::decode_to_slice(text, &mut hash).ok().filter(|()| lower).ok_or(bad)?;
                Ok(hash)
            }
            _ => Err(Malformed("must have either body or bodySha256")),
        }
    }

    fn head(self) -> Result<Parts, Malformed> {
        let bad_method = |_| Malformed("method is not one");
        let method = Method::from_bytes(self.method.as_bytes()).map_err(bad_method)?;
        let bad_uri = Malformed("uri is not a path with an optional query");
        let uri: PathAndQuery = self.uri.parse().map_err(|_| bad_uri)?;
        // What the parser left out, such as a fragment, was not sent.
        if !self.uri.starts_with('/') || !self.uri.is_ascii() || uri.as_str() != self.uri {
            return Err(bad_uri);
        }
        let bytes =
            self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if self.headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
            return Err(Malformed("has too many headers"));
        }
        let request = Request::builder().method(method).uri(http::Uri::from(uri)).body(());
        let (mut head, ()) = request.map_err(|_| bad_uri)?.into_parts();
        for (name, value) in self.headers {
            let bad = Malformed("headers holds what is no header");
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad)?;
            let mut value = HeaderValue::from_str(&value).map_err(|_| bad)?;
            value.set_sensitive(true);
            head.headers.append(name, value);
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "method": "POST",
            "uri": "/pay?month=5",
            "headers": [["Host", "payroll.example"], ["X-Amz-Date", "20260101T000000Z"]],
            "body": STANDARD.encode("hello"),
        })
    }

    fn parse(value: &Value) -> Result<Handover, Malformed> {
        Handover::parse(&URL_SAFE_NO_PAD.encode(value.to_string()))
    }

    #[test]
    fn padded_or_not_it_is_read() {
        for end in ["", " ", "  "] {
            let text = format!("{}{end}", good());
            for engine in [URL_SAFE, URL_SAFE_NO_PAD] {
                let read = Handover::parse(&engine.encode(&text)).unwrap();
                assert_eq!(read.head.uri.path(), "/pay");
                assert_eq!(read.head.uri.query(), Some("month=5"));
                assert_eq!(read.head.headers["host"], "payroll.example");
                assert_eq!(*read.payload_sha256(), <[u8; 32]>::from(Sha256::digest("hello")));
                assert_eq!(format!("{read:?}"), "Handover(…)");
            }
        }
        let mut hashed = good();
        hashed.as_object_mut().unwrap().remove("body");
        hashed["bodySha256"] = hex::encode(Sha256::digest("hello")).into();
        assert_eq!(parse(&hashed).unwrap().payload_sha256, parse(&good()).unwrap().payload_sha256);
    }

    #[test]
    fn what_is_not_in_the_form_is_refused() {
        let hash = hex::encode(Sha256::digest("hello"));
        for (member, value) in [
            ("method", json!("")),
            ("method", json!("GET /")),
            ("method", json!(null)),
            ("uri", json!("")),
            ("uri", json!("pay")),
            ("uri", json!("https://payroll.example/pay")),
            ("uri", json!("//payroll.example/a b")),
            ("uri", json!("/pay#x")),
            ("uri", json!("/päy")),
            ("uri", json!("*")),
            ("headers", json!([["a b", "c"]])),
            ("headers", json!([["a", "b\r\nc: d"]])),
            ("headers", json!([["a"]])),
            ("headers", json!({"a": "b"})),
            ("headers", json!(vec![["a", "b"]; 65])),
            ("headers", json!([["a", "b".repeat(40_000)]])),
            ("body", json!("not base64")),
            ("body", json!(null)),
            ("bodySha256", json!(hash)),
            ("more", json!(1)),
        ] {
            let mut bent = good();
            bent[member] = value;
            assert!(parse(&bent).is_err(), "{bent}");
        }
        let mut hashed = good();
        hashed.as_object_mut().unwrap().remove("body");
        for bad in [hash.to_uppercase(), hash[1..].to_owned(), format!("{hash}00"), String::new()] {
            hashed["bodySha256"] = bad.into();
            assert!(parse(&hashed).is_err(), "{hashed}");
        }
        for token in ["", "=", "e30", "e30=", "W10", "a", "e3 0", "+/+/", "e31"] {
            assert!(Handover::parse(token).is_err(), "{token}");
        }
        let twice = good().to_string().replacen('{', r#"{"method":"GET","#, 1);
        assert!(Handover::parse(&URL_SAFE.encode(twice)).is_err());
    }
}
