//! What the cases ask: a user with a policy such as an application has, keys whose policy leaves
//! permissions to the account, secrets; and a pool of distinct requests for each case.
use crate::Outcome;
use crate::wire::{Ask, Connection, Signer, Target};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::sync::Arc;

/// The operations measured, in the order of the table.
pub const CASES: [&str; 4] = ["Encrypt", "GenerateDataKey", "Decrypt", "GetSecretValue"];
const KEYS: usize = 4;
const SECRETS: usize = 64;
/// Distinct requests of a case.
const POOL: usize = 256;
const PLAINTEXT_BYTES: usize = 100;

/// The bodies of every case's requests; they are signed when their case begins.
#[derive(Debug)]
pub struct Workload {
    user: Signer,
    target_host: std::net::SocketAddr,
    bodies: [Vec<Vec<u8>>; 4],
}

impl Workload {
    /// Makes the user, its keys and its secrets, and the ciphertexts to be decrypted.
    pub async fn prepare(target: &Target, administrator: &Signer) -> Outcome<Self> {
        let mut admin = Client::open(target, administrator.clone()).await?;
        let user = admin.user("billing", &user_policy()).await?;
        let mut keys = Vec::new();
        for _ in 0..KEYS {
            let made = admin.json("kms", "CreateKey", &json!({"Policy": key_policy()})).await?;
            let arn = made.pointer("/KeyMetadata/Arn").and_then(Value::as_str);
            keys.push(arn.ok_or("no ARN")?.to_owned());
        }
        for n in 0..SECRETS {
            let value = json!({"username": "billing", "password": format!("{n:032x}"),
                "host": "db.prod.example.com", "port": 5432});
            let body = json!({"Name": secret_name(n), "SecretString": value.to_string(),
                "ClientRequestToken": format!("{n:032}")});
            admin.json("secretsmanager", "CreateSecret", &body).await?;
        }
        let mut client = Client::open(target, user.clone()).await?;
        let [mut encrypt, mut generate, mut decrypt, mut read] = <[Vec<Vec<u8>>; 4]>::default();
        for (n, key) in (0..POOL).zip(keys.iter().cycle()) {
            let context = context(n);
            let body = encryption(n, key)?;
            let made = client.json("kms", "Encrypt", &body).await?;
            encrypt.push(serde_json::to_vec(&body)?);
            let body = json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context});
            generate.push(serde_json::to_vec(&body)?);
            let blob = made.get("CiphertextBlob").ok_or("no ciphertext")?;
            let body = json!({"CiphertextBlob": blob, "EncryptionContext": context});
            decrypt.push(serde_json::to_vec(&body)?);
            read.push(serde_json::to_vec(&json!({"SecretId": secret_name(n % SECRETS)}))?);
        }
        let bodies = [encrypt, generate, decrypt, read];
        Ok(Self { user, target_host: target.address, bodies })
    }

    /// Who asks.
    pub fn user(&self) -> &Signer {
        &self.user
    }

    /// The requests of a case, signed now.
    pub fn requests(&self, case: &str) -> Outcome<Arc<[Bytes]>> {
        self.requests_of(&self.user, case)
    }

    /// The same from somebody else.
    pub fn requests_of(&self, user: &Signer, case: &str) -> Outcome<Arc<[Bytes]>> {
        let found = CASES.iter().zip(&self.bodies).find(|(name, _)| **name == case);
        let (_, bodies) = found.ok_or("no such case")?;
        let service = if case == "GetSecretValue" { "secretsmanager" } else { "kms" };
        let target = target_of(service, case);
        let ask = Ask::Json { service, target: &target };
        bodies.iter().map(|body| user.request(self.target_host, &ask, body)).collect()
    }
}

fn context(n: usize) -> Value {
    json!({"service": "billing", "tenant": format!("tenant-{n:04}")})
}

/// The nth Encrypt with a key.
pub fn encryption(n: usize, key: &str) -> Outcome<Value> {
    let plaintext = BASE64.encode(vec![u8::try_from(n % 256)?; PLAINTEXT_BYTES]);
    Ok(json!({"KeyId": key, "Plaintext": plaintext, "EncryptionContext": context(n)}))
}

pub fn target_of(service: &str, operation: &str) -> String {
    format!("{}.{operation}", if service == "kms" { "TrentService" } else { "secretsmanager" })
}

fn secret_name(n: usize) -> String {
    format!("prod/billing/database-{n:02}")
}

/// KMS's default: the account's own policies decide.
fn key_policy() -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "kms:*",
            "Resource": "*"
        }]
    })
    .to_string()
}

