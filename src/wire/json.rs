//! The AWS JSON protocols, 1.0 and 1.1: bodies out, and the typed reading of checked bodies in.
use super::fault::Fault;
use super::model::Rejection;
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The media type of every JSON service we serve but CloudWatch.
pub const MEDIA_TYPE: &str = "application/x-amz-json-1.1";
/// The media type of CloudWatch.
pub const MEDIA_TYPE_1_0: &str = "application/x-amz-json-1.0";

/// Does a `Content-Type` header name one of the two, whatever its parameters?
#[must_use]
pub fn is_media_type(header: &str) -> bool {
    let essence = header.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(MEDIA_TYPE) || essence.eq_ignore_ascii_case(MEDIA_TYPE_1_0)
}

/// Reads a body that [`OperationModel::check`](super::OperationModel::check) has let pass. As with
/// the check, no body at all is an empty object.
///
/// # Errors
/// A struct that asks for more than the model does; the conformance test keeps that from happening.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejection> {
    let body = if body.is_empty() { b"{}" } else { body };
    // serde's message may quote the value: it stays here.
    serde_json::from_slice(body).map_err(|_| Rejection::Malformed(String::new()))
}

/// The body of a successful answer. A response without content (`()`) has no body, as with AWS.
///
/// # Errors
/// A response that refuses to be serialised.
pub fn encode<T: Serialize>(response: &T) -> Result<Vec<u8>, serde_json::Error> {
    // Most answers fit: a buffer that grows is copied, and every copy wiped.
    let mut body = Vec::with_capacity(512);
    serde_json::to_writer(&mut body, response)?;
    Ok(if body == b"null" { Vec::new() } else { body })
}

/// The body of a failed answer: `{"__type":"NotFoundException","message":"…"}`.
#[must_use]
pub fn encode_fault(fault: &Fault) -> Vec<u8> {
    // Two strings always serialise.
    serde_json::to_vec(&Body(fault)).unwrap_or_default()
}

struct Body<'f>(&'f Fault);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(fault) = self;
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("__type", fault.code)?;
        if !fault.message().is_empty() {
            body.serialize_entry(fault.message_member.name(), fault.message())?;
        }
        body.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(fault: &Fault) -> String {
        String::from_utf8(encode_fault(fault)).unwrap()
    }

    #[test]
    fn a_fault_is_two_members() {
        let fault = Fault::client("NotFoundException", "Key \"x\" <y> is\nnot there");
        let expected = r#"{"__type":"NotFoundException","message":"Key \"x\" <y> is\nnot there"}"#;
        assert_eq!(text(&fault), expected);
        assert_eq!(text(&fault.upper()), expected.replace("message", "Message"));
    }

    #[test]
    fn a_fault_may_say_nothing() {
        let silent = Fault::client("InvalidCiphertextException", "");
        assert_eq!(text(&silent), r#"{"__type":"InvalidCiphertextException"}"#);
        let ours = Fault { message: "disk".into(), ..Fault::server("KMSInternalException") };
        assert_eq!(text(&ours), r#"{"__type":"KMSInternalException"}"#);
    }

    #[test]
    fn no_content_is_no_body() {
        assert_eq!(encode(&()).unwrap(), b"");
        assert_eq!(encode(&serde_json::json!({})).unwrap(), b"{}");
    }

    #[test]
    fn media_types_may_have_parameters() {
        for yes in [MEDIA_TYPE, MEDIA_TYPE_1_0, "Application/X-AMZ-JSON-1.1 ; charset=UTF-8"] {
            assert!(is_media_type(yes), "{yes}");
        }
        for no in ["", "application/json", "application/x-amz-json-1.10", "text/xml"] {
            assert!(!is_media_type(no), "{no}");
        }
    }
}
