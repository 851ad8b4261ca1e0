//! An event as one line of JSON: byte for byte what serde makes of it, in about half the time. Every call
//! pays for this, and serde looks at each character of every name and value for what it must escape.

use std::io::Write;

use serde::Serialize;

use super::event::{self, Event, Resource, UserIdentity};

/// A member's name as it stands behind the member before it.
macro_rules! name {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// Appends the line, without its end.
pub(super) fn write(event: &Event, line: &mut Vec<u8>) -> serde_json::Result<()> {
    let mut to = Object::begin(line);
    to.text(name!("eventVersion"), &event.event_version);
    to.name(name!("userIdentity"));
    write_identity(&event.user_identity, to.line)?;
    to.name(name!("eventTime"));
    // Writing to a Vec does not fail.
    _ = write!(to.line, "\"{}\"", event.event_time);
    to.text(name!("eventSource"), event::cut_name(&event.event_source));
    to.text(name!("eventName"), event::cut_name(&event.event_name));
    to.text(name!("awsRegion"), event::cut_name(&event.aws_region));
    to.text(name!("sourceIPAddress"), event::cut_name(&event.source_ip_address));
    to.text(name!("userAgent"), event::cut_text(&event.user_agent));
    to.some_text(name!("errorCode"), event.error_code.as_deref().map(event::cut_text));
    to.some_text(name!("errorMessage"), event.error_message.as_deref().map(event::cut_text));
    to.value(name!("requestParameters"), &event.request_parameters)?;
    to.value(name!("responseElements"), &event.response_elements)?;
    to.some_value(name!("additionalEventData"), event.additional_event_data.as_ref())?;
    to.some_value(name!("serviceEventDetails"), event.service_event_details.as_ref())?;
    to.text(name!("requestID"), &event.request_id);
    to.text(name!("eventID"), &event.event_id);
    to.flag(name!("readOnly"), event.read_only);
    if !event.resources.is_empty() {
        to.name(name!("resources"));
        write_resources(&event.resources, to.line);
    }
    to.value(name!("eventType"), &event.event_type)?;
    to.flag(name!("managementEvent"), event.management_event);
    to.text(name!("recipientAccountId"), &event.recipient_account_id);
    to.some_text(name!("sharedEventID"), event.shared_event_id.as_deref());
    let endpoint = (event.vpc_endpoint_id.as_deref(), event.vpc_endpoint_account_id.as_deref());
    to.some_text(name!("vpcEndpointId"), endpoint.0.map(event::cut_name));
    to.some_text(name!("vpcEndpointAccountId"), endpoint.1.map(event::cut_name));
    to.text(name!("eventCategory"), &event.event_category);
    to.some_value(name!("storeRevision"), event.store_revision.as_ref())?;
    to.some_value(name!("tlsDetails"), event.tls_details.as_ref())?;
    to.end();
    Ok(())
}

fn write_identity(identity: &UserIdentity, line: &mut Vec<u8>) -> serde_json::Result<()> {
    let mut to = Object::begin(line);
    to.some_value(name!("type"), identity.identity_type.as_ref())?;
    to.some_text(name!("principalId"), identity.principal_id.as_deref());
    to.some_text(name!("arn"), identity.arn.as_deref());
    to.some_text(name!("accountId"), identity.account_id.as_deref());
    to.some_text(name!("accessKeyId"), identity.access_key_id.as_deref().map(event::cut_name));
    to.some_value(name!("sessionContext"), identity.session_context.as_ref())?;
    to.some_text(name!("userName"), identity.user_name.as_deref().map(event::cut_name));
    to.some_text(name!("invokedBy"), identity.invoked_by.as_deref());
    to.end();
    Ok(())
}

fn write_resources(resources: &[Resource], line: &mut Vec<u8>) {
    for (index, resource) in resources.iter().enumerate() {
        line.push(if index == 0 { b'[' } else { b',' });
        let mut to = Object::begin(line);
        to.text(name!("accountId"), &resource.account_id);
        to.text(name!("type"), &resource.resource_type);
        to.text(name!("ARN"), &resource.arn);
        to.end();
    }
    line.push(b']');
}

/// An object that is being written.
struct Object<'a> {
    line: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Object<'a> {
    fn begin(line: &'a mut Vec<u8>) -> Self {
        let start = line.len();
        Self { line, start }
    }

    fn end(self) {
        // The comma before the first member is where the object begins.
        match self.line.get_mut(self.start) {
            Some(comma) => *comma = b'{',
            None => self.line.push(b'{'),
        }
        self.line.push(b'}');
    }

    /// `name` is of the macro above.
    fn name(&mut self, name: &'static str) {
        self.line.extend_from_slice(name.as_bytes());
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        // What JSON escapes in a string (RFC 8259, section 7). All bytes are looked at whatever they are:
        // then the compiler does sixteen at a time.
        let escaped = value
            .bytes()
            .fold(false, |any, byte| any | (byte < 0x20) | (byte == b'"') | (byte == b'\\'));
        if escaped {
            // A string always serialises, and a Vec takes everything.
            _ = serde_json::to_writer(&mut *self.line, value);
            return;
        }
        self.line.reserve(value.len() + 2);
        self.line.push(b'"');
        self.line.extend_from_slice(value.as_bytes());
        self.line.push(b'"');
    }

    fn some_text(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn flag(&mut self, name: &'static str, value: bool) {
        self.name(name);
        self.line.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn value(&mut self, name: &'static str, value: &impl Serialize) -> serde_json::Result<()> {
        self.name(name);
        serde_json::to_writer(&mut *self.line, value)
    }

    fn some_value(
        &mut self,
        name: &'static str,
        value: Option<&impl Serialize>,
    ) -> serde_json::Result<()> {
        value.map_or(Ok(()), |value| self.value(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::event;
    use crate::audit::{SessionAttributes, SessionContext, SessionIssuer};
    use crate::types::Timestamp;
    use serde_json::json;
    use std::sync::Arc;

    fn is_what_serde_writes(event: &Event) {
        let mut line = Vec::new();
        write(event, &mut line).unwrap();
        let expected = serde_json::to_string(event).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    /// An event that has everything.
    fn full() -> Event {
        let mut full = event("e-2");
        let session = SessionContext {
            session_issuer: Some(SessionIssuer {
                issuer_type: "Role".into(),
                principal_id: "AROA".into(),
                arn: "arn:aws:iam::111122223333:role/a".into(),
                account_id: "111122223333".into(),
                user_name: "a".into(),
            }),
            web_id_federation_data: Some(json!({"a": 1})),
            attributes: Some(SessionAttributes {
                creation_date: Timestamp(0),
                mfa_authenticated: "true".into(),
            }),
        };
        let identity = Arc::make_mut(&mut full.user_identity);
        identity.session_context = Some(session);
        identity.invoked_by = Some("a service".into());
        identity.user_name = Some("n\"a\\me\n".into());
        full.event_time = Timestamp(1_767_225_600_123);
        full.error_code = Some("Code".into());
        full.error_message = Some("\u{0} \u{1f} \u{7f} \u{2028} ü \u{1F511}".into());
        full.response_elements = Some(json!({"b": [1, null, 2.5, "x\ty"]}));
        full.additional_event_data = Some(json!({}));
        full.service_event_details = Some(json!("text"));
        full.resources.push(full.resources[0].clone());
        full.shared_event_id = Some("shared".into());
        full.store_revision = Some(u64::MAX);
        full.vpc_endpoint_id = Some("vpce-1".into());
        full.vpc_endpoint_account_id = Some("1".into());
        full
    }

    #[test]
    fn the_line_is_what_serde_writes() {
        is_what_serde_writes(&event("e-1"));
        is_what_serde_writes(&full());
        let mut bare = event("");
        bare.user_identity = Arc::default();
        bare.request_parameters = None;
        bare.resources.clear();
        bare.tls_details = None;
        is_what_serde_writes(&bare);
        let identities = [
            UserIdentity::anonymous(),
            UserIdentity::unknown(None),
            UserIdentity::unknown(Some("\"".into())),
            UserIdentity::service("1", "kms.amazonaws.com"),
        ];
        for identity in identities {
            bare.user_identity = Arc::new(identity);
            is_what_serde_writes(&bare);
        }
    }

    #[test]
    fn what_is_long_is_cut_as_serde_cuts_it() {
        let mut long = full();
        let text = "ü\"".repeat(1000);
        let identity = Arc::make_mut(&mut long.user_identity);
        (identity.access_key_id, identity.user_name) =
            (Some((&*text).into()), Some((&*text).into()));
        for short in [&mut long.event_source, &mut long.event_name, &mut long.aws_region] {
            *short = (&*text).into();
        }
        (long.source_ip_address, long.user_agent) = ((&*text).into(), (&*text).into());
        (long.error_code, long.error_message) = (Some(text.clone()), Some(text.clone()));
        (long.vpc_endpoint_id, long.vpc_endpoint_account_id) =
            (Some((&*text).into()), Some((&*text).into()));
        is_what_serde_writes(&long);
    }

    #[test]
    fn every_character_is_escaped_as_serde_escapes_it() {
        let mut event = event("e");
        for character in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{2029}', '\u{ffff}']) {
            event.user_agent = format!("a{character}b").into();
            is_what_serde_writes(&event);
        }
    }
}
