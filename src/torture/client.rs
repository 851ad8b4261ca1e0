//! A signing client of a server: an answer that did not come is told from one that did.
use super::wire::{Answer, Done, Failed, STALE, connect, read_answer, write_request};
use super::{Trouble, now};
use crate::clock::{Clock, SystemClock};
use crate::sigv4::{self, Credentials};
use serde_json::Value;
use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

const REGION: &str = "us-east-1";

/// A user's access key: its id and its secret.
#[derive(Clone, Debug, Default)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: String,
}

#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    key: Key,
    pub(super) user_agent: String,
    /// The server's clock is ahead of ours by this.
    clock_seconds: i64,
    wire: Option<(BufReader<TcpStream>, Instant)>,
}

impl Client {
    pub(super) fn new(address: SocketAddr, key: Key, clock_seconds: i64) -> Self {
        let user_agent = "torture-check".to_owned();
        Self { address, key, user_agent, clock_seconds, wire: None }
    }

    /// A call of KMS: `kms("Encrypt", json!({…}))`.
    pub(super) fn kms(&mut self, name: &str, body: &Value) -> Result<Value, Failed> {
        self.json("kms", name, body).map(|done| done.value)
    }

    pub(super) fn secrets(&mut self, name: &str, body: &Value) -> Result<Value, Failed> {
        self.json("secretsmanager", name, body).map(|done| done.value)
    }

    pub(super) fn json(
        &mut self,
        service: &str,
        name: &str,
        body: &Value,
    ) -> Result<Done<Value>, Failed> {
        let prefix = if service == "kms" { "TrentService" } else { service };
        let headers = [
            ("x-amz-target", format!("{prefix}.{name}")),
            ("content-type", "application/x-amz-json-1.1".to_owned()),
        ];
        let answer = self.signed(service, &headers, body.to_string().as_bytes())?;
        let request_id = answer.headers.get("x-amzn-requestid").cloned().unwrap_or_default();
        let value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        if answer.status == 200 {
            return Ok(Done { value, request_id });
        }
        let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Err(Failed::Fault {
            status: answer.status,
            code: text("__type").unwrap_or_default(),
            message: text("message").or(text("Message")).unwrap_or_default(),
            request_id,
        })
    }

    /// A call of IAM; answers the XML.
    pub(super) fn iam(
        &mut self,
        name: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Done<String>, Failed> {
        let mut body = format!("Action={name}&Version=2010-05-08");
        for (key, value) in parameters {
            let value =
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            body.push_str(&format!("&{key}={value}"));
        }
        let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        let answer = self.signed("iam", &headers, body.as_bytes())?;
        let request_id = answer.headers.get("x-amzn-requestid").cloned().unwrap_or_default();
        let value = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status == 200 {
            return Ok(Done { value, request_id });
        }
        let text = |tag| elements(&value, tag).into_iter().next().unwrap_or_default();
        let (status, code, message) = (answer.status, text("Code"), text("Message"));
        Err(Failed::Fault { status, code, message, request_id })
    }

    fn signed(
        &mut self,
        service: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<Answer, Failed> {
        let mut request = http::Request::post("/").header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request = request.header("user-agent", &self.user_agent);
        // Not sent: no effect is in doubt, but no answer came either.
        let unsent = |error: String| Failed::Lost(io::Error::other(error));
        let (mut head, ()) = request.body(()).map_err(|e| unsent(e.to_string()))?.into_parts();
        let credentials = Credentials {
            access_key_id: &self.key.id,
            secret: &self.key.secret,
            session_token: None,
        };
        let time = SystemClock.now().secs().saturating_add(self.clock_seconds);
        sigv4::sign(&mut head, body, &credentials, (REGION, service), time)
            .map_err(|e| unsent(e.to_string()))?;
        let answer = self.send(&head, body).map_err(Failed::Lost);
        if answer.is_err() {
            self.wire = None;
        }
        answer
    }

    fn send(&mut self, head: &http::request::Parts, body: &[u8]) -> io::Result<Answer> {
        let usable = self.wire.take().filter(|(_, used)| used.elapsed() < STALE);
        let mut wire = match usable {
            Some((wire, _)) => wire,
            None => BufReader::new(connect(self.address)?),
        };
        write_request(wire.get_mut(), head, body)?;
        let answer = read_answer(&mut wire)?;
        if answer.headers.get("connection").is_none_or(|value| value != "close") {
            self.wire = Some((wire, now()));
        }
        Ok(answer)
    }
}

/// The texts of all elements of that name that hold text only. Enough for what IAM answers here: names
/// of ours and percent-encoded policies, in which nothing is escaped.
pub(super) fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let after = xml.split(&open).skip(1);
    let inside = after.filter_map(|rest| rest.split_once(&close).map(|(text, _)| text));
    inside.filter(|text| !text.contains('<')).map(str::to_owned).collect()
}

/// What must succeed.
pub(super) fn ok<T>(name: &str, outcome: Result<T, Failed>) -> Result<T, Trouble> {
    outcome.map_err(|failed| Trouble::Violation(format!("{name}: {failed}")))
}

/// None if the object is not there; any other failure is one.
pub(super) fn found<T>(name: &str, outcome: Result<T, Failed>) -> Result<Option<T>, Trouble> {
    let missing = ["NotFoundException", "NoSuchEntity", "ResourceNotFoundException"];
    match outcome {
        Err(failed) if missing.contains(&failed.code()) => Ok(None),
        outcome => ok(name, outcome).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_elements() {
        let xml = "<a><member>x</member><b><member>y</member></b><member/></a>";
        assert_eq!(elements(xml, "member"), ["x", "y"]);
        assert!(elements(xml, "b").is_empty() && elements(xml, "c").is_empty());
    }
}
