//! The XKS proxy, over HTTP as AWS KMS asks it.
mod authentication;
mod aws_cases;
mod client;
mod curl;
mod documents;
mod events;
mod keys;
mod load;
mod mtls;
mod requests;
mod secondary;
mod slow;

use crate::world::{ACCOUNT, REGION, World};
use bytes::Bytes;
use claviger::devices::{Device, Devices};
use claviger::http::{Limits, Listener, Tls, XksFront};
use claviger::outgoing::{Answer, Outgoing};
use claviger::sigv4::{Credentials, sign};
use claviger::xks::{Proxy, Settings};
use claviger_hsm::{Hsm, SoftwareHsm};
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub const PREFIX: &str = "/example/prefix";
pub const PATH: &str = "/example/prefix/kms/xks/v1";
/// The region of the KMS that asks; not one that this deployment serves.
pub const THEIRS: &str = "us-west-2";
pub const ID: &str = "XKSPROXYACCESSKEYIDA";
pub const SECRET: &str = "Zmlyc3Qgc2VjcmV0IG9mIHRoZSBwcm94eSwgMzIgYnl0ZXM=";
/// The device that some keys live in, to custom key stores.
const CLUSTER: &str = "cluster-2a23b4cdefg";

/// A world with a proxy that listens.
pub struct Place {
    pub world: World,
    pub proxy: Arc<Proxy>,
    pub address: String,
    /// The KMS key behind the external key `kms`, and that behind `device`, which lives in the device.
    pub key: String,
    pub in_device: String,
    pub files: tempfile::TempDir,
}

/// How a place differs from the usual one.
pub struct Plan {
    pub rate: u32,
    pub budget_ms: u64,
    pub device: Arc<dyn Hsm>,
    pub secondary: Value,
}

impl Default for Plan {
    fn default() -> Self {
        // The machine that tests may be slow: no test but those of load is about time.
        Self { rate: 100_000, budget_ms: 10_000, device: device(), secondary: json!({}) }
    }
}

pub fn device() -> Arc<SoftwareHsm> {
    Arc::new(SoftwareHsm::seeded([6; 32]))
}

/// What lets the proxy use a key.
pub fn for_proxies() -> Value {
    json!({
        "Effect": "Allow",
        "Principal": {"Service": "cks.kms.amazonaws.com"},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"],
        "Resource": "*",
    })
}

/// A file with a credential.
pub fn credential(dir: &Path, name: &str, id: &str, secret: &str) -> PathBuf {
    let path = dir.join(name);
    let text = json!({
        "XksProxyAuthenticationCredential": {"AccessKeyId": id, "RawSecretAccessKey": secret}
    });
    std::fs::write(&path, text.to_string()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

impl Place {
    pub async fn new() -> Self {
        Self::with(Plan::default()).await
    }

    pub async fn with(plan: Plan) -> Self {
        Self::of(World::new().await, plan).await
    }

    pub async fn of(mut world: World, plan: Plan) -> Self {
        let cluster = Some(CLUSTER.to_owned());
        let devices = Devices::new(vec![Device::new("hsm", cluster, plan.device)]);
        Arc::get_mut(&mut world.server).expect("nobody else has it yet").devices =
            Arc::new(devices);
        let policy = crate::support::policy(&[crate::support::delegate(), for_proxies()]);
        let [in_device, second] = keys_in_device(&world, &policy).await;
        let key = world.key_with_policy(policy).await;
        let files = tempfile::tempdir().unwrap();
        let file = credential(files.path(), "one.json", ID, SECRET);
        let key_of = |id: &str, usage: Value| json!({"id": id, "kms_key": key, "usage": usage});
        let both = json!(["ENCRYPT", "DECRYPT"]);
        let mut secondary = key_of("secondary", both.clone());
        for (name, value) in plan.secondary.as_object().unwrap() {
            secondary[name] = value.clone();
        }
        let store: Settings = serde_json::from_value(json!({
            "prefix": PREFIX,
            "account": ACCOUNT,
            "region": THEIRS,
            "credentials": [file],
            "rate": plan.rate,
            "key": [
                key_of("kms", both.clone()),
                {"id": "device", "kms_key": in_device},
                {"id": "second", "kms_key": second},
                {"id": "no-such-key", "usage": both,
                 "kms_key": format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{}",
                                    "00000000-0000-4000-8000-000000000000")},
                key_of("encrypt_only_key", json!(["ENCRYPT"])),
                key_of("decrypt_only_key", json!(["DECRYPT"])),
                key_of("impotent_key", json!([])),
                secondary,
            ],
        }))
        .unwrap();
        let budget = Duration::from_millis(plan.budget_ms);
        let proxy = Arc::new(Proxy::new(world.server.clone(), vec![store], budget).unwrap());
        let address = listen(&world, &proxy, None).await;
        Self { world, proxy, address, key, in_device, files }
    }

    /// A POST to the store, signed as KMS does.
    pub async fn post(&self, what: &str, body: &Value) -> (u16, Value) {
        self.send(self.request(&format!("{PATH}{what}"), body.to_string().into())).await
    }

    pub fn request(&self, path: &str, body: Bytes) -> Request<Full<Bytes>> {
        let request = unsigned(&self.address, Method::POST, path, body);
        signed(request, (ID, SECRET), THEIRS, "kms-xks-proxy", self.now())
    }

    pub fn now(&self) -> i64 {
        self.world.server.clock.now().secs()
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> (u16, Value) {
        let answer = self.exchange(request).await;
        let body = serde_json::from_slice(&answer.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&answer.body)));
        (answer.status.as_u16(), body)
    }

    pub async fn exchange(&self, request: Request<Full<Bytes>>) -> Answer {
        let deadline = Duration::from_secs(20);
        let outgoing = Outgoing::new(request.uri(), None, deadline, 1 << 20).unwrap();
        let answer = outgoing.send(request).await.unwrap();
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        answer
    }

    /// An answer of success.
    pub async fn ok(&self, what: &str, body: &Value) -> Value {
        let (status, answer) = self.post(what, body).await;
        assert_eq!(status, 200, "{what}: {answer}");
        answer
    }

    /// The name of an error, whose status must be the protocol's.
    pub async fn refused(&self, what: &str, body: &Value) -> String {
        named(self.post(what, body).await)
    }

    pub async fn encrypt(&self, key: &str, plaintext: &[u8], aad: Option<&[u8]>) -> Value {
        let mut body = encrypt_body(plaintext);
        if let Some(aad) = aad {
            body["additionalAuthenticatedData"] = json!(b64(aad));
        }
        self.ok(&format!("/keys/{key}/encrypt"), &body).await
    }

    pub async fn decrypt(&self, key: &str, sealed: &Value, aad: Option<&[u8]>) -> (u16, Value) {
        self.post(&format!("/keys/{key}/decrypt"), &decrypt_body(sealed, aad)).await
    }
}

