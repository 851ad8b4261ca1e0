//! Functions behind HTTP: what they are sent, and what their answers mean.
#![expect(clippy::disallowed_methods, reason = "these tests measure elapsed time")]
use super::{FUNCTION, Stage, event, function_arn, write};
use crate::databases::{Certified, stranger};
use crate::world::{REGION, allow};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use claviger::functions::{Function, Functions, Settings};
use claviger::outgoing::roots_file;
use claviger::rotation::{Endpoint, Failure, FailureKind, Invoke};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The invocation path of [`function_arn`], as Lambda's clients encode it.
fn path() -> String {
    let arn = function_arn().replace(':', "%3A").replace('-', "%2D");
    format!("/2015-03-31/functions/{arn}/invocations")
}

/// `lambda_server.py` with the function of these tests, and credentials of its own.
pub struct LambdaServer {
    _process: tokio::process::Child,
    pub port: u16,
    token_file: String,
}

impl LambdaServer {
    pub async fn start(stage: &Stage) -> Self {
        let file = write(stage.files.path(), "over_http.py", FUNCTION);
        let program = write(stage.files.path(), "server.py", include_str!("lambda_server.py"));
        let someone = stage.world.user("function", allow(&["secretsmanager:*"])).await;
        let mut command = tokio::process::Command::new("python3");
        command.arg(program).arg(file).arg(path()).arg("the-token");
        command.arg(stage.files.path().join("endpoint")).stdout(Stdio::piped());
        let mut process = command
            .kill_on_drop(true)
            .env("AWS_ACCESS_KEY_ID", someone.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", someone.secret)
            .env("AWS_REGION", REGION)
            .env("TEST_CLOCK", "20260101T000000Z")
            .env("DATABASE", stage.place("database"))
            .env("no_proxy", "*")
            .env_remove("AWS_SESSION_TOKEN")
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = said.next_line().await.unwrap().unwrap().parse().unwrap();
        let token_file = private(stage.files.path(), "token", "the-token\n");
        Self { _process: process, port, token_file }
    }

    /// Tells the function where Secrets Manager is.
    pub fn secrets_are_at(stage: &Stage, endpoint: &str) {
        write(stage.files.path(), "endpoint", endpoint);
    }

    pub fn section(&self) -> String {
        self.section_at(self.port)
    }

    /// For somebody who stands before it.
    pub fn section_at(&self, port: u16) -> String {
        let token_file = &self.token_file;
        format!("url = \"http://127.0.0.1:{port}\"\ntoken_file = \"{token_file}\"\n")
    }
}

fn private(folder: &Path, name: &str, text: &str) -> String {
    let path = write(folder, name, text);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path.display().to_string()
}

fn registered(section: &str) -> Functions {
    let (arn, role) = (function_arn(), super::role_arn());
    let text = format!("arn = \"{arn}\"\nrole = \"{role}\"\n{section}");
    let settings: Settings = toml::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    Functions::new(&[settings]).unwrap()
}

fn function(section: &str) -> Function {
    registered(section).find(&function_arn().parse().unwrap()).unwrap().clone()
}

impl Stage {
    /// Registers the function anew. Nobody may have the server yet.
    pub fn register(&mut self, section: &str) {
        let functions = registered(section);
        std::sync::Arc::get_mut(&mut self.world.server).expect("nobody else").functions = functions;
    }
}

/// An endpoint that answers one request with these bytes; its address, and what it was sent.
async fn answers(bytes: impl Into<Vec<u8>>) -> (String, JoinHandle<String>) {
    let bytes = bytes.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        exchange(stream, &bytes).await
    });
    (format!("http://{address}"), task)
}

/// Reads a request and answers it with these bytes.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
    }
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    String::from_utf8(read).unwrap()
}

/// The same over TLS. Nothing is read of one who does not take the certificate.
async fn answers_over_tls(certified: &Certified) -> (u16, JoinHandle<Option<String>>) {
    let chain = CertificateDer::pem_slice_iter(certified.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.ok()?;
        Some(exchange(stream, http("200 OK", "", "null").as_bytes()).await)
    });
    (port, task)
}

pub fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

async fn invoke(section: &str) -> Result<Option<String>, Failure> {
    Endpoint.invoke(&function(section), &event()).await
}

