//! The front over HTTP, with requests written byte by byte: what a client library would never send
//! is sent here too.
mod bodies;
mod fairness;
mod forged;
mod networks;
mod signatures;
mod sizes;
mod targets;
mod work;

use crate::world::{REGION, Someone, World};
use claviger::audit::Event;
use claviger::sigv4::{self, Credentials};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client of one world.
pub struct Client {
    /// `127.0.0.1:…`
    pub host: String,
    now: i64,
}

/// A request, to be bent before it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    pub uri: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub async fn new(world: &World) -> Self {
        let endpoint = world.serve().await;
        let host = endpoint.trim_start_matches("http://").to_owned();
        Self { host, now: world.server.clock.wall().secs() }
    }

    /// An unsigned request of a JSON service.
    pub fn json(&self, target: &str, body: &Value) -> Request {
        let headers = vec![
            ("host".to_owned(), self.host.clone()),
            ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target".to_owned(), target.to_owned()),
        ];
        Request { method: "POST", uri: "/".into(), headers, body: body.to_string().into_bytes() }
    }

    /// An unsigned request of a Query service.
    pub fn form(&self, body: &str) -> Request {
        let headers = vec![
            ("host".to_owned(), self.host.clone()),
            (
                "content-type".to_owned(),
                "application/x-www-form-urlencoded; charset=utf-8".to_owned(),
            ),
        ];
        Request { method: "POST", uri: "/".into(), headers, body: body.as_bytes().to_vec() }
    }

    pub fn sign(&self, request: Request, who: &Someone, service: &str) -> Request {
        self.sign_at(request, who, (REGION, service), self.now, None)
    }

    pub fn sign_at(
        &self,
        mut request: Request,
        who: &Someone,
        scope: (&str, &str),
        now: i64,
        session_token: Option<&str>,
    ) -> Request {
        let mut builder = http::Request::builder().method(request.method).uri(&request.uri);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let (mut head, ()) = builder.body(()).unwrap().into_parts();
        let credentials =
            Credentials { access_key_id: &who.access_key_id, secret: &who.secret, session_token };
        sigv4::sign(&mut head, &request.body, &credentials, scope, now).unwrap();
        for name in ["x-amz-date", "x-amz-security-token", "authorization"] {
            if let Some(value) = head.headers.get(name) {
                request.set(name, value.to_str().unwrap());
            }
        }
        request
    }

    /// A signed KMS call.
    pub async fn kms(&self, who: &Someone, name: &str, body: Value) -> Response {
        let request = self.json(&format!("TrentService.{name}"), &body);
        self.send(&self.sign(request, who, "kms")).await
    }

    /// A signed STS call.
    pub async fn sts(&self, who: &Someone, form: &str) -> Response {
        self.send(&self.sign(self.form(form), who, "sts")).await
    }

    /// A signed IAM call.
    pub async fn iam(&self, who: &Someone, form: &str) -> Response {
        self.send(&self.sign(self.form(form), who, "iam")).await
    }

    pub async fn send(&self, request: &Request) -> Response {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.uri).into_bytes();
        for (name, value) in &request.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let length = request.body.len();
        bytes.extend_from_slice(
            format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes(),
        );
        bytes.extend_from_slice(&request.body);
        let mut stream = TcpStream::connect(&self.host).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        Response::parse(&answer)
    }
}

impl Request {
    /// Sets a header, replacing what was there.
    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(there, _)| there != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The same with one header more, even if there is one of the name.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(there, _)| there != name);
        self
    }

    pub fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(there, _)| there == name).unwrap().1
    }

    /// The same with a part of its Authorization header replaced.
    pub fn authorized(mut self, from: &str, to: &str) -> Self {
        let value = self.header("authorization").to_owned();
        assert!(value.contains(from), "{value} has no {from}");
        self.set("authorization", &value.replace(from, to));
        self
    }
}

impl Response {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let answer = Self { status, headers, body: bytes[end + 4..].to_vec() };
        if let Some(length) = answer.header("content-length") {
            assert_eq!(length, answer.body.len().to_string());
        }
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(there, _)| there == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The error's message, in either protocol.
    pub fn message(&self) -> String {
        if self.text().starts_with('<') {
            return element(self.text(), "Message").unwrap_or_default();
        }
        let body = self.json();
        body.get("message").or(body.get("Message")).map_or("", |m| m.as_str().unwrap()).to_owned()
    }
}

/// The error's code, in either protocol; none if the call succeeded.
pub fn code_of(answer: &Response) -> Option<String> {
    if answer.status == 200 {
        return None;
    }
    if answer.text().starts_with('<') {
        return element(answer.text(), "Code");
    }
    Some(answer.json()["__type"].as_str().unwrap().to_owned())
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).unwrap();
    let found = document.descendants().find(|node| node.tag_name().name() == name)?;
    Some(found.text().unwrap_or_default().to_owned())
}

/// What the one audit record that a refused request leaves must be.
pub fn one_refusal(
    world: &World,
    before: usize,
    answer: &Response,
    claimed: Option<&str>,
) -> Event {
    let events = world.events().split_off(before);
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!(event.error_code, code_of(answer), "{event:?}");
    assert_eq!(event.user_identity.access_key_id.as_deref(), claimed, "{event:?}");
    assert_eq!(event.response_elements, None);
    assert_eq!(Some(event.request_id.as_str()), answer.header("x-amzn-requestid"));
    assert_eq!(event.source_ip_address, "127.0.0.1");
    event.clone()
}