fn user_policy() -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "UseKeysForBilling",
                "Effect": "Allow",
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"],
                "Resource": "arn:aws:kms:us-east-1:123456789012:key/*",
                "Condition": {"StringEquals": {"kms:EncryptionContext:service": "billing"}}
            },
            {
                "Sid": "ReadSecretsOfBilling",
                "Effect": "Allow",
                "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
                "Resource": "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/billing/*"
            },
            {
                "Sid": "NothingIsDeleted",
                "Effect": "Deny",
                "Action": ["kms:ScheduleKeyDeletion", "secretsmanager:DeleteSecret"],
                "Resource": "*"
            },
            {
                "Sid": "OnlyFromHere",
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                // What Secrets Manager asks of KMS for the user comes from nowhere.
                "Condition": {
                    "NotIpAddress": {"aws:SourceIp": ["127.0.0.0/8", "10.0.0.0/8"]},
                    "Bool": {"aws:ViaAWSService": "false"}
                }
            }
        ]
    })
    .to_string()
}

/// A connection and who speaks on it, for what is done before the run.
pub struct Client {
    connection: Connection,
    signer: Signer,
    host: std::net::SocketAddr,
}

impl Client {
    pub async fn open(target: &Target, signer: Signer) -> Outcome<Self> {
        let connection = Connection::open(target).await?;
        Ok(Self { connection, signer, host: target.address })
    }

    async fn send(&mut self, ask: Ask<'_>, body: &[u8]) -> Outcome<&[u8]> {
        let request = self.signer.request(self.host, &ask, body)?;
        let answer = self.connection.exchange(&request).await?;
        if answer.status != 200 {
            let text = String::from_utf8_lossy(answer.body);
            return Err(format!("{ask:?}: {} {text}", answer.status).into());
        }
        Ok(answer.body)
    }

    pub async fn json(&mut self, service: &str, operation: &str, body: &Value) -> Outcome<Value> {
        let target = target_of(service, operation);
        let ask = Ask::Json { service, target: &target };
        // Some operations answer nothing.
        match self.send(ask, &serde_json::to_vec(body)?).await? {
            [] => Ok(Value::Null),
            answer => Ok(serde_json::from_slice(answer)?),
        }
    }

    async fn iam(&mut self, action: &str, parameters: &[(&str, &str)]) -> Outcome<String> {
        let mut body = format!("Action={action}&Version=2010-05-08");
        for (name, value) in parameters {
            body.push_str(&format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
        let answer = self.send(Ask::Form { service: "iam" }, body.as_bytes()).await?;
        Ok(String::from_utf8(answer.to_vec())?)
    }

    /// A user of IAM with one inline policy and an access key.
    pub async fn user(&mut self, name: &str, policy: &str) -> Outcome<Signer> {
        let name = ("UserName", name);
        self.iam("CreateUser", &[name]).await?;
        let policy = [name, ("PolicyName", "use"), ("PolicyDocument", policy)];
        self.iam("PutUserPolicy", &policy).await?;
        let made = self.iam("CreateAccessKey", &[name]).await?;
        let access_key_id = element(&made, "AccessKeyId")?;
        Ok(Signer { access_key_id, secret: element(&made, "SecretAccessKey")? })
    }

    /// A managed policy; answers its ARN.
    pub async fn policy(&mut self, name: &str, document: &str) -> Outcome<String> {
        let made = [("PolicyName", name), ("PolicyDocument", document)];
        element(&self.iam("CreatePolicy", &made).await?, "Arn")
    }

    /// A group with this user in it.
    pub async fn group(&mut self, name: &str, user: &str) -> Outcome<()> {
        self.iam("CreateGroup", &[("GroupName", name)]).await?;
        self.iam("AddUserToGroup", &[("GroupName", name), ("UserName", user)]).await.map(drop)
    }

    /// A managed policy for a group.
    pub async fn attach(&mut self, group: &str, policy: &str) -> Outcome<()> {
        let asked = [("GroupName", group), ("PolicyArn", policy)];
        self.iam("AttachGroupPolicy", &asked).await.map(drop)
    }
}

/// What an answer of IAM has in an element.
fn element(answer: &str, name: &str) -> Outcome<String> {
    let missing = || format!("no {name} in an answer of IAM");
    let (_, rest) = answer.split_once(&format!("<{name}>")).ok_or_else(missing)?;
    let (value, _) = rest.split_once('<').ok_or_else(missing)?;
    Ok(value.to_owned())
}
