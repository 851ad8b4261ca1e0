//! A signing HTTP/1.1 client on a blocking socket: nothing between a test and the wire.
use crate::harness::now;
use claviger::clock::{Clock, SystemClock};
use claviger::sigv4::{self, Credentials};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const REGION: &str = "us-east-1";
/// No call takes as long; a server that hangs fails the test that asked.
const ANSWER: Duration = Duration::from_secs(20);
/// The server closes idle connections after five seconds.
const STALE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why a call has no result.
#[derive(Debug)]
pub enum Failed {
    /// No answer: the connection broke. The call may have been carried out.
    Lost(io::Error),
    Fault {
        status: u16,
        code: String,
        message: String,
        request_id: String,
    },
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) => write!(f, "no answer: {error}"),
            Self::Fault { status, code, message, request_id } => {
                write!(f, "{status} {code} ({message}) to request {request_id}")
            }
        }
    }
}

impl Failed {
    pub fn code(&self) -> &str {
        match self {
            Self::Lost(_) => "lost",
            Self::Fault { code, .. } => code,
        }
    }
}

/// The result of an acknowledged call.
#[derive(Debug)]
pub struct Done<T> {
    pub value: T,
    pub request_id: String,
}

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

pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect_timeout(&address, ANSWER)?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(ANSWER))?;
    Ok(tcp)
}

/// An unsigned request on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    plain(address, "GET", path, b"")
}

pub fn plain(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
    let mut tcp = connect(address)?;
    let request = http::Request::builder().method(method).uri(path);
    let request = request.header("host", address.to_string()).header("connection", "close");
    let (head, ()) = request.body(()).unwrap().into_parts();
    write_request(&mut tcp, &head, body)?;
    read_answer(&mut BufReader::new(tcp))
}

fn write_request(to: &mut dyn Write, head: &http::request::Parts, body: &[u8]) -> io::Result<()> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", head.method, head.uri).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    to.write_all(&bytes)?;
    to.flush()
}

pub fn read_answer(from: &mut dyn BufRead) -> io::Result<Answer> {
    let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut line = String::new();
    from.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(ended)?;
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Err(ended());
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.trim_end().split_once(':').ok_or_else(ended)?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Answer { status, headers, body })
}

/// The texts of all elements of that name.
pub fn elements(xml: &str, name: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(xml).unwrap_or_else(|e| panic!("{e}: {xml}"));
    let found = document.descendants().filter(|node| node.tag_name().name() == name);
    found.filter_map(|node| node.text().map(str::to_owned)).collect()
}
