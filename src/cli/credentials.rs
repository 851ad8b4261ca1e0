//! `claviger credentials`: the `credential_process` of a machine that has a certificate. It prints
//! credentials as the AWS SDKs read them, and nothing else.
use super::{CredentialsArguments, StartError};
use crate::outgoing::trusted_roots;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::Deserialize;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// For the connection, the handshake and the answer together; SDKs wait a minute at most.
const DEADLINE: Duration = Duration::from_secs(30);
/// Of an answer. A session token has some kilobytes.
const MAX_BYTES: usize = 128 * 1024;
const PATH: &str = "/machine-credentials";

/// What an answer must have; the rest is for the SDK to judge.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    version: u32,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(alias = "Message")]
    message: String,
}

pub(super) fn run(arguments: &CredentialsArguments) -> Result<(), StartError> {
    super::harden();
    let url: Uri = arguments
        .endpoint
        .parse()
        .map_err(|_| failed(format!("{} is not a URL", arguments.endpoint)))?;
    if url.scheme_str() != Some("https") {
        return Err(failed(
            "the endpoint must be https://…: plain HTTP has no certificates".into(),
        ));
    }
    let tls = Arc::new(tls(arguments)?);
    super::run_async(async {
        let asked = tokio::time::timeout(DEADLINE, ask(&url, tls, arguments.role.as_deref()));
        let answer = asked.await.map_err(|_| failed("no answer in time".into()))??;
        let mut out = std::io::stdout().lock();
        let written = out.write_all(&answer).and_then(|()| out.write_all(b"\n"));
        written.map_err(|error| failed(error.to_string()))
    })
}

fn failed(what: String) -> StartError {
    StartError::Other(what)
}

fn tls(arguments: &CredentialsArguments) -> Result<ClientConfig, StartError> {
    let roots =
        trusted_roots(arguments.ca.as_deref()).map_err(|error| failed(error.to_string()))?;
    let bad = |path: &Path| {
        let path = path.to_owned();
        move |error| failed(format!("{}: {error}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(&arguments.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(bad(&arguments.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&arguments.key).map_err(bad(&arguments.key))?;
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map(|config| config.with_root_certificates(roots))
        .and_then(|config| config.with_client_auth_cert(chain, key))
        .map_err(|error| failed(format!("the certificate and its key cannot be used: {error}")))
}

async fn ask(
    url: &Uri,
    tls: Arc<ClientConfig>,
    role: Option<&str>,
) -> Result<Zeroizing<Vec<u8>>, StartError> {
    let cannot = |error: &dyn std::fmt::Display| failed(format!("cannot ask {url}: {error}"));
    let host = url.host().ok_or_else(|| cannot(&"no host"))?;
    // An IPv6 address has brackets in a URL, and none elsewhere.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let server = ServerName::try_from(name.to_owned()).map_err(|error| cannot(&error))?;
    let port = url.port_u16().unwrap_or(443);
    let tcp = TcpStream::connect((name, port)).await.map_err(|error| cannot(&error))?;
    let stream = TlsConnector::from(tls).connect(server, tcp).await.map_err(|e| cannot(&e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| cannot(&error))?;
    let connection = tokio::spawn(connection);
    let body = role.map(|role| serde_json::json!({"role": role}).to_string()).unwrap_or_default();
    let authority = url.authority().map_or(host, |authority| authority.as_str());
    let request = Request::post(PATH)
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("claviger-credentials/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| cannot(&error))?;
    let answer = match sender.send_request(request).await {
        Ok(answer) => answer,
        Err(error) => {
            // A server refuses a certificate when the client's side of the handshake is done already:
            // then the connection knows why it broke off.
            drop(sender);
            let why = connection.await.ok().and_then(Result::err);
            return Err(cannot(&cause(why.as_ref().unwrap_or(&error))));
        }
    };
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
    connection.abort();
    let body = body.map_err(|_| cannot(&"the answer broke off or is too long"))?;
    let body = Zeroizing::new(body.to_bytes().to_vec());
    if status != StatusCode::OK {
        let refusal = serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.message);
        return Err(failed(refusal.unwrap_or_else(|_| format!("the answer was {status}"))));
    }
    match serde_json::from_slice::<Credentials>(&body) {
        Ok(Credentials { version: 1 }) => Ok(body),
        _ => Err(cannot(&"the answer is no credentials")),
    }
}

/// What is at the bottom of an error: TLS's own complaint, not that hyper met one.
fn cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
