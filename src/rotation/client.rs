//! Secrets Manager as a function inside the server sees it: the same operations, permissions, quotas
//! and events that a function outside has, without the way over the network.
use super::Failure;
use super::credentials::{self, failure, is_throttling};
use crate::api::secretsmanager;
use crate::authorize::Caller;
use crate::call::{Arrival, Entry, Server};
use crate::functions::Function;
use crate::secrets::{CURRENT, PENDING};
use crate::types::{Arn, Region, SecretText};
use crate::wire::Fault;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// As the AWS SDKs: what was refused as too fast is tried again, each time after twice as long.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Secrets Manager in one region, in the name of a function's role.
#[derive(Debug)]
pub struct SecretsClient {
    server: Arc<Server>,
    caller: Caller,
    region: Region,
    user_agent: String,
}

/// A version's value. A rotation function has no use for one that is not text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Value {
    pub version_id: String,
    #[serde(rename = "SecretString")]
    pub text: SecretText,
}

/// What a function asks DescribeSecret for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Described {
    #[serde(rename = "ARN")]
    pub arn: Arn,
    #[serde(default)]
    pub rotation_enabled: bool,
    /// The labels of every version that has any.
    #[serde(default, rename = "VersionIdsToStages")]
    pub stages: BTreeMap<String, Vec<String>>,
}

impl Described {
    /// The version that has this label.
    pub fn version(&self, stage: &str) -> Option<&str> {
        let has = |labels: &Vec<String>| labels.iter().any(|label| label == stage);
        self.stages.iter().find(|(_, labels)| has(labels)).map(|(id, _)| id.as_str())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue<'a> {
    secret_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_stage: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutSecretValue<'a> {
    secret_id: &'a str,
    client_request_token: &'a str,
    secret_string: &'a SecretText,
    version_stages: [&'a str; 1],
    rotation_token: &'a SecretText,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeSecret<'a> {
    secret_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateSecretVersionStage<'a> {
    secret_id: &'a str,
    version_stage: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    move_to_version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove_from_version_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetRandomPassword<'a> {
    password_length: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    exclude_characters: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RandomPassword {
    random_password: SecretText,
}

/// An answer of which nothing is wanted.
#[derive(Deserialize)]
struct Ignored {}

impl SecretsClient {
    /// Assumes the function's role. `region` is the secret's.
    pub async fn of(
        server: &Arc<Server>,
        function: &Function,
        region: &Region,
    ) -> Result<Self, Failure> {
        let caller = credentials::assume(server, function).await?.caller;
        Ok(Self {
            server: server.clone(),
            caller,
            region: region.clone(),
            user_agent: format!("function/{}", function.name),
        })
    }

    /// Calls an operation. A refusal is a failure of the step.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        operation: &str,
        request: &impl Serialize,
    ) -> Result<T, Failure> {
        let answer = self.call(operation, request).await?;
        read(operation, &answer.map_err(|fault| failure(operation, &fault))?)
    }

    /// A version's text; none if there is no such version, or none with a value yet. Without an id and
    /// a label: the current one.
    pub async fn value(
        &self,
        secret: &str,
        version_id: Option<&str>,
        version_stage: Option<&str>,
    ) -> Result<Option<Value>, Failure> {
        let operation = "GetSecretValue";
        let request = GetSecretValue { secret_id: secret, version_id, version_stage };
        let answer = match self.call(operation, &request).await? {
            Ok(answer) => answer,
            Err(fault) if fault.code == "ResourceNotFoundException" => return Ok(None),
            Err(fault) => return Err(failure(operation, &fault)),
        };
        let value = serde_json::from_slice(&answer);
        value.map(Some).map_err(|_| Failure::lasting(format!("{secret}: its value is not text")))
    }

    /// Gives the version of this rotation its value. The same value once more is no change.
    pub async fn put_pending(
        &self,
        secret: &str,
        token: &str,
        rotation_token: &SecretText,
        text: &SecretText,
    ) -> Result<(), Failure> {
        let request = PutSecretValue {
            secret_id: secret,
            client_request_token: token,
            secret_string: text,
            version_stages: [PENDING],
            rotation_token,
        };
        self.ask("PutSecretValue", &request).await.map(|Ignored {}| ())
    }

    pub async fn describe(&self, secret: &str) -> Result<Described, Failure> {
        self.ask("DescribeSecret", &DescribeSecret { secret_id: secret }).await
    }

    /// Makes a version the current one, if it is not, and takes AWSPENDING off it.
    pub async fn finish(&self, secret: &str, token: &str) -> Result<(), Failure> {
        let described = self.describe(secret).await?;
        let current = described.version(CURRENT);
        if current != Some(token) {
            self.move_stage(secret, CURRENT, Some(token), current).await?;
        }
        if described.version(PENDING) == Some(token) {
            self.move_stage(secret, PENDING, None, Some(token)).await?;
        }
        Ok(())
    }

    /// UpdateSecretVersionStage.
    pub async fn move_stage(
        &self,
        secret: &str,
        stage: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), Failure> {
        let request = UpdateSecretVersionStage {
            secret_id: secret,
            version_stage: stage,
            move_to_version_id: to,
            remove_from_version_id: from,
        };
        self.ask("UpdateSecretVersionStage", &request).await.map(|Ignored {}| ())
    }

    pub async fn random_password(&self, length: u32, exclude: &str) -> Result<SecretText, Failure> {
        let request = GetRandomPassword { password_length: length, exclude_characters: exclude };
        let answer: RandomPassword = self.ask("GetRandomPassword", &request).await?;
        Ok(answer.random_password)
    }

    async fn call(
        &self,
        operation: &str,
        request: &impl Serialize,
    ) -> Result<Result<Zeroizing<Vec<u8>>, Fault>, Failure> {
        let broken = || Failure::lasting(format!("{operation}: no such request"));
        let entry = secretsmanager::TABLE.find(operation).ok_or_else(broken)?;
        let body = Zeroizing::new(serde_json::to_vec(request).map_err(|_| broken())?);
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.run(entry, &body).await {
                Err(fault) if is_throttling(&fault) => tokio::time::sleep(pause).await,
                outcome => return Ok(outcome),
            }
            pause = pause.saturating_mul(2);
        }
        Ok(self.run(entry, &body).await)
    }

    async fn run(&self, entry: &Entry, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let server = &self.server;
        server.note_access(&self.caller, secretsmanager::TABLE.signing_name, &self.region);
        let arrival = Arrival::within(&*server.random, &self.region, &self.user_agent);
        entry.run(server, &self.caller, &arrival, body).await.map(Zeroizing::new)
    }
}

fn read<T: DeserializeOwned>(operation: &str, answer: &[u8]) -> Result<T, Failure> {
    // Operations that say nothing answer nothing.
    let answer = if answer.is_empty() { b"{}" } else { answer };
    serde_json::from_slice(answer)
        .map_err(|_| Failure::lasting(format!("{operation}: an answer of another shape")))
}
