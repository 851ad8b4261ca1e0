//! Registered services that act for their users: a request that AWS's signer signed for the service
//! is handed over, and what the service may then do is seen.
mod acting;
mod ends;
mod handing_over;
mod http;

use super::Temporary;
use crate::front::Request;
use crate::world::{Failed, REGION, Someone, World, allow};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use claviger::services::{Services, Settings};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// The services of every world.
const REGISTERED: &str = r#"
[[service]]
name = "payroll.example"
signing_name = "payroll"
principal = "arn:aws:iam::111122223333:user/payroll"
actions = ["kms:Decrypt", "kms:GenerateDataKey*", "kms:CreateGrant", "secretsmanager:GetSecretValue"]

[[service]]
name = "reader.example"
signing_name = "reader"
principal = "arn:aws:iam::111122223333:user/payroll"
actions = ["secretsmanager:GetSecretValue"]

[[service]]
name = "everything.example"
signing_name = "everything"
principal = "arn:aws:iam::111122223333:user/payroll"
actions = ["*"]

[[service]]
name = "idle.example"
signing_name = "idle"
principal = "arn:aws:iam::111122223333:user/payroll"
actions = ["s3:GetObject"]

[[service]]
name = "other.example"
signing_name = "other"
principal = "arn:aws:iam::111122223333:role/other"
accounts = ["111122223333", "444455556666"]
actions = ["kms:*"]
"#;

pub fn registered() -> Services {
    services(REGISTERED)
}

/// Those of a configuration.
fn services(text: &str) -> Services {
    let mut table: toml::Table = text.parse().unwrap();
    let settings = table.remove("service").map(toml::Value::try_into::<Vec<Settings>>);
    Services::new(&settings.transpose().unwrap().unwrap_or_default()).unwrap()
}

/// A request to a service, unsigned.
fn request(path: &str) -> Request {
    Request {
        method: "POST",
        uri: path.to_owned(),
        headers: vec![
            ("host".into(), "payroll.example".into()),
            ("content-type".into(), "application/json".into()),
            ("x-amz-target".into(), "Payroll.Run".into()),
        ],
        body: br#"{"month":5}"#.to_vec(),
    }
}

/// As AWS's signer signs it.
fn signed(
    mut request: Request,
    who: &Someone,
    session_token: Option<&str>,
    (region, service): (&str, &str),
    at: i64,
) -> Request {
    let uri = format!("https://payroll.example{}", request.uri);
    let (id, secret) = (&who.access_key_id, &who.secret);
    let session_token = session_token.map(str::to_owned);
    let credentials =
        aws_credential_types::Credentials::new(id, secret, session_token, None, "test");
    let identity = credentials.into();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap());
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::Bytes(&request.body);
    let signable = SignableRequest::new(request.method, &uri, headers, body).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let mut carrier = ::http::Request::builder().uri(&uri).body(()).unwrap();
    instructions.apply_to_request_http1x(&mut carrier);
    for (name, value) in carrier.headers() {
        request.set(name.as_str(), value.to_str().unwrap());
    }
    request
}

/// What the service makes of it, before it is encoded.
fn described(request: &Request) -> Value {
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| json!([name, value])).collect();
    json!({"method": request.method, "uri": request.uri, "headers": headers,
        "body": STANDARD.encode(&request.body)})
}

fn encoded(described: &Value) -> String {
    URL_SAFE_NO_PAD.encode(described.to_string())
}

impl World {
    fn wall(&self) -> i64 {
        self.server.clock.wall().secs()
    }

    /// The user that hands over for most of the services.
    pub async fn payroll(&self) -> Someone {
        self.user("payroll", allow(&["sts:GetDelegatedAccessToken"])).await
    }

    /// A request like no other that `who` sent to the service now.
    fn sent(&self, who: &Someone, session_token: Option<&str>, service: &str) -> Request {
        let path = format!("/run?id={}", self.server.random.uuid());
        signed(request(&path), who, session_token, (REGION, service), self.wall())
    }

    async fn hand_over(&self, by: &Someone, request: &Request) -> Result<Value, Failed> {
        self.trade_in(by, &encoded(&described(request))).await
    }

    async fn trade_in(&self, by: &Someone, token: &str) -> Result<Value, Failed> {
        let body = json!({"TradeInToken": token});
        self.call_as(by, "sts", "GetDelegatedAccessToken", body).await
    }

    /// What a service gets for a request of `who`.
    pub async fn through(&self, by: &Someone, who: &Someone, service: &str) -> Temporary {
        let answer = self.hand_over(by, &self.sent(who, None, service)).await;
        Temporary::of(&answer.unwrap())
    }
}
