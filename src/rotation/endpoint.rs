//! Functions behind HTTP: an endpoint with Lambda's Invoke API, or any other that takes the same event.
//! What is wrong with a step the endpoint says as Lambda does (Lambda API reference, "Invoke").
use super::payload::{FunctionError, Payload, line, log_tail};
use super::{Event, Failure, Invoke};
use crate::functions::{Code, Function};
use crate::outgoing::{Answer, Outgoing, OutgoingError};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

/// A function has nothing to answer; Lambda itself takes six megabytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
const MAX_TOKEN_BYTES: u64 = 16 * 1024;

/// Invokes functions over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint;

#[async_trait::async_trait]
impl Invoke for Endpoint {
    async fn invoke(&self, function: &Function, event: &Event) -> Result<Option<String>, Failure> {
        let Code::Endpoint { url, ca_file, token_file } = &function.code else {
            return Err(Failure::lasting("the function is no endpoint"));
        };
        let body = serde_json::to_vec(&Payload::of(event))
            .map_err(|_| Failure::lasting("the event cannot be written"))?;
        let mut request = Request::post(invocation(url, function)?)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("claviger/", env!("CARGO_PKG_VERSION")))
            .header("x-amz-invocation-type", "RequestResponse")
            .header("x-amz-log-type", "Tail")
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Failure::lasting("url: cannot be asked"))?;
        if let Some(path) = token_file {
            request.headers_mut().insert(header::AUTHORIZATION, token(path).await?);
        }
        let (to, ca_file) = (request.uri(), ca_file.as_deref());
        let outgoing = Outgoing::new(to, ca_file, function.timeout, MAX_ANSWER_BYTES);
        let outgoing = outgoing.map_err(|error| Failure::lasting(error.to_string()))?;
        match outgoing.send(request).await {
            Ok(answer) => understood(&answer),
            Err(OutgoingError::TooLate) => Err(Failure::timed_out(function.timeout)),
            Err(error @ OutgoingError::Refused(_)) => Err(Failure::lasting(error.to_string())),
            Err(error) => Err(Failure::passing(format!("the endpoint cannot be asked: {error}"))),
        }
    }
}

/// Where to ask. A URL without a path is one of a Lambda.
fn invocation(url: &str, function: &Function) -> Result<Uri, Failure> {
    let bad = || Failure::lasting("url: not a URL");
    let whole: Uri = url.parse().map_err(|_| bad())?;
    if whole.path() != "/" || whole.query().is_some() {
        return Ok(whole);
    }
    let name = utf8_percent_encode(function.arn.as_str(), NON_ALPHANUMERIC);
    let path = format!("/2015-03-31/functions/{name}/invocations");
    let mut parts = whole.into_parts();
    parts.path_and_query = Some(path.parse().map_err(|_| bad())?);
    Uri::from_parts(parts).map_err(|_| bad())
}

/// The bearer token, read anew for each request so that it can be changed.
async fn token(path: &Path) -> Result<HeaderValue, Failure> {
    let bad = |what: &str| Failure::lasting(format!("token_file: {what}"));
    let file = tokio::fs::File::open(path).await.map_err(|error| bad(&error.to_string()))?;
    let metadata = file.metadata().await.map_err(|error| bad(&error.to_string()))?;
    let own = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
    if !metadata.is_file() || !own || metadata.permissions().mode() & 0o077 != 0 {
        return Err(bad("is not a file that only its owner, the server's user, can read"));
    }
    let mut text = Zeroizing::new(String::from("Bearer "));
    let mut limited = file.take(MAX_TOKEN_BYTES);
    limited.read_to_string(&mut text).await.map_err(|error| bad(&error.to_string()))?;
    let mut value = HeaderValue::from_str(text.trim_end())
        .map_err(|_| bad("holds something else than one line of a token"))?;
    if value == "Bearer" {
        return Err(bad("is empty"));
    }
    value.set_sensitive(true);
    Ok(value)
}

/// What an answer means for the step.
fn understood(answer: &Answer) -> Result<Option<String>, Failure> {
    let log =
        answer.headers.get("x-amz-log-result").and_then(|log| B64.decode(log.as_bytes()).ok());
    let log = log.as_deref().and_then(log_tail);
    let failed = |failure: Failure| Err(Failure { log: log.clone(), ..failure });
    let status = answer.status;
    if !status.is_success() {
        let text = format!("the endpoint answered {status}{}", reason(&answer.body));
        return match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                failed(Failure::passing(text))
            }
            _ if status.is_server_error() => failed(Failure::passing(text)),
            // Redirects too: who names another place is to be registered there.
            _ => failed(Failure::lasting(text)),
        };
    }
    let empty = answer.body.iter().all(u8::is_ascii_whitespace);
    let said: Option<serde_json::Value> = match empty {
        true => Some(serde_json::Value::Null),
        false => serde_json::from_slice(&answer.body).ok(),
    };
    // A function returns something in JSON. A page in HTML is of somebody who is no function.
    let Some(said) = said else {
        return failed(Failure::passing("the endpoint's answer is not JSON"));
    };
    let marked = answer.headers.contains_key("x-amz-function-error");
    // Lambda's runtime interface emulator leaves the header out.
    if marked || said.get("errorMessage").is_some_and(serde_json::Value::is_string) {
        let silent = FunctionError { error_type: String::new(), error_message: String::new() };
        let error: FunctionError = serde_json::from_value(said).unwrap_or(silent);
        return failed(Failure::passing(error.text()));
    }
    Ok(log)
}

/// What an endpoint says of its refusal, as AWS's services do.
fn reason(body: &[u8]) -> String {
    let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let text = |name| said.as_ref()?.get(name)?.as_str();
    match text("message").or_else(|| text("Message")) {
        Some(text) => format!(": {}", line(text)),
        None => String::new(),
    }
}
