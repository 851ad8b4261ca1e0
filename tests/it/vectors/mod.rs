//! The formats against tests/vectors: reproduced bit for bit, opened by two implementations, and
//! every negative case refused by both. tests/clients/vectors.py is the third.

mod generate;
mod second;

use std::collections::BTreeMap;
use std::sync::Mutex;

use claviger::keys::ciphertext::{self, Blob, KeyIdBytes, KeyMaterialId, device, external};
use claviger::random::Random;
use claviger::seal::row::{self, Place, Row};
use claviger::seal::token::{self, Token};
use claviger::seal::{Label, Table};
use claviger::types::Sealed;
use serde_json::Value;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");

/// One case of a file.
struct Case(Value);

impl Case {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("{name} missing in {}", self.0["name"]))
    }
    fn bytes(&self, name: &str) -> Vec<u8> {
        hex::decode(self.text(name)).unwrap()
    }
    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap()
    }
    fn number<T: TryFrom<u64, Error: std::fmt::Debug>>(&self, name: &str) -> T {
        self.0[name].as_u64().unwrap().try_into().unwrap()
    }
    /// The case's N and IV, in the order in which sealing asks for them.
    fn fresh(&self) -> Replay {
        Replay(Mutex::new([self.bytes("n"), self.bytes("iv")].concat()))
    }
    fn encryption_context(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.0["context"].clone()).unwrap()
    }
    fn token_context(&self) -> Vec<Vec<u8>> {
        let parts = self.0["context"].as_array().unwrap().iter();
        parts.map(|part| hex::decode(part.as_str().unwrap()).unwrap()).collect()
    }
}

/// "Random" bytes that were written down.
#[derive(Debug)]
struct Replay(Mutex<Vec<u8>>);

impl Random for Replay {
    fn fill(&self, out: &mut [u8]) {
        let mut bytes = self.0.lock().unwrap();
        assert!(out.len() <= bytes.len(), "sealing takes N and IV and no more");
        out.copy_from_slice(&bytes.drain(..out.len()).collect::<Vec<_>>());
    }
}

