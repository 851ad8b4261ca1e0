//! A signing client on a blocking socket: nothing between a test and the wire.
use crate::harness::now;
use claviger::clock::{Clock, SystemClock};
use claviger::sigv4::{self, Credentials};
pub use claviger::torture::wire::{Answer, Done, Failed, connect, plain, read_answer};
use claviger::torture::wire::{STALE, write_request};
use serde_json::Value;
use std::io::{self, BufReader, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

pub const REGION: &str = "us-east-1";

trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

pub struct Client {
    address: SocketAddr,
    host: String,
    key: String,
    secret: String,
    /// Of temporary credentials.
    pub session_token: Option<String>,
    pub region: String,
    pub user_agent: String,
    tls: Option<Arc<rustls::ClientConfig>>,
    wire: Option<(BufReader<Box<dyn Wire>>, Instant)>,
}

impl Client {
    pub fn new(address: SocketAddr, key: &str, secret: &str) -> Self {
        Self {
            address,
            host: address.to_string(),
            key: key.to_owned(),
            secret: secret.to_owned(),
            session_token: None,
            region: REGION.to_owned(),
            user_agent: "process-tests".to_owned(),
            tls: None,
            wire: None,
        }
    }

    #[must_use]
    pub fn over_tls(mut self, host: &str, config: rustls::ClientConfig) -> Self {
        self.host = format!("{host}:{}", self.address.port());
        self.tls = Some(Arc::new(config));
        self
    }

    /// A call of KMS: `kms("Encrypt", json!({…}))`.
    pub fn kms(&mut self, name: &str, body: Value) -> Result<Value, Failed> {
        self.json("kms", name, &body).map(|done| done.value)
    }

    pub fn secrets(&mut self, name: &str, body: Value) -> Result<Value, Failed> {
        self.json("secretsmanager", name, &body).map(|done| done.value)
    }

    pub fn json(&mut self, service: &str, name: &str, body: &Value) -> Result<Done<Value>, Failed> {
        let prefix = if service == "kms" { "TrentService" } else { service };
        let headers = [
            ("x-amz-target", format!("{prefix}.{name}")),
            ("content-type", "application/x-amz-json-1.1".to_owned()),
        ];
        let answer = self.signed(service, &headers, &serde_json::to_vec(body).unwrap())?;
        let request_id = answer.headers.get("x-amzn-requestid").cloned().unwrap_or_default();
        let value: Value = match answer.body.as_slice() {
            [] => Value::Null,
            body => serde_json::from_slice(body).unwrap_or_else(|e| panic!("{e}: {answer:?}")),
        };
        if answer.status == 200 {
            return Ok(Done { value, request_id });
        }
        let text = |name| value[name].as_str().map(str::to_owned);
        Err(Failed::Fault {
            status: answer.status,
            code: text("__type").unwrap_or_default(),
            message: text("message").or(text("Message")).unwrap_or_default(),
            request_id,
        })
    }

    /// A call of IAM or STS; answers the XML.
    pub fn query(
        &mut self,
        service: &str,
        name: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Done<String>, Failed> {
        let version = if service == "iam" { "2010-05-08" } else { "2011-06-15" };
        let mut body = format!("Action={name}&Version={version}");
        for (key, value) in parameters {
            let value =
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            body.push_str(&format!("&{key}={value}"));
        }
        let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        let answer = self.signed(service, &headers, body.as_bytes())?;
        let request_id = answer.headers.get("x-amzn-requestid").cloned().unwrap_or_default();
        let value = answer.text();
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
        let mut request = http::Request::post("/").header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request = request.header("user-agent", &self.user_agent);
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let credentials = Credentials {
            access_key_id: &self.key,
            secret: &self.secret,
            session_token: self.session_token.as_deref(),
        };
        let wall = SystemClock.now().secs();
        let region = (self.region.as_str(), service);
        sigv4::sign(&mut head, body, &credentials, region, wall).unwrap();
        let answer = self.send(&head, body).map_err(Failed::Lost);
        if answer.is_err() {
            self.wire = None;
        }
        answer
    }

    fn send(&mut self, head: &http::request::Parts, body: &[u8]) -> io::Result<Answer> {
        if self.wire.as_ref().is_none_or(|(_, used)| used.elapsed() > STALE) {
            self.wire = Some((BufReader::new(self.connect()?), now()));
        }
        let (wire, used) = self.wire.as_mut().unwrap();
        write_request(wire.get_mut(), head, body)?;
        let answer = read_answer(wire)?;
        *used = now();
        if answer.headers.get("connection").is_some_and(|value| value == "close") {
            self.wire = None;
        }
        Ok(answer)
    }

    fn connect(&self) -> io::Result<Box<dyn Wire>> {
        let tcp = connect(self.address)?;
        let Some(config) = &self.tls else { return Ok(Box::new(tcp)) };
        let name = self.host.split(':').next().unwrap().to_owned();
        let name = rustls::pki_types::ServerName::try_from(name).unwrap();
        let session = rustls::ClientConnection::new(config.clone(), name).unwrap();
        Ok(Box::new(rustls::StreamOwned::new(session, tcp)))
    }
}

/// An unsigned request on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    plain(address, "GET", path, b"")
}

/// The texts of all elements of that name.
pub fn elements(xml: &str, name: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(xml).unwrap_or_else(|e| panic!("{e}: {xml}"));
    let found = document.descendants().filter(|node| node.tag_name().name() == name);
    found.filter_map(|node| node.text().map(str::to_owned)).collect()
}
