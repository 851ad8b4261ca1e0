//! What the work that no such server can do without costs by itself: the floor's axum, and beside its fixed answer
//! one step after the other, each with what was before it. There is no check against the model, no policy, no
//! store, no key to be found, no limit. Then the server with all of it.
//!
//! ```text
//! fixed answer   the floor
//! signature      the request's signature is verified, the signing key cached
//! sealed         the body is decoded by type, the plaintext encrypted under a key in memory, the answer encoded
//! written        the event is made, chained and written by the audit log's thread: then the answer leaves
//! recorded       … and synced, as the server does it
//! ```
use crate::server::{self, Child, Cores};
use crate::wire::{REGION, Signer};
use crate::{Bench, Options, Outcome, Row, report};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use claviger::audit::{Durability, Event, Log, Options as LogOptions};
use claviger::clock::{Clock, SystemClock};
use claviger::keys::ciphertext;
use claviger::random::{Random, SystemRandom};
use claviger::sigv4::{self, Expect, SigningKeyCache};
use claviger::types::Timestamp;
use http::request::Parts;
use http::{StatusCode, header};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The argument by which the bench starts itself as one of the steps.
pub const STEP: &str = "--step";
const SECONDS: f64 = 3.0;
const LONGEST_BODY: usize = 1 << 20;
const KEY: [u8; 32] = [7; 32];
const KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const ACCOUNT: &str = "123456789012";
const WRITTEN: &str = "written";
const RECORDED: &str = "recorded";
const SEALED: &str = "sealed";
const WHOLE: &str = "Encrypt, all of it";
const CASES: [&str; 5] = ["signature", SEALED, WRITTEN, RECORDED, WHOLE];

/// What Encrypt takes, as far as the bench sends it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypt {
    key_id: String,
    plaintext: String,
    encryption_context: BTreeMap<String, String>,
}

/// A server that goes so far and no further.
struct Step {
    signer: Signer,
    keys: SigningKeyCache,
    seals: bool,
    log: Option<(Log, Event)>,
}

impl Step {
    fn new(name: &str, signer: Signer, dir: &Path) -> Outcome<Self> {
        let durability = match name {
            WRITTEN => Some(Durability::Written),
            RECORDED => Some(Durability::Strict),
            _ => None,
        };
        let open = |durability| {
            let dir = dir.join(name);
            std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
            let options = LogOptions { durability, ..LogOptions::default() };
            Outcome::Ok((Log::open_with(&dir, &KEY, [1; 16], options)?.0, event(&signer)?))
        };
        let log = durability.map(open).transpose()?;
        let seals = name == SEALED || log.is_some();
        Ok(Self { signer, keys: SigningKeyCache::new(), seals, log })
    }

    fn verify(&self, head: &Parts, body: &[u8], now: i64) -> Outcome<()> {
        let regions = &|name: &str| name == REGION;
        let expect = Expect { now, skew: 300, regions, service: "kms" };
        let claim = sigv4::parse(head)?;
        sigv4::check_scope_and_time(&claim, &expect)?;
        let key = self.keys.key(&claim, 1, || self.signer.secret.as_str(), true);
        Ok(sigv4::verify(&claim, head, body, &key)?)
    }

    async fn answer(&self, request: Request) -> Outcome<Vec<u8>> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, LONGEST_BODY).await?;
        let now = SystemClock.wall();
        self.verify(&head, &body, now.secs())?;
        if !self.seals {
            return Ok(server::fixed_answer().into_bytes());
        }
        let asked: Encrypt = serde_json::from_slice(&body)?;
        let plaintext = BASE64.decode(&asked.plaintext)?;
        let (id, context) = (KEY_ID.parse()?, &asked.encryption_context);
        let blob = ciphertext::seal(&KEY, id, [1; 16], context, &SystemRandom, &plaintext)?;
        let answer = serde_json::json!({"CiphertextBlob": BASE64.encode(blob),
            "KeyId": asked.key_id, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"});
        if let Some((log, event)) = &self.log {
            let random: &dyn Random = &SystemRandom;
            let event = Event {
                event_time: now,
                request_id: random.request_id(),
                event_id: random.request_id(),
                request_parameters: Some(serde_json::json!({"keyId": asked.key_id,
                    "encryptionContext": asked.encryption_context})),
                ..event.clone()
            };
            log.append(&event).await?;
        }
        Ok(serde_json::to_vec(&answer)?)
    }
}