#[tokio::test]
async fn it_is_asked_as_lambda_is() {
    let (url, sent) = answers(http("200 OK", "", "null")).await;
    assert_eq!(invoke(&format!("url = \"{url}\"")).await.unwrap(), None);
    let sent = sent.await.unwrap();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with(&format!("post {} http/1.1\r\n", path().to_lowercase())), "{head}");
    for header in [
        "x-amz-invocation-type: requestresponse",
        "x-amz-log-type: tail",
        "content-type: application/json",
        &format!("host: {}", &url["http://".len()..]),
    ] {
        assert!(head.lines().any(|line| line == header), "{header} in {head}");
    }
    assert!(!head.contains("authorization"));
    let event = event();
    let wanted = serde_json::json!({
        "Step": "createSecret",
        "SecretId": event.secret,
        "ClientRequestToken": event.token,
        "RotationToken": event.rotation_token.expose(),
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), wanted);
    // One that has a path of its own keeps it.
    let (url, sent) = answers(http("204 No Content", "", "")).await;
    invoke(&format!("url = \"{url}/rotate?now=1\"")).await.unwrap();
    assert!(sent.await.unwrap().starts_with("POST /rotate?now=1 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn what_its_answers_mean() {
    use FailureKind::{Lasting, Passing};
    let log = format!("X-Amz-Log-Result: {}\r\n", B64.encode("one\n\u{1b}two\n"));
    let error = format!("{log}X-Amz-Function-Error: Unhandled\r\n");
    let raised = r#"{"errorType":"ValueError","errorMessage":"no\nway","stackTrace":["x"]}"#;
    let long = format!(r#"{{"errorMessage":"{}"}}"#, "x".repeat(100_000));
    let cut = "x".repeat(1024);
    for (answer, kind, message) in [
        (http("200 OK", &error, raised), Passing, "ValueError: no way"),
        // Lambda's emulator.
        (http("200 OK", &log, raised), Passing, "ValueError: no way"),
        (http("200 OK", &error, "null"), Passing, "the function failed and does not say why"),
        (
            http("200 OK", &error, r#"{"errorType":7}"#),
            Passing,
            "the function failed and does not say why",
        ),
        (http("200 OK", &error, &long), Passing, cut.as_str()),
        (http("200 OK", &log, "<html>"), Passing, "the endpoint's answer is not JSON"),
        (
            http("403 Forbidden", &log, r#"{"Message":"not\tyou"}"#),
            Lasting,
            "the endpoint answered 403 Forbidden: not you",
        ),
        (http("404 Not Found", &log, "x"), Lasting, "the endpoint answered 404 Not Found"),
        (
            http("302 Found", &format!("{log}Location: http://127.0.0.1:1/\r\n"), ""),
            Lasting,
            "the endpoint answered 302 Found",
        ),
        (
            http("429 Too Many Requests", &log, ""),
            Passing,
            "the endpoint answered 429 Too Many Requests",
        ),
        (
            http("408 Request Timeout", &log, ""),
            Passing,
            "the endpoint answered 408 Request Timeout",
        ),
        (
            http("503 Service Unavailable", &log, ""),
            Passing,
            "the endpoint answered 503 Service Unavailable",
        ),
    ] {
        let (url, _) = answers(answer).await;
        let failure = invoke(&format!("url = \"{url}\"")).await.unwrap_err();
        assert_eq!((failure.message.as_str(), failure.kind), (message, kind));
        assert_eq!(failure.log.as_deref(), Some("one\ntwo\n"), "{message}");
    }
    for good in ["null", "{}", "", "\"done\"", r#"{"errorMessage":null}"#] {
        let (url, _) = answers(http("200 OK", &log, good)).await;
        let log = invoke(&format!("url = \"{url}\"")).await.unwrap();
        assert_eq!(log.as_deref(), Some("one\ntwo\n"), "{good}");
    }
    // A log that is none is left out.
    let (url, _) = answers(http("200 OK", "X-Amz-Log-Result: ???\r\n", "null")).await;
    assert_eq!(invoke(&format!("url = \"{url}\"")).await.unwrap(), None);
}

#[tokio::test]
async fn garbage_too_much_and_nothing_at_all() {
    for answer in [
        &b"\x00\x01\x02 what is this\r\n\r\n"[..],
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        &[http("200 OK", "", &"x".repeat(300_000)).as_bytes(), b""].concat(),
        &[b"HTTP/1.1 200 OK\r\nX: ", &vec![b'x'; 1_000_000][..]].concat(),
    ] {
        let (url, _) = answers(answer).await;
        let failure = invoke(&format!("url = \"{url}\"")).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Passing);
        assert!(failure.message.starts_with("the endpoint cannot be asked"), "{}", failure.message);
    }
    // Nobody there, and somebody who never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let before = Instant::now();
    let failure = invoke(&format!("url = \"http://{address}\"\ntimeout = 1")).await.unwrap_err();
    assert_eq!(failure.message, "Task timed out after 1.00 seconds");
    assert_eq!(failure.kind, FailureKind::Passing);
    assert!(before.elapsed() < Duration::from_secs(5));
    drop(listener);
    let failure = invoke(&format!("url = \"http://{address}\"")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Passing);
}

#[tokio::test]
async fn the_token_is_read_each_time_and_only_from_a_private_file() {
    let files = tempfile::tempdir().unwrap();
    let path = private(files.path(), "token", "first\n");
    for wanted in ["first", "second"] {
        std::fs::write(&path, format!("{wanted}\n")).unwrap();
        let (url, sent) = answers(http("200 OK", "", "null")).await;
        invoke(&format!("url = \"{url}\"\ntoken_file = \"{path}\"")).await.unwrap();
        let sent = sent.await.unwrap().to_lowercase();
        assert!(sent.contains(&format!("\r\nauthorization: bearer {wanted}\r\n")), "{sent}");
    }
    // Registered while the file was good.
    let function = function(&format!("url = \"http://127.0.0.1:1\"\ntoken_file = \"{path}\""));
    let refused = async |reason: &str| {
        let failure = Endpoint.invoke(&function, &event()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Lasting);
        assert!(failure.message.contains(reason), "{}", failure.message);
        assert!(!failure.message.contains("the-secret"));
    };
    for (text, reason) in [
        ("", "is empty"),
        ("\n", "is empty"),
        ("the-secret\nx: y", "one line"),
        ("the-secret\u{7}", "one line"),
    ] {
        std::fs::write(&path, text).unwrap();
        refused(reason).await;
    }
    std::fs::write(&path, "the-secret").unwrap();
    for mode in [0o640, 0o604, 0o666] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        refused("only its owner").await;
    }
    std::fs::remove_file(&path).unwrap();
    refused("token_file").await;
}

#[tokio::test]
async fn only_over_tls_that_is_to_be_trusted() {
    // A certificate of nobody's, and an address where no certificate is asked for.
    let (url, _) = answers("").await;
    let https = url.replace("http://", "https://");
    let files = tempfile::tempdir().unwrap();
    let other = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let path = write(files.path(), "ca.pem", &other.cert.pem());
    let ca_file = format!("ca_file = \"{}\"\ntimeout = 2", path.display());
    let failure = invoke(&format!("url = \"{https}\"\n{ca_file}")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Passing);
    let metadata = "url = \"https://169.254.169.254/latest/\"";
    let failure = invoke(&format!("{metadata}\n{ca_file}")).await.unwrap_err();
    assert_eq!(failure.message, "the name has no address that may be asked");
    // Authorities that are gone since the start.
    let registered = function(&format!("url = \"{https}\"\n{ca_file}"));
    write(files.path(), "ca.pem", "nothing");
    let failure = Endpoint.invoke(&registered, &event()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Lasting);
}

#[tokio::test]
async fn a_private_authority_is_trusted_for_what_it_signed() {
    let certified = Certified::new();
    let files = tempfile::tempdir().unwrap();
    let ca_file = write(files.path(), "ca.pem", &certified.ca).display().to_string();
    let other = write(files.path(), "other.pem", &stranger()).display().to_string();
    let token_file = private(files.path(), "token", "the-token\n");
    let section = |host: &str, port: u16, ca_file: Option<&String>| {
        let ca_file = ca_file.map(|path| format!("ca_file = {path:?}\n")).unwrap_or_default();
        format!("url = \"https://{host}:{port}\"\ntoken_file = {token_file:?}\n{ca_file}")
    };
    let (port, sent) = answers_over_tls(&certified).await;
    invoke(&section("127.0.0.1", port, Some(&ca_file))).await.unwrap();
    let sent = sent.await.unwrap().unwrap().to_lowercase();
    assert!(sent.starts_with(&format!("post {} http/1.1\r\n", path().to_lowercase())), "{sent}");
    assert!(sent.contains("\r\nauthorization: bearer the-token\r\n"), "{sent}");
    // Another authority, the system's, and a name that the certificate is not for: who answers there
    // reads nothing.
    for (host, ca_file, reason) in [
        ("127.0.0.1", Some(&other), "UnknownIssuer"),
        ("127.0.0.1", None, "UnknownIssuer"),
        ("localhost", Some(&ca_file), "not valid for name"),
    ] {
        // A system without authorities has no such function.
        if ca_file.is_none() && roots_file(None).is_err() {
            continue;
        }
        let (port, sent) = answers_over_tls(&certified).await;
        let failure = invoke(&section(host, port, ca_file)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Passing);
        assert!(failure.message.contains(reason), "{host}: {}", failure.message);
        assert_eq!(sent.await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_is_refused_by_the_lambda_server() {
    let stage = Stage::new(|_| "url = \"http://127.0.0.1:1\"".into()).await;
    let server = LambdaServer::start(&stage).await;
    LambdaServer::secrets_are_at(&stage, "http://127.0.0.1:1");
    let url = format!("url = \"http://127.0.0.1:{}\"", server.port);
    let failure = invoke(&url).await.unwrap_err();
    assert!(failure.message.contains("403 Forbidden: The security token"), "{}", failure.message);
    // With it the function is run: it finds no server of secrets there.
    let failure = invoke(&server.section()).await.unwrap_err();
    assert!(failure.message.starts_with("URLError: "), "{}", failure.message);
    assert!(failure.log.unwrap().starts_with("createSecret of over-http as 1"));
}