/// Runs `check` on every case of a file, with whether it is a positive one.
fn each(file: &str, check: impl Fn(&Case, bool)) {
    let text = std::fs::read_to_string(format!("{DIRECTORY}/{file}.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let cases = |kind: &str| all[kind].as_array().unwrap().iter().cloned().map(Case);
    let (good, bad) = (cases("positive").count(), cases("negative").count());
    assert!(good >= 12 && bad > good, "{file}: {good} positive, {bad} negative");
    cases("positive").for_each(|case| check(&case, true));
    cases("negative").for_each(|case| check(&case, false));
}

/// What both implementations make of a case must be `plaintext`, or nothing for a negative one.
fn judge(case: &Case, good: bool, ours: Option<Vec<u8>>, seconds: Option<Vec<u8>>) {
    let expected = good.then(|| case.bytes("plaintext"));
    assert_eq!(ours, expected, "ours: {}", case.0);
    assert_eq!(seconds, expected, "second: {}", case.0);
}

#[test]
fn blobs() {
    each("blob-v1", |case, good| {
        let (material, context) = (case.array("material"), case.encryption_context());
        let blob = case.bytes("blob");
        let ours =
            Blob::parse(&blob).and_then(|b| b.open(&material, &context)).map(|p| p.to_vec()).ok();
        let second = second::open_blob(&material, &second::blob_aad(&context), &blob);
        judge(case, good, ours, second);
        if good {
            let key_id: KeyIdBytes = case.text("key_id").parse().unwrap();
            let (material_id, plaintext) = (case.array("material_id"), case.bytes("plaintext"));
            let parsed = Blob::parse(&blob).unwrap();
            assert_eq!((parsed.key_id(), parsed.material_id()), (key_id, material_id));
            assert_eq!(KeyMaterialId::of(&material, key_id).prefix(), material_id);
            let fresh = case.fresh();
            let sealed =
                ciphertext::seal(&material, key_id, material_id, &context, &fresh, &plaintext);
            assert_eq!(sealed.unwrap(), blob, "{}", case.0);
        }
    });
}

/// Of the device there is what it binds and what it opens; the cipher is the second implementation's.
#[test]
fn blobs_of_keys_in_devices() {
    each("blob-v1-suite-02", |case, good| {
        let (key, context, blob) =
            (case.bytes("key"), case.encryption_context(), case.bytes("blob"));
        let ours = Blob::parse(&blob).and_then(|blob| blob.for_device(&context)).ok();
        let ours = ours.and_then(|(sealed, bound)| in_device(&key, &sealed, &bound));
        let second = second::open_device_blob(&key, &second::blob_aad(&context), &blob);
        judge(case, good, ours, second);
        if good {
            let key_id: KeyIdBytes = case.text("key_id").parse().unwrap();
            let (material_id, iv) = (case.array("material_id"), case.bytes("iv"));
            let draft = device::Draft::new(key_id, material_id, &context);
            let v = [u8::try_from(iv.len()).unwrap()];
            let bound = [&v[..], draft.associated()].concat();
            let body = second::gcm_seal(&key, &iv, &bound, &case.bytes("plaintext"));
            let sealed = [&v[..], &iv, &body].concat();
            assert_eq!(draft.finish(&sealed).unwrap(), blob, "{}", case.0);
        }
    });
}

/// What a device does with `v ‖ IV ‖ ciphertext ‖ tag`.
fn in_device(key: &[u8], sealed: &[u8], bound: &[u8]) -> Option<Vec<u8>> {
    let (v, rest) = sealed.split_at_checked(1)?;
    if !(12..=16).contains(&v[0]) {
        return None;
    }
    let (iv, body) = rest.split_at_checked(usize::from(v[0]))?;
    second::gcm_open(key, iv, &[v, bound].concat(), body)
}

#[test]
fn blobs_of_external_keys() {
    each("blob-v1-suite-03", |case, good| {
        let (material, proxy_key) = (case.array("material"), case.bytes("proxy_key"));
        let (context, blob) = (case.encryption_context(), case.bytes("blob"));
        let ours = || {
            let parsed = Blob::parse(&blob).ok()?;
            let (outer, aad) = parsed.for_proxy(&context).ok()?;
            let bound = second::proxy_aad(&aad, &outer.metadata);
            let body = [&outer.ciphertext[..], &outer.tag].concat();
            let sealed = second::gcm_open(&proxy_key, &outer.iv, &bound, &body)?;
            Some(parsed.open_inner(&material, &context, &sealed).ok()?.to_vec())
        };
        let aad = second::blob_aad(&context);
        let second = second::open_external_blob(&material, &proxy_key, &aad, &blob);
        judge(case, good, ours(), second);
        if good {
            let key_id: KeyIdBytes = case.text("key_id").parse().unwrap();
            let fresh =
                Replay(Mutex::new([case.bytes("r"), case.bytes("n"), case.bytes("iv")].concat()));
            let (material_id, plaintext) = (case.array("material_id"), case.bytes("plaintext"));
            let draft =
                external::Draft::new(&material, key_id, material_id, &context, &fresh, &plaintext);
            let (metadata, iv) = (case.bytes("proxy_metadata"), case.bytes("proxy_iv"));
            let bound = second::proxy_aad(&draft.associated, &metadata);
            let mut ciphertext = second::gcm_seal(&proxy_key, &iv, &bound, &draft.sealed);
            let tag = ciphertext.split_off(ciphertext.len() - 16).try_into().unwrap();
            let outer = Sealed { metadata, iv, ciphertext, tag };
            assert_eq!(draft.finish(&outer).unwrap(), blob, "{}", case.0);
        }
    });
}

#[test]
fn rows() {
    each("row-v1", |case, good| {
        let (key, cluster, record_key) =
            (case.array("key"), case.array("cluster"), case.bytes("record_key"));
        let table = Table::new(case.text("table").to_owned().leak());
        let revision = case.number("revision");
        let place = Place { cluster: &cluster, table, key: &record_key, revision };
        let sealed = case.bytes("sealed");
        let ours =
            Row::parse(&sealed).and_then(|row| row.open(&key, &place)).map(|p| p.to_vec()).ok();
        let aad = second::row_aad(&cluster, table.name(), &record_key, revision);
        judge(case, good, ours, second::open_row(&key, table.name(), &aad, &sealed));
        if good {
            let generation = case.number("generation");
            assert_eq!(Row::parse(&sealed).unwrap().generation(), generation);
            let plaintext = case.bytes("plaintext");
            let again = row::seal(&key, generation, &place, &case.fresh(), &plaintext);
            assert_eq!(again, sealed, "{}", case.0);
        }
    });
}

#[test]
fn tokens() {
    each("token-v1", |case, good| {
        let (key, sealed, context) =
            (case.array("key"), case.bytes("sealed"), case.token_context());
        let context: Vec<&[u8]> = context.iter().map(Vec::as_slice).collect();
        let name = case.text("label");
        let label = *Label::ALL.iter().find(|label| label.to_string() == name).unwrap();
        let ours = Token::parse(&sealed)
            .and_then(|token| token.open(&key, label, &context))
            .map(|p| p.to_vec())
            .ok();
        judge(case, good, ours, second::open_token(&key, name, &second::list(&context), &sealed));
        if good {
            let generation = case.number("generation");
            assert_eq!(Token::parse(&sealed).unwrap().generation(), generation);
            let plaintext = case.bytes("plaintext");
            let again = token::seal(&key, generation, label, &context, &case.fresh(), &plaintext);
            assert_eq!(again, sealed, "{}", case.0);
        }
    });
}

#[test]
fn key_material_ids() {
    each("key-material-id", |case, good| {
        let (material, key_id) = (case.array::<32>("material"), case.text("key_id"));
        let expected = case.text("key_material_id");
        let ours = key_id.parse().map(|id| KeyMaterialId::of(&material, id).to_string());
        assert_eq!(ours.as_deref() == Ok(expected), good, "ours: {}", case.0);
        let second = hex::encode(second::key_material_id(&material, key_id));
        assert_eq!(second == expected, good, "second: {}", case.0);
    });
}

/// The files are what `generate` makes. After a change that is meant (a new case, never a new
/// outcome of an old one), CLAVIGER_WRITE_VECTORS=1 writes them.
#[test]
fn files_are_as_generated() {
    for (name, value) in generate::all() {
        let path = format!("{DIRECTORY}/{name}.json");
        if std::env::var_os("CLAVIGER_WRITE_VECTORS").is_some() {
            std::fs::write(&path, serde_json::to_string_pretty(&value).unwrap() + "\n").unwrap();
        }
        let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert!(written == value, "{path} differs");
    }
}
