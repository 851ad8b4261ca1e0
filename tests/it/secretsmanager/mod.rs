//! Secrets Manager operations.
mod batch;
mod caches;
mod concurrency;
mod conditions;
mod create;
mod cross_account;
mod deletion;
mod described;
mod drain;
mod drained_rotation;
mod events;
mod external;
mod get_value;
mod keys;
mod labels;
mod list_secrets;
mod list_versions;
mod model;
mod modelled_errors;
mod permissions;
mod policies;
mod pruning;
mod put_value;
mod random_password;
mod replication;
mod rotate;
mod rotate_built_in;
mod schedules;
mod sdk;
mod tags;
mod update;
mod version_stage;

use crate::support::failed;
use crate::world::{Failed, NOW_SECS, Someone, World};
use serde_json::{Value, json};

const DAY: i64 = 86_400;
const ALIAS: &str = "alias/aws/secretsmanager";

/// A `ClientRequestToken`: the id of the version that it makes.
fn token(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

fn not_found() -> Failed {
    failed("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

fn no_version(what: &str) -> Failed {
    let text = format!("Secrets Manager can't find the specified secret value for {what}");
    failed("ResourceNotFoundException", text)
}

fn scheduled() -> Failed {
    failed(
        "InvalidRequestException",
        "You can't perform this operation on the secret because it was marked for deletion.",
    )
}

/// The caller may use the secret but not the key behind it.
fn kms_denied() -> Failed {
    failed("AccessDeniedException", "Access to KMS is not allowed")
}

fn token_in_use(token: &str, arn: &str) -> Failed {
    let text = format!(
        "You can't use ClientRequestToken {token} because that value is already in use for a \
         version of secret {arn}."
    );
    failed("ResourceExistsException", text)
}

/// An ARN without the six random characters at its end.
fn partial(arn: &str) -> &str {
    &arn[..arn.len() - 7]
}

impl World {
    /// A Secrets Manager call of root that must succeed.
    async fn sm(&self, name: &str, body: Value) -> Value {
        self.sm_as(&self.root, name, body).await
    }

    async fn sm_as(&self, who: &Someone, name: &str, body: Value) -> Value {
        let outcome = self.call_as(who, "secretsmanager", name, body.clone()).await;
        outcome.unwrap_or_else(|error| panic!("{name} {body}: {error:?}"))
    }

    /// A Secrets Manager call of root that must fail.
    async fn sm_fails(&self, name: &str, body: Value) -> Failed {
        self.sm_fails_as(&self.root, name, body).await
    }

    async fn sm_fails_as(&self, who: &Someone, name: &str, body: Value) -> Failed {
        self.fails(who, "secretsmanager", name, body).await
    }

    /// A new secret whose first version is `token(1)`; answers its ARN.
    async fn secret(&self, name: &str, value: &str) -> String {
        let made = self.sm("CreateSecret", creation(name, value)).await;
        made["ARN"].as_str().unwrap().to_owned()
    }

    /// The same under a customer key.
    async fn secret_under(&self, name: &str, value: &str, key: &str) -> String {
        let mut body = creation(name, value);
        body["KmsKeyId"] = json!(key);
        self.sm("CreateSecret", body).await["ARN"].as_str().unwrap().to_owned()
    }

    /// Adds version `token(n)`.
    async fn put(&self, id: &str, n: usize, value: &str) -> Value {
        self.sm("PutSecretValue", version(id, n, value)).await
    }

    /// The current value.
    async fn value(&self, id: &str) -> Value {
        self.sm("GetSecretValue", json!({"SecretId": id})).await["SecretString"].clone()
    }

    async fn value_at(&self, id: &str, n: usize) -> Value {
        let body = json!({"SecretId": id, "VersionId": token(n)});
        self.sm("GetSecretValue", body).await["SecretString"].clone()
    }

    async fn describe(&self, id: &str) -> Value {
        self.sm("DescribeSecret", json!({"SecretId": id})).await
    }

    /// Every version with its labels and its key, deprecated ones too.
    async fn versions(&self, id: &str) -> Vec<Value> {
        let mut body = json!({"SecretId": id, "IncludeDeprecated": true});
        let mut versions = Vec::new();
        loop {
            let page = self.sm("ListSecretVersionIds", body.clone()).await;
            versions.extend(page["Versions"].as_array().unwrap().iter().cloned());
            body["NextToken"] = page["NextToken"].clone();
            if body["NextToken"].is_null() {
                return versions;
            }
        }
    }

    /// `1:AWSPREVIOUS 2:AWSCURRENT,blue 3:`, versions by the numbers of their tokens.
    async fn labels(&self, id: &str) -> String {
        let shown = |version: &Value| {
            let id = version["VersionId"].as_str().unwrap();
            let number = id[24..].trim_start_matches('0').to_owned();
            let stages = version["VersionStages"].as_array().cloned().unwrap_or_default();
            let stages: Vec<&str> = stages.iter().map(|stage| stage.as_str().unwrap()).collect();
            format!("{number}:{}", stages.join(","))
        };
        self.versions(id).await.iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    /// The names of the events since there were `from`.
    fn event_names(&self, from: usize) -> Vec<String> {
        self.events()[from..].iter().map(|event| event.event_name.to_string()).collect()
    }
}

fn creation(name: &str, value: &str) -> Value {
    json!({"Name": name, "ClientRequestToken": token(1), "SecretString": value})
}

fn version(id: &str, n: usize, value: &str) -> Value {
    json!({"SecretId": id, "ClientRequestToken": token(n), "SecretString": value})
}
