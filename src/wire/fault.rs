//! What a client sees when a call fails. Nothing from inside the server is in it.

/// The longest piece of a caller's own text that a fault repeats, in characters.
const MAX_ECHO: usize = 128;

/// How a service speaks: it decides the names and statuses of the errors no model lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// AWS JSON 1.0 and 1.1: KMS, Secrets Manager, SSM, CloudTrail, …
    Json,
    /// awsQuery, form in and XML out: STS and IAM.
    Query,
}

/// The JSON member that carries the message. AWS's services differ, and a few clients care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MessageMember {
    /// `message`: the modeled errors of KMS.
    #[default]
    Lower,
    /// `Message`: every modeled error of Secrets Manager, and `AccessDeniedException`.
    Upper,
}

impl MessageMember {
    /// The member's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lower => "message",
            Self::Upper => "Message",
        }
    }
}

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct Fault {
    /// AWS's name of the error, as this service's protocol spells it.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The sentence. Empty for some errors, and never sent with a 5xx: see [`Fault::message`].
    pub message: String,
    /// Where JSON puts the sentence.
    pub message_member: MessageMember,
    /// What a refusal rests on, sealed for those who may decode it.
    pub encoded: Option<String>,
}

/// A service's error type: one variant per AWS error, plus the things a client must not see.
pub trait ServiceError: std::error::Error + Send + Sync + 'static {
    /// The error as this service tells it.
    fn fault(&self) -> Fault;
}

impl Fault {
    /// The caller's mistake: status 400, the sentence in `message`.
    #[must_use]
    pub fn client(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            status: 400,
            message: message.into(),
            message_member: MessageMember::default(),
            encoded: None,
        }
    }

    /// Ours: status 500 and not a word about why.
    #[must_use]
    pub fn server(code: &'static str) -> Self {
        Self::client(code, "").with_status(500)
    }

    /// The same fault with another HTTP status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same fault with its sentence in `Message`.
    #[must_use]
    pub fn upper(self) -> Self {
        Self { message_member: MessageMember::Upper, ..self }
    }

    /// The sentence a client may read: none if the fault is ours, whatever was put in.
    #[must_use]
    pub fn message(&self) -> &str {
        if self.is_ours() { "" } else { &self.message }
    }

    /// Is it the server's fault and not the caller's?
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.status >= 500
    }

    /// The request is not what the protocol calls well-formed.
    #[must_use]
    pub fn serialization(protocol: Protocol, text: impl Into<String>) -> Self {
        let code = match protocol {
            Protocol::Json => "SerializationException",
            Protocol::Query => "MalformedInput",
        };
        Self::client(code, text)
    }

    /// The request breaks a constraint.
    #[must_use]
    pub fn validation(protocol: Protocol, text: impl Into<String>) -> Self {
        let code = match protocol {
            Protocol::Json => "ValidationException",
            Protocol::Query => "ValidationError",
        };
        Self::client(code, text)
    }

    /// No operation has this name. JSON services say no more than that.
    #[must_use]
    pub fn unknown_operation(protocol: Protocol, name: &str, version: Option<&str>) -> Self {
        match protocol {
            Protocol::Json => Self::client("UnknownOperationException", ""),
            Protocol::Query => {
                let version = version.unwrap_or("NO_VERSION_SPECIFIED");
                let short = |text: &str| text.chars().take(MAX_ECHO).collect::<String>();
                let (name, version) = (short(name), short(version));
                Self::client(
                    "InvalidAction",
                    format!("Could not find operation {name} for version {version}"),
                )
            }
        }
    }

    /// The caller may not do this.
    #[must_use]
    pub fn access_denied(protocol: Protocol, text: impl Into<String>) -> Self {
        match protocol {
            Protocol::Json => Self::client("AccessDeniedException", text).upper(),
            Protocol::Query => Self::client("AccessDenied", text).with_status(403),
        }
    }

    /// The caller asks too often.
    #[must_use]
    pub fn throttled(protocol: Protocol) -> Self {
        let code = match protocol {
            Protocol::Json => "ThrottlingException",
            Protocol::Query => "Throttling",
        };
        Self::client(code, "Rate exceeded")
    }

    /// The whole service is not there for the moment.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::server("ServiceUnavailable").with_status(503)
    }

    /// Something of ours failed that the service's model has no name for.
    #[must_use]
    pub fn internal() -> Self {
        Self::server("InternalFailure")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_name_the_same_faults_differently() {
        let both = |make: fn(Protocol) -> Fault| {
            [Protocol::Json, Protocol::Query].map(|p| (make(p).code, make(p).status))
        };
        assert_eq!(
            both(|p| Fault::access_denied(p, "no")),
            [("AccessDeniedException", 400), ("AccessDenied", 403)]
        );
        assert_eq!(
            both(|p| Fault::validation(p, "no")),
            [("ValidationException", 400), ("ValidationError", 400)]
        );
        assert_eq!(
            both(|p| Fault::serialization(p, "")),
            [("SerializationException", 400), ("MalformedInput", 400)]
        );
        assert_eq!(both(Fault::throttled), [("ThrottlingException", 400), ("Throttling", 400)]);
    }

    #[test]
    fn an_unknown_action_is_named_with_its_version() {
        let fault = Fault::unknown_operation(Protocol::Query, "Nope", Some("2011-06-15"));
        assert_eq!(fault.message, "Could not find operation Nope for version 2011-06-15");
        let fault = Fault::unknown_operation(Protocol::Query, "Nope", None);
        assert_eq!(fault.message, "Could not find operation Nope for version NO_VERSION_SPECIFIED");
        assert_eq!(Fault::unknown_operation(Protocol::Json, "Nope", None).message, "");
    }

    #[test]
    fn our_own_faults_say_nothing() {
        let fault = Fault { message: "the disk is full".into(), ..Fault::internal() };
        assert_eq!((fault.message(), fault.is_ours()), ("", true));
    }
}
