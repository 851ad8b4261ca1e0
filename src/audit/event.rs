//! One CloudTrail record: the names, the order and the nulls of CloudTrail, event version 1.11.
//!
//! What a client can make long is cut when the record is written, so no caller can forget it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};
use smol_str::SmolStr;
use std::sync::Arc;

use super::segment::MAX_EVENT_BYTES;
use super::{AuditError, line};
use crate::types::Timestamp;

pub const EVENT_VERSION: &str = "1.11";
/// CloudTrail cuts userAgent, errorCode and errorMessage at 1 KB.
const MAX_TEXT_BYTES: usize = 1024;
/// Names that a client without credentials can choose, such as the operation or the host: longer
/// ones are noise or an attack.
const MAX_NAME_BYTES: usize = 256;

/// Absent members are left out, except the two that CloudTrail prints as null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub event_version: SmolStr,
    pub user_identity: Arc<UserIdentity>,
    #[serde(with = "iso_8601")]
    pub event_time: Timestamp,
    #[serde(serialize_with = "name")]
    pub event_source: SmolStr,
    #[serde(serialize_with = "name")]
    pub event_name: SmolStr,
    #[serde(serialize_with = "name")]
    pub aws_region: SmolStr,
    #[serde(rename = "sourceIPAddress", serialize_with = "name")]
    pub source_ip_address: SmolStr,
    #[serde(serialize_with = "text")]
    pub user_agent: SmolStr,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "optional_text")]
    pub error_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "optional_text")]
    pub error_message: Option<String>,
    pub request_parameters: Option<Value>,
    pub response_elements: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_event_data: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_event_details: Option<Value>,
    #[serde(rename = "requestID")]
    pub request_id: SmolStr,
    #[serde(rename = "eventID")]
    pub event_id: SmolStr,
    pub read_only: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Resource>,
    pub event_type: EventType,
    pub management_event: bool,
    pub recipient_account_id: SmolStr,
    /// The same in both accounts' records of one cross-account call.
    #[serde(rename = "sharedEventID", default, skip_serializing_if = "Option::is_none")]
    pub shared_event_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "optional_name")]
    pub vpc_endpoint_id: Option<SmolStr>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "optional_name")]
    pub vpc_endpoint_account_id: Option<SmolStr>,
    pub event_category: SmolStr,
    /// Ours, not CloudTrail's: how far the store had come when this was logged. A store that knows
    /// less than its own log was put back to an older state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_revision: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_details: Option<TlsDetails>,
}

