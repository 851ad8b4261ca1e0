//! The parts of a call, each by itself, and whole calls through the operation table.
use crate::Outcome;
use crate::timing::time;
use crate::world::{Forgetful, REGION, World, entry};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use claviger::api;
use claviger::audit::MemoryAudit;
use claviger::clock::{Clock, SystemClock};
use claviger::keys::ciphertext::{self, Blob, KeyIdBytes};
use claviger::random::{Random, SystemRandom};
use claviger::seal::Table;
use claviger::seal::row::{self, Place, Row};
use claviger::sigv4::{self, Credentials, Expect, SigningKeyCache};
use serde_json::json;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

const KEY: [u8; 32] = [7; 32];
pub const KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

pub type Wants<'a> = &'a dyn Fn(&str) -> bool;

fn context() -> BTreeMap<String, String> {
    let pairs = [("service", "billing"), ("tenant", "tenant-0001")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn blob() -> Outcome<Vec<u8>> {
    let id: KeyIdBytes = KEY_ID.parse()?;
    Ok(ciphertext::seal(&KEY, id, [1; 16], &context(), &SystemRandom, &[0x5a; 100])?)
}

fn decrypt_body() -> Outcome<Vec<u8>> {
    let body = json!({"CiphertextBlob": BASE64.encode(blob()?), "EncryptionContext": context()});
    Ok(serde_json::to_vec(&body)?)
}

/// The signature and the model's check of a Decrypt.
pub fn signature(wants: Wants<'_>) -> Outcome<()> {
    let body = decrypt_body()?;
    let request = http::Request::post("/")
        .header("host", "127.0.0.1:4566")
        .header("content-length", body.len())
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "TrentService.Decrypt")
        .header("amz-sdk-invocation-id", "9a3c1f0e-5d9b-4a27-8a57-0c1f5b1c7d11")
        .header("amz-sdk-request", "attempt=1; max=3");
    let (mut head, ()) = request.body(())?.into_parts();
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let credentials =
        Credentials { access_key_id: "AKIAIOSFODNN7EXAMPLE", secret, session_token: None };
    let now = SystemClock.wall().secs();
    sigv4::sign(&mut head, &body, &credentials, (REGION, "kms"), now)?;
    let keys = SigningKeyCache::new();
    let expect = Expect { now, skew: 300, regions: &|region| region == REGION, service: "kms" };
    let verify = || {
        let claim = sigv4::parse(&head)?;
        sigv4::check_scope_and_time(&claim, &expect)?;
        let key = keys.key(&claim, 1, || secret, true);
        sigv4::verify(&claim, &head, &body, &key)
    };
    verify()?;
    if wants("sigv4 verify") {
        time("sigv4 verify of a Decrypt, signing key cached", verify);
    }
    let model = (api::kms::TABLE.model)().operation("Decrypt").ok_or("no Decrypt")?;
    model.check(&body).map_err(|rejection| format!("{rejection:?}"))?;
    if wants("model check of Decrypt") {
        time("model check of a Decrypt", || model.check(&body));
    }
    if wants("random") {
        time("16 random bytes from the system", || {
            let mut bytes = [0; 16];
            SystemRandom.fill(&mut bytes);
            bytes
        });
    }
    Ok(())
}

/// Ciphertexts and rows.
pub fn sealing(wants: Wants<'_>) -> Outcome<()> {
    let (context, sealed) = (context(), blob()?);
    let id: KeyIdBytes = KEY_ID.parse()?;
    if wants("blob seal") {
        time("blob seal, 100 bytes", || {
            ciphertext::seal(&KEY, id, [1; 16], &context, &SystemRandom, &[0x5a; 100])
        });
    }
    if wants("blob open") {
        time("blob open, 100 bytes", || Blob::parse(&sealed)?.open(&KEY, &context));
    }
    let table = Table::new("bench");
    let place = Place { cluster: &[1; 16], table, key: b"bench\0a-key-of-a-row", revision: 41 };
    let record = [0x5a; 600];
    let sealed = row::seal(&KEY, 1, &place, &SystemRandom, &record);
    if wants("row seal") {
        time("row seal, 600 bytes", || row::seal(&KEY, 1, &place, &SystemRandom, &record));
    }
    if wants("row open") {
        time("row open, 600 bytes", || Row::parse(&sealed)?.open(&KEY, &place));
    }
    if wants("allocation") {
        time("1 KiB allocated, freed and wiped", || black_box(Vec::<u8>::with_capacity(1024)));
    }
    Ok(())
}

/// Whole calls without HTTP, store in memory; and their audit event.
pub fn calls(wants: Wants<'_>, runtime: &Runtime, dir: &Path) -> Outcome<()> {
    let audit = Arc::new(MemoryAudit::default());
    let watched = runtime.block_on(World::in_memory(&dir.join("watched"), audit.clone()))?;
    let (_, decrypt, _) = runtime.block_on(prepare(&watched))?;
    runtime.block_on(watched.run(entry("kms", "Decrypt")?, &decrypt))?;
    let event = audit.events().pop().ok_or("no event")?;
    if wants("audit event") {
        let bytes = event.to_json()?.len();
        time("audit event of a Decrypt, copied", || event.clone());
        time(&format!("audit event of a Decrypt to JSON, {bytes} bytes"), || event.to_json());
    }
    let world = runtime.block_on(World::in_memory(&dir.join("memory"), Arc::new(Forgetful)))?;
    let (encrypt, decrypt, read) = runtime.block_on(prepare(&world))?;
    let cases = [
        ("kms", "Encrypt", encrypt),
        ("kms", "Decrypt", decrypt),
        ("secretsmanager", "GetSecretValue", read),
    ];
    for (service, name, body) in cases {
        let entry = entry(service, name)?;
        runtime.block_on(world.run(entry, &body))?;
        if wants(&name.to_lowercase()) {
            let name = format!("{name} through the operation table");
            time(&name, || runtime.block_on(world.run(entry, &body)).is_ok());
        }
    }
    Ok(())
}

/// The bodies of an Encrypt, of a Decrypt and of a GetSecretValue that succeed.
pub async fn prepare(world: &World) -> Outcome<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let made = world.call("kms", "CreateKey", &json!({})).await?;
    let encrypt = json!({
        "KeyId": made.pointer("/KeyMetadata/Arn").ok_or("no ARN")?,
        "Plaintext": BASE64.encode([0x5a; 100]),
        "EncryptionContext": context(),
    });
    let made = world.call("kms", "Encrypt", &encrypt).await?;
    let blob = made.get("CiphertextBlob").ok_or("no ciphertext")?;
    let decrypt = json!({"CiphertextBlob": blob, "EncryptionContext": context()});
    let secret = json!({
        "Name": "prod/billing/database",
        "SecretString": "{\"password\":\"x\"}",
        "ClientRequestToken": KEY_ID,
    });
    world.call("secretsmanager", "CreateSecret", &secret).await?;
    let read = json!({"SecretId": "prod/billing/database"});
    Ok((serde_json::to_vec(&encrypt)?, serde_json::to_vec(&decrypt)?, serde_json::to_vec(&read)?))
}
