//! Short ways to say what most tests say: this call succeeds, that one fails with this code and
//! text.
use crate::world::{ACCOUNT, Failed, REGION, Someone, World, allow, table};
use claviger::call::Reply;
use serde_json::{Value, json};

/// A failure, for comparing.
pub fn failed(code: &str, message: impl Into<String>) -> Failed {
    Failed { code: code.into(), message: message.into() }
}

/// An idempotency token, as the SDKs fill it in: another one for each `n`.
pub fn token(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// The id at the end of a key's ARN.
pub fn id_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap()
}

pub fn user_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

/// `User: … is not authorized to perform: … on …`
pub fn denied(who: &str, action: &str, rest: &str) -> Failed {
    let text = format!("User: {who} is not authorized to perform: {action} on {rest}");
    failed("AccessDeniedException", text)
}

/// What a stranger reads of a key, whether it exists or not.
pub fn unknown_to(who: &str, action: &str, what: &str) -> Failed {
    let rest = format!(
        "{what} because the resource does not exist in this Region, no resource-based policies \
         allow access, or a resource-based policy explicitly denies access"
    );
    denied(who, action, &rest)
}

/// A policy of these statements.
pub fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A key policy statement: what the default policy says, that the account decides.
pub fn delegate() -> Value {
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"})
}

impl World {
    /// A KMS call of root that must succeed.
    pub async fn kms(&self, name: &str, body: Value) -> Value {
        self.kms_as(&self.root, name, body).await
    }

    pub async fn kms_as(&self, who: &Someone, name: &str, body: Value) -> Value {
        let outcome = self.call_as(who, "kms", name, body.clone()).await;
        outcome.unwrap_or_else(|error| panic!("{name} {body}: {error:?}"))
    }

    /// A KMS call of root that must fail.
    pub async fn kms_fails(&self, name: &str, body: Value) -> Failed {
        self.fails(&self.root, "kms", name, body).await
    }

    pub async fn kms_fails_as(&self, who: &Someone, name: &str, body: Value) -> Failed {
        self.fails(who, "kms", name, body).await
    }

    pub async fn fails(&self, who: &Someone, service: &str, name: &str, body: Value) -> Failed {
        match self.call_as(who, service, name, body.clone()).await {
            Ok(answer) => panic!("{name} {body} succeeded: {answer}"),
            Err(error) => error,
        }
    }

    /// An IAM call of root that must succeed.
    pub async fn iam(&self, name: &str, body: Value) -> Value {
        let outcome = self.call("iam", name, body.clone()).await;
        outcome.unwrap_or_else(|error| panic!("{name} {body}: {error:?}"))
    }

    pub async fn iam_fails(&self, name: &str, body: Value) -> Failed {
        self.fails(&self.root, "iam", name, body).await
    }

    /// Someone who may do nothing here.
    pub async fn nobody(&self) -> Someone {
        self.user("nobody", allow(&["s3:*"])).await
    }

    /// Calls an operation with any bytes as its body; answers what the front would get.
    pub async fn raw(&self, who: &Someone, service: &str, name: &str, body: &[u8]) -> Reply {
        let entry = table(service).find(name).unwrap_or_else(|| panic!("no operation {name}"));
        let arrival = self.arrival(REGION);
        entry.run(&self.server, &self.caller(who).await, &arrival, body).await
    }

    /// The state that DescribeKey shows.
    pub async fn state(&self, key: &str) -> String {
        let metadata = self.kms("DescribeKey", json!({"KeyId": key})).await;
        metadata["KeyMetadata"]["KeyState"].as_str().unwrap().to_owned()
    }

    /// A ciphertext of `hello` under the key, in base64.
    pub async fn hello(&self, key: &str) -> String {
        let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
        self.kms("Encrypt", body).await["CiphertextBlob"].as_str().unwrap().to_owned()
    }
}
