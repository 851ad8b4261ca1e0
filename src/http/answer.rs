//! The way out: an outcome becomes a response in the protocol that was spoken.
use super::target::Meant;
use crate::wire::{Fault, Protocol, json, query};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use zeroize::Zeroizing;

/// The header that brings what DecodeAuthorizationMessage opens.
const ENCODED_MESSAGE: HeaderName = HeaderName::from_static("x-claviger-authorization-message");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// An answer on its way out, still without its protocol's dress.
pub(super) struct Answer {
    pub(super) protocol: Protocol,
    pub(super) meant: Option<Meant>,
    pub(super) outcome: Result<Vec<u8>, Fault>,
}

/// The answer in its protocol's dress.
pub(super) fn respond(answer: Answer, request_id: &str) -> Response<Bytes> {
    let meant = answer.meant;
    let encoded = answer.outcome.as_ref().err().and_then(|fault| fault.encoded.clone());
    let (status, code, body, media_type) = match (answer.protocol, answer.outcome) {
        (Protocol::Json, Ok(body)) => (200, None, body, json::MEDIA_TYPE),
        (Protocol::Json, Err(fault)) => {
            (fault.status, Some(fault.code), json::encode_fault(&fault), json::MEDIA_TYPE)
        }
        (Protocol::Query, Ok(body)) => {
            match meant.and_then(|meant| xml(meant, &body, request_id)) {
                Some(mut xml) => (200, None, std::mem::take(&mut *xml), query::XML_MEDIA_TYPE),
                None => {
                    let body = query::encode_fault(&Fault::internal(), "", request_id);
                    (500, None, body, query::XML_MEDIA_TYPE)
                }
            }
        }
        (Protocol::Query, Err(fault)) => {
            let namespace = |meant: Meant| &*(meant.service.model)().metadata().xml_namespace;
            let namespace = meant.map_or("", namespace);
            let body = query::encode_fault(&fault, namespace, request_id);
            (fault.status, None, body, query::XML_MEDIA_TYPE)
        }
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(code) = code {
        headers.insert(ERROR_TYPE, HeaderValue::from_static(code));
    }
    if let Some(Ok(message)) = encoded.as_deref().map(HeaderValue::from_str) {
        headers.insert(ENCODED_MESSAGE, message);
    }
    response
}

fn xml(meant: Meant, body: &[u8], request_id: &str) -> Option<Zeroizing<Vec<u8>>> {
    let operation = (meant.service.model)().operation(meant.entry?.name)?;
    // An operation without a result has an empty body.
    let body = if body.is_empty() { b"{}" } else { body };
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    query::encode(operation, &value, request_id).ok()
}
