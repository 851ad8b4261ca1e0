//! What a worker is told: one line of JSON for one invocation.
use super::worker::Worker;
use super::{Event, Failure};
use crate::functions::{Function, Python};
use crate::rotation::payload::Payload;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use tokio::time::Instant;
use zeroize::Zeroizing;

#[derive(Serialize)]
pub(super) struct Request<'a> {
    id: &'a str,
    name: &'a str,
    arn: &'a str,
    file: &'a Path,
    handler: &'a str,
    memory_mib: u64,
    log_stream: &'a str,
    remaining_ms: u64,
    environment: BTreeMap<&'a str, String>,
    event: Payload<'a>,
}

impl<'a> Request<'a> {
    pub(super) fn new(
        id: &'a str,
        function: &'a Function,
        python: &'a Python,
        endpoint: &'a str,
        worker: &'a Worker,
        event: &'a Event,
    ) -> Self {
        Self {
            id,
            name: &function.name,
            arn: function.arn.as_str(),
            file: &worker.made.python.file,
            handler: &python.handler,
            memory_mib: python.memory_mib,
            log_stream: &worker.marker,
            remaining_ms: 0,
            environment: environment(function, python, endpoint, worker),
            event: Payload::of(event),
        }
    }

    /// The line, with the time that is left.
    pub(super) fn line(mut self, deadline: Instant) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.remaining_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let line = serde_json::to_vec(&self);
        let mut line =
            Zeroizing::new(line.map_err(|_| Failure::lasting("python: its path is not Unicode"))?);
        line.push(b'\n');
        Ok(line)
    }
}

/// What Lambda has in it (Lambda developer guide, "Defined runtime environment variables"), and where
/// the server is. The operator's own variables stand behind these.
fn environment<'a>(
    function: &'a Function,
    python: &'a Python,
    endpoint: &str,
    worker: &Worker,
) -> BTreeMap<&'a str, String> {
    let mut all: BTreeMap<&str, String> =
        python.environment.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let region = function.region.as_str();
    let credentials = &worker.credentials;
    all.extend([
        ("AWS_REGION", region.to_owned()),
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret.expose().to_owned()),
        ("AWS_SESSION_TOKEN", credentials.token.expose().to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", python.memory_mib.to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", worker.marker.clone()),
        ("_HANDLER", python.handler.clone()),
        ("SECRETS_MANAGER_ENDPOINT", endpoint.to_owned()),
        // What AWS's SDKs look at by themselves, for the services that are here.
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint.to_owned()),
        ("AWS_ENDPOINT_URL_KMS", endpoint.to_owned()),
        ("AWS_ENDPOINT_URL_STS", endpoint.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]);
    if let Some(folder) = worker.made.python.file.parent() {
        all.insert("LAMBDA_TASK_ROOT", folder.display().to_string());
    }
    if let Some(path) = &python.ca_file {
        let path = path.display().to_string();
        all.extend([("AWS_CA_BUNDLE", path.clone()), ("SSL_CERT_FILE", path)]);
    }
    all
}