/// What all events of one caller and key have in common.
fn event(signer: &Signer) -> Outcome<Event> {
    let arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}");
    Ok(serde_json::from_value(serde_json::json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDAIOSFODNN7EXAMPLE0",
            "arn": format!("arn:aws:iam::{ACCOUNT}:user/billing"), "accountId": ACCOUNT,
            "accessKeyId": signer.access_key_id, "userName": "billing"},
        "eventTime": Timestamp(0).to_string(),
        "eventSource": "kms.amazonaws.com", "eventName": "Encrypt", "awsRegion": REGION,
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "aws-sdk-rust/1.3.10 ua/2.1 api/kms/1.90.0 os/linux lang/rust/1.91.0 m/E",
        "requestParameters": null, "responseElements": null,
        "additionalEventData": {"keyMaterialId": "ab".repeat(32)},
        "requestID": KEY_ID, "eventID": KEY_ID, "readOnly": true,
        "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": arn}],
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }))?)
}

async fn handle(State(step): State<Arc<Step>>, request: Request<Body>) -> Response {
    match step.answer(request).await {
        Ok(body) => ([(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// A step's own process. Arguments: its name, the caller's access key, where its log may lie.
pub fn serve(mut arguments: impl Iterator<Item = String>) -> Outcome<()> {
    let mut next = || arguments.next().ok_or("a step needs four arguments");
    let name = next()?;
    let signer = Signer { access_key_id: next()?, secret: next()? };
    let step = Arc::new(Step::new(&name, signer, Path::new(&next()?))?);
    let app = axum::Router::new().route("/", axum::routing::post(handle)).with_state(step);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("step at http://{}", tcp.local_addr()?);
        axum::serve(tcp.tap_io(|tcp| drop(tcp.set_nodelay(true))), app).await?;
        Ok(())
    })
}

/// The floor before and after each step, and at last the server. Answers how many requests failed.
pub async fn run(options: &Options, cores: Cores, dir: &Path) -> Outcome<usize> {
    let plain = dir.join("plain");
    std::fs::create_dir(&plain)?;
    let bench = Bench::new(options, cores, plain, None).await?;
    let load = options.load(options.connections, SECONDS);
    let floor = async || bench.floor("Encrypt").await;
    let mut floors = vec![floor().await?];
    let mut rows = Vec::new();
    for round in 0..options.rounds {
        let dir = dir.join(round.to_string());
        std::fs::create_dir(&dir)?;
        for case in CASES {
            let requests = bench.workload.requests("Encrypt")?;
            let measured = if case == WHOLE {
                load.run(&bench.claviger.child, &bench.target, &requests).await?
            } else {
                let (child, target) = start(case, cores, &bench, &dir)?;
                load.run(&child, &target, &requests).await?
            };
            let after = floor().await?;
            if let Some(before) = floors.last() {
                rows.push(Row::between(case, measured, before, &after));
            }
            floors.push(after);
        }
    }
    Ok(report(&CASES, &mut floors, &rows))
}

fn start(
    name: &str,
    cores: Cores,
    bench: &Bench,
    dir: &Path,
) -> Outcome<(Child, crate::wire::Target)> {
    let mut command = cores.command(std::env::current_exe()?);
    let user = bench.workload.user();
    command.args([STEP, name, &user.access_key_id, &user.secret]).arg(dir);
    let child = Child::start(command)?;
    let target = server::target(&child, None);
    Ok((child, target))
}
