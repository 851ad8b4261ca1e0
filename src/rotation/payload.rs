//! What functions outside the server are told, and what of their words is kept.
use super::Event;
use crate::types::{Arn, SecretText};
use serde::{Deserialize, Serialize};

/// Of an error's type and message together, and of a log.
const MAX_ERROR_CHARS: usize = 1024;
pub(super) const MAX_LOG_BYTES: usize = 4096;

/// Lambda's event of a rotation, in JSON.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Payload<'a> {
    step: &'static str,
    secret_id: &'a Arn,
    client_request_token: &'a str,
    rotation_token: &'a SecretText,
}

impl<'a> Payload<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
        Self {
            step: event.step.name(),
            secret_id: &event.secret,
            client_request_token: &event.token,
            rotation_token: &event.rotation_token,
        }
    }
}

/// How Lambda says that a function failed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionError {
    #[serde(default)]
    pub error_type: String,
    #[serde(default)]
    pub error_message: String,
}

impl FunctionError {
    /// In one line.
    pub(super) fn text(&self) -> String {
        match (self.error_type.is_empty(), self.error_message.is_empty()) {
            (true, true) => "the function failed and does not say why".into(),
            (false, true) => line(&self.error_type),
            (true, false) => line(&self.error_message),
            (false, false) => line(&format!("{}: {}", self.error_type, self.error_message)),
        }
    }
}

/// Somebody else's text in one line, cut short.
pub(super) fn line(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_ERROR_CHARS).map(printable).collect()
}

/// The end of a log; none if there is nothing in it.
pub(super) fn log_tail(bytes: &[u8]) -> Option<String> {
    let from = bytes.len().saturating_sub(MAX_LOG_BYTES);
    let tail = String::from_utf8_lossy(bytes.get(from..).unwrap_or_default());
    let kept = |c: &char| *c == '\n' || *c == '\t' || !c.is_control();
    let text: String = tail.chars().filter(kept).collect();
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::rotation::Step;

    #[test]
    fn the_event_is_lambdas() {
        let event = Event {
            step: Step::SetSecret,
            secret: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:a-AbCdEf"
                .parse()
                .unwrap(),
            token: "t".into(),
            rotation_token: SecretText::new("r".into()),
        };
        let wanted = r#"{"Step":"setSecret","SecretId":"arn:aws:secretsmanager:eu-west-1:111122223333:secret:a-AbCdEf","ClientRequestToken":"t","RotationToken":"r"}"#;
        assert_eq!(serde_json::to_string(&Payload::of(&event)).unwrap(), wanted);
    }

    #[test]
    fn texts_of_others_are_short_and_printable() {
        assert_eq!(line("a\u{1b}[31m\r\nb"), "a [31m  b");
        assert_eq!(line(&"ü".repeat(5000)).chars().count(), MAX_ERROR_CHARS);
        assert_eq!(log_tail(b"\x00one\ttwo\x1b\n").as_deref(), Some("one\ttwo\n"));
        assert_eq!(log_tail(b" \n\r"), None);
        let long = [vec![b'a'; 10_000], b"the end".to_vec()].concat();
        let tail = log_tail(&long).unwrap();
        assert!(tail.len() == MAX_LOG_BYTES && tail.ends_with("the end"));
        // Cut in the middle of a character.
        assert!(log_tail("ü".repeat(5000).as_bytes()).unwrap().contains("üüü"));
    }
}
