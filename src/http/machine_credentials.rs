//! `POST /machine-credentials`: credentials of a role for the certificate that the client showed in
//! the handshake. Nothing that the request itself says makes it somebody.
use super::Incoming;
use super::entrance::Malformed;
use crate::api::rolesanywhere;
use crate::audit::UserIdentity;
use crate::call::{self, Arrival, Server};
use crate::identity::Issued;
use crate::machines::{Certificate, Machine, NoRole};
use crate::types::SecretText;
use crate::wire::{Fault, Protocol, json};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use smol_str::format_smolstr;

const PATH: &str = "/machine-credentials";
/// For one role's ARN.
const MAX_BODY_BYTES: usize = 4096;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Needed if the certificate has several.
    #[serde(default)]
    role: Option<String>,
}

/// What the AWS SDKs read from a `credential_process`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    version: u32,
    access_key_id: String,
    secret_access_key: SecretText,
    session_token: SecretText,
    expiration: String,
}

impl From<Issued> for Answer {
    fn from(issued: Issued) -> Self {
        Self {
            version: 1,
            access_key_id: issued.access_key_id,
            secret_access_key: issued.secret,
            session_token: issued.token,
            expiration: issued.expires.to_string(),
        }
    }
}

/// Whether the request is for this path, and the server knows any machines.
pub(super) fn is_meant(server: &Server, request: &Incoming) -> bool {
    request.head.uri.path() == PATH && !server.machines.is_empty()
}

/// `source`: whether it is known where the request comes from.
#[expect(clippy::disallowed_methods, reason = "elapsed time for a metric, not a moment")]
pub(super) async fn answer(
    server: &Server,
    arrival: &Arrival,
    request: &Incoming,
    source: Result<(), Malformed>,
) -> Response<Bytes> {
    let began = std::time::Instant::now();
    let outcome = credentials(server, arrival, request, source).await;
    let code = outcome.as_ref().err().map(|fault| fault.code);
    server.metrics.request("rolesanywhere", rolesanywhere::NAME, code, began.elapsed());
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(fault) => {
            let status = StatusCode::from_u16(fault.status);
            let body = json::encode_fault(&fault);
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
        }
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&arrival.request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

async fn credentials(
    server: &Server,
    arrival: &Arrival,
    request: &Incoming,
    source: Result<(), Malformed>,
) -> Result<Vec<u8>, Fault> {
    let source = source.map_err(|error| Fault::validation(Protocol::Json, error.to_string()));
    let certificate = match source.and_then(|()| proved(server, request)) {
        Ok(certificate) => certificate,
        Err(fault) => return Err(refuse(server, arrival, None, fault).await),
    };
    let machine = match asked(request).and_then(|asked| chosen(server, &certificate, &asked)) {
        Ok(machine) => machine,
        Err(fault) => return Err(refuse(server, arrival, Some(&certificate), fault).await),
    };
    let issued = rolesanywhere::create_session(server, arrival, &certificate, machine).await?;
    json::encode(&Answer::from(issued)).map_err(|error| {
        tracing::error!(request = arrival.request_id.as_str(), %error, "an answer cannot be encoded");
        Fault::internal()
    })
}

/// Whose certificate it is, if it is good now: a connection may be older than its revocation.
fn proved(server: &Server, request: &Incoming) -> Result<Certificate, Fault> {
    let none = || denied("The client showed no certificate in the TLS handshake");
    let shown = request.certificate.as_ref().ok_or_else(none)?;
    let der = shown
        .verified(server.clock.wall().secs())
        .map_err(|error| denied(format!("The client's certificate is not good: {error}")))?;
    Certificate::parse(der).map_err(|error| denied(error.to_string()))
}

fn denied(text: impl Into<String>) -> Fault {
    Fault::client("AccessDeniedException", text).with_status(403)
}

fn chosen<'s>(
    server: &'s Server,
    certificate: &Certificate,
    asked: &Asked,
) -> Result<&'s Machine, Fault> {
    let machine = server.machines.choose(certificate, asked.role.as_deref());
    machine.map_err(|why| match why {
        NoRole::Unknown => denied(why.to_string()),
        NoRole::Several(_) => Fault::validation(Protocol::Json, why.to_string()),
    })
}

/// Records a request that gets no role, and answers its fault.
async fn refuse(
    server: &Server,
    arrival: &Arrival,
    certificate: Option<&Certificate>,
    fault: Fault,
) -> Fault {
    let mut identity = UserIdentity::unknown(None);
    let whose =
        |known: &Certificate| format_smolstr!("{}, serial number {}", known.name(), known.serial);
    identity.principal_id = certificate.map(whose).or(identity.principal_id);
    let (source, name) = (rolesanywhere::SOURCE, rolesanywhere::NAME);
    call::refuse(server, arrival, source, name, identity, fault).await
}

fn asked(request: &Incoming) -> Result<Asked, Fault> {
    if request.head.method != Method::POST {
        let text = "Credentials are asked for with POST";
        return Err(Fault::client("MethodNotAllowedException", text).with_status(405));
    }
    if request.body.is_empty() {
        return Ok(Asked::default());
    }
    let malformed = || {
        let text = "The body is empty, or {\"role\": \"the ARN of a role\"}";
        Fault::validation(Protocol::Json, text)
    };
    // serde would take an array for the struct.
    let is_object = request.body.trim_ascii_start().first() == Some(&b'{');
    if !is_object || request.body.len() > MAX_BODY_BYTES {
        return Err(malformed());
    }
    serde_json::from_slice(&request.body).map_err(|_| malformed())
}