/// Two KMS keys that live in the device.
async fn keys_in_device(world: &World, policy: &Value) -> [String; 2] {
    let store = json!({
        "CustomKeyStoreName": "hsm", "CloudHsmClusterId": CLUSTER,
        "TrustAnchorCertificate": "certificate", "KeyStorePassword": "is-not-used",
    });
    let store = world.kms("CreateCustomKeyStore", store).await["CustomKeyStoreId"].clone();
    world.kms("ConnectCustomKeyStore", json!({"CustomKeyStoreId": store})).await;
    let body = json!({
        "CustomKeyStoreId": store, "Origin": "AWS_CLOUDHSM", "Policy": policy.to_string(),
        "BypassPolicyLockoutSafetyCheck": true,
    });
    let mut made = Vec::new();
    for _ in 0..2 {
        let answer = world.kms("CreateKey", body.clone()).await;
        made.push(answer["KeyMetadata"]["Arn"].as_str().unwrap().to_owned());
    }
    made.try_into().unwrap()
}

/// Serves the proxy on a free port; answers `127.0.0.1:…`.
pub async fn listen(world: &World, proxy: &Arc<Proxy>, tls: Option<&Tls>) -> String {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let clock = world.server.clock.clone();
    let front = Arc::new(XksFront::new(proxy.clone(), clock, tls.is_some()));
    let listener = Listener::new(tcp, tls, front, Limits::default()).unwrap();
    tokio::spawn(listener.serve(std::future::pending()));
    address
}

pub fn unsigned(address: &str, method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .unwrap()
}

/// Signs a request whose body is at hand.
pub fn signed(
    request: Request<Full<Bytes>>,
    (access_key_id, secret): (&str, &str),
    region: &str,
    service: &str,
    now: i64,
) -> Request<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    let bytes = bytes_of(&body);
    let credentials = Credentials { access_key_id, secret, session_token: None };
    sign(&mut head, &bytes, &credentials, (region, service), now).unwrap();
    Request::from_parts(head, Full::new(bytes))
}

fn bytes_of(body: &Full<Bytes>) -> Bytes {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;
    body.clone().collect().now_or_never().unwrap().unwrap().to_bytes()
}

/// The name of a refusal, whose status and form must be as the protocol has them.
pub fn named((status, body): (u16, Value)) -> String {
    let name = body["errorName"].as_str().unwrap_or_else(|| panic!("{status}: {body}")).to_owned();
    let expected = match name.as_str() {
        "ValidationException"
        | "InvalidStateException"
        | "InvalidCiphertextException"
        | "InvalidKeyUsageException" => 400,
        "AuthenticationFailedException" => 401,
        "AccessDeniedException" => 403,
        "KeyNotFoundException" | "InvalidUriPathException" => 404,
        "ThrottlingException" => 429,
        "UnsupportedOperationException" => 501,
        "DependencyTimeoutException" => 503,
        "InternalException" => 500,
        other => panic!("{other} is no error of the protocol"),
    };
    assert_eq!(status, expected, "{body}");
    if let Some(message) = body.get("errorMessage") {
        let message = message.as_str().unwrap();
        assert!(message.len() < 512 && message.bytes().all(|b| (0x20..0x7f).contains(&b)));
    }
    name
}

pub fn b64(bytes: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

pub fn unb64(value: &Value) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// What KMS says of the call; the ARN is spelled as in AWS's own examples.
pub fn metadata(operation: &str) -> Value {
    json!({
        "awsPrincipalArn": "arn:aws:iam::123456789012:user/Alice",
        "kmsKeyArn": "arn:aws:kms:us-east-2:123456789012:/key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "kmsOperation": operation,
        "kmsRequestId": "4112f4d6-db54-4af4-ae30-c55a22a8dfae",
        "kmsViaService": "ebs",
    })
}

pub fn encrypt_body(plaintext: &[u8]) -> Value {
    json!({
        "requestMetadata": metadata("Encrypt"),
        "plaintext": b64(plaintext),
        "encryptionAlgorithm": "AES_GCM",
    })
}

/// The request that opens an answer of Encrypt.
pub fn decrypt_body(sealed: &Value, aad: Option<&[u8]>) -> Value {
    let mut body = json!({
        "requestMetadata": metadata("Decrypt"),
        "encryptionAlgorithm": "AES_GCM",
    });
    for name in ["ciphertext", "ciphertextMetadata", "initializationVector", "authenticationTag"] {
        if let Some(value) = sealed.get(name) {
            body[name] = value.clone();
        }
    }
    if let Some(aad) = aad {
        body["additionalAuthenticatedData"] = json!(b64(aad));
    }
    body
}