impl Event {
    /// The record as one line of JSON. One over the log's limit goes without its request and
    /// response, as in CloudTrail: being too long is no way out of being recorded.
    pub fn to_json(&self) -> Result<Vec<u8>, AuditError> {
        let encode = |event: &Self| {
            // Nearly all fit.
            let mut json = Vec::with_capacity(2048);
            let encoded = line::write(event, &mut json);
            encoded.map(|()| json).map_err(|error| AuditError::Encode(error.into()))
        };
        let json = encode(self)?;
        if json.len() <= MAX_EVENT_BYTES {
            return Ok(json);
        }
        let omitted = |value: &Option<Value>| {
            value.as_ref().map(|_| json!({"omitted": true, "reason": "size limit exceeded"}))
        };
        encode(&Self {
            request_parameters: omitted(&self.request_parameters),
            response_elements: omitted(&self.response_elements),
            additional_event_data: omitted(&self.additional_event_data),
            ..self.clone()
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    AwsApiCall,
    AwsServiceEvent,
}

/// Who called. A service's own events have no type, only an account and `invokedBy`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserIdentity {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub identity_type: Option<IdentityType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<SmolStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<SmolStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<SmolStr>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_name")]
    pub access_key_id: Option<SmolStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_context: Option<SessionContext>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_name")]
    pub user_name: Option<SmolStr>,
    /// The service that called on someone's behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoked_by: Option<SmolStr>,
}

impl UserIdentity {
    /// A call with no credentials, as CloudTrail records anonymous requests.
    pub fn anonymous() -> Self {
        Self {
            identity_type: Some(IdentityType::AwsAccount),
            principal_id: Some(SmolStr::default()),
            account_id: Some("ANONYMOUS_PRINCIPAL".into()),
            ..Self::default()
        }
    }

    /// A call whose signature did not verify: the access key is a claim, not an identity.
    pub fn unknown(claimed_access_key_id: Option<SmolStr>) -> Self {
        Self {
            identity_type: Some(IdentityType::Unknown),
            principal_id: Some(SmolStr::default()),
            access_key_id: claimed_access_key_id,
            ..Self::default()
        }
    }

    /// A service's own event: rotation, deletion, expiry.
    pub fn service(account_id: impl Into<SmolStr>, service: impl Into<SmolStr>) -> Self {
        Self {
            account_id: Some(account_id.into()),
            invoked_by: Some(service.into()),
            ..Self::default()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityType {
    Root,
    #[serde(rename = "IAMUser")]
    IamUser,
    AssumedRole,
    FederatedUser,
    WebIdentityUser,
    #[serde(rename = "AWSService")]
    AwsService,
    #[serde(rename = "AWSAccount")]
    AwsAccount,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionContext {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_issuer: Option<SessionIssuer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_id_federation_data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<SessionAttributes>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionIssuer {
    #[serde(rename = "type")]
    pub issuer_type: SmolStr,
    pub principal_id: SmolStr,
    pub arn: SmolStr,
    pub account_id: SmolStr,
    pub user_name: SmolStr,
}

/// CloudTrail prints the flag as a string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionAttributes {
    #[serde(with = "iso_8601")]
    pub creation_date: Timestamp,
    pub mfa_authenticated: SmolStr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    pub account_id: SmolStr,
    #[serde(rename = "type")]
    pub resource_type: SmolStr,
    #[serde(rename = "ARN")]
    pub arn: SmolStr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsDetails {
    pub tls_version: SmolStr,
    pub cipher_suite: SmolStr,
    #[serde(serialize_with = "name")]
    pub client_provided_host_header: SmolStr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_exchange: Option<SmolStr>,
}

fn cut(text: &str, cap: usize) -> &str {
    text.get(..text.floor_char_boundary(cap)).unwrap_or(text)
}

pub(super) fn cut_text(text: &str) -> &str {
    cut(text, MAX_TEXT_BYTES)
}

pub(super) fn cut_name(name: &str) -> &str {
    cut(name, MAX_NAME_BYTES)
}

fn text<S: Serializer>(value: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(cut_text(value))
}

fn name<S: Serializer>(value: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(cut_name(value))
}

fn optional_text<S: Serializer>(value: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    value.as_deref().map(cut_text).serialize(to)
}

fn optional_name<S: Serializer>(value: &Option<SmolStr>, to: S) -> Result<S::Ok, S::Error> {
    value.as_deref().map(cut_name).serialize(to)
}

/// Times in records are whole seconds, `2026-01-01T00:00:00Z`; the milliseconds are not kept.
mod iso_8601 {
    use super::*;

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).ok_or_else(|| de::Error::custom("not a time like 2026-01-01T00:00:00Z"))
    }

    fn parse(text: &str) -> Option<Timestamp> {
        let mut numbers = text.split(['-', 'T', ':', 'Z']).map(str::parse::<i64>);
        let mut number = || numbers.next()?.ok();
        let (year, month, day) = (number()?, number()?, number()?);
        let (hour, minute, second) = (number()?, number()?, number()?);
        if text.len() != "2026-01-01T00:00:00Z".len() || !(0..=9999).contains(&year) {
            return None; // and so nothing below can overflow
        }
        // Days since 1970 of a Gregorian date, with years that begin in March.
        let year = year - i64::from(month <= 2);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let days = year * 365 + leap_days + day_of_year - 719_468;
        let time = Timestamp((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000);
        // What does not print as it was read had a field out of range.
        (time.to_string() == text).then_some(time)
    }
}
