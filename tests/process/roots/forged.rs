//! Somebody writes into `deployment.json`, while nothing runs, before a recovery, under a running server.
//! Real programs, the real file, and nothing but what is no secret.
use super::support::{Work, command, root};
use crate::harness::{Exit, files, program, run};
use crate::setup::{Deployment, Token};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as B64;
use claviger::random::SystemRandom;
use claviger::root_of_trust::recovery::PublicKey;
use claviger::seal::{self, Label};
use claviger_hsm::{Hsm, KeyBytes, RootKeyId, SoftwareHsm, WrappedKey};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The domain key of somebody else's.
const THEIRS: [u8; 32] = [66; 32];

fn path(deployment: &Deployment) -> PathBuf {
    deployment.data().join("deployment.json")
}

fn json_of(deployment: &Deployment) -> Value {
    serde_json::from_slice(&std::fs::read(path(deployment)).unwrap()).unwrap()
}

fn write(deployment: &Deployment, file: &Value) {
    std::fs::write(path(deployment), serde_json::to_vec_pretty(file).unwrap()).unwrap();
}

/// What a wrap is bound to: all of it stands in the file.
fn aad(file: &Value, generation: u32, root: &RootKeyId) -> Vec<u8> {
    let cluster = cluster(file);
    let parts: [&[u8]; 4] = [
        b"claviger/v1/domain-key",
        cluster.as_bytes(),
        &generation.to_be_bytes(),
        root.as_str().as_bytes(),
    ];
    seal::length_prefixed(&parts)
}

fn cluster(file: &Value) -> Uuid {
    file["cluster"].as_str().unwrap().parse().unwrap()
}

fn entry(generation: u32, wrapped: &WrappedKey) -> Value {
    let check = hex::encode(seal::mac(&THEIRS, Label::KEY_CHECK, &[]));
    let wrap = json!({
        "device": "somebody's", "root": wrapped.root.as_str(), "wrapped": B64.encode(&wrapped.bytes),
    });
    json!({"generation": generation, "check": check, "wraps": [wrap]})
}

/// The MAC that the drawing in `binding.rs` says, of a file with one domain key and one wrap, by their key.
fn mac(file: &Value, format: u32) -> String {
    let domain_key = &file["domain_keys"][0];
    let wrap = &domain_key["wraps"][0];
    let wrapped = B64.decode(wrap["wrapped"].as_str().unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().as_bytes().to_vec();
    let generation = u32::try_from(domain_key["generation"].as_u64().unwrap()).unwrap();
    let key = seal::length_prefixed(&[
        &generation.to_be_bytes(),
        &text(&domain_key["check"]),
        &text(&wrap["device"]),
        &text(&wrap["root"]),
        &wrapped,
    ]);
    let ready = [u8::from(file["ready"].as_bool().unwrap())];
    let all = seal::length_prefixed(&[
        &format.to_be_bytes(),
        cluster(file).as_bytes(),
        &ready,
        &[],
        &key,
    ]);
    hex::encode(seal::mac(&THEIRS, Label::DEPLOYMENT, &[&all]))
}

#[test]
fn a_domain_key_that_somebody_wrapped_for_himself_is_refused_at_the_start() {
    let deployment = Deployment::new(false);
    let process = deployment.serve();
    let work = Work::new(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));
    let good = json_of(&deployment);
    // The device stands for a root that more people can wrap by than open: a public key.
    let seed = std::fs::read(deployment.data().join("software-root.seed")).unwrap();
    let device = SoftwareHsm::seeded(seed.try_into().unwrap());
    let name = RootKeyId::new(good["domain_keys"][0]["wraps"][0]["root"].as_str().unwrap());
    device.create_root_key(&name).unwrap();
    let theirs = |generation: u32| {
        let key = KeyBytes::new(THEIRS.to_vec());
        entry(generation, &device.wrap(&name, &key, &aad(&good, generation, &name)).unwrap())
    };
    let refused = |file: &Value, parts: &[&str]| {
        write(&deployment, file);
        let before = std::fs::read(path(&deployment)).unwrap();
        deployment.try_serve().map(drop).unwrap_err().assert(5, parts);
        assert!(std::fs::read(path(&deployment)).unwrap() == before, "it was written");
    };
    // Beside the real one.
    for generation in [0, 2] {
        let mut file = good.clone();
        file["domain_keys"].as_array_mut().unwrap().push(theirs(generation));
        refused(&file, &["deployment.json", "MAC by the oldest domain key is wrong"]);
        file.as_object_mut().unwrap().remove("mac");
        refused(&file, &["MAC by the oldest domain key is wrong"]);
        file["format"] = 1.into();
        refused(&file, &["that format has one domain key"]);
    }
    // In its place, with a good MAC by itself, and as the first format: the store tells.
    let mut file = good.clone();
    file["domain_keys"] = json!([theirs(1)]);
    file["mac"] = mac(&file, 2).into();
    refused(&file, &["store"]);
    // The MAC was good: a wrong one is refused before the store is looked at.
    file["mac"] = mac(&file, 3).into();
    refused(&file, &["MAC by the oldest domain key is wrong"]);
    file.as_object_mut().unwrap().remove("mac");
    file["format"] = 1.into();
    refused(&file, &["store"]);

    write(&deployment, &good);
    let process = deployment.serve();
    work.check(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn a_file_without_a_mac_gets_one_at_the_first_start() {
    let deployment = Deployment::new(true);
    let mut file = json_of(&deployment);
    file["format"] = 1.into();
    file.as_object_mut().unwrap().remove("mac");
    write(&deployment, &file);
    // Looking writes nothing.
    assert!(deployment.run("doctor").status.success());
    assert_eq!(json_of(&deployment), file);
    let process = deployment.serve();
    let work = Work::new(&deployment, &process);
    let bound = json_of(&deployment);
    assert_eq!(bound["format"], 2);
    assert_eq!(bound["mac"].as_str().unwrap().len(), 64);
    assert_eq!(bound["domain_keys"], file["domain_keys"]);
    let drill = root(&deployment, "drill", &[]);
    assert!(drill.status.success(), "{drill:#?}");
    assert_eq!(process.stop().status.code(), Some(0));
    let process = deployment.serve();
    work.check(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));
    assert_eq!(json_of(&deployment), bound);
}

fn recovery_key(out: &Path) -> (Vec<PathBuf>, PathBuf) {
    let mut command = program(None);
    command.args(["recovery", "generate", "--threshold", "2", "--shares", "2", "--out"]);
    let made = run({
        command.arg(out);
        command
    });
    assert!(made.status.success(), "{made:#?}");
    let (shares, mut public): (Vec<PathBuf>, Vec<PathBuf>) =
        files(out).into_keys().partition(|path| path.extension().unwrap() == "share");
    (shares, public.remove(0))
}

/// The recovery key's public half is no secret: a backup can be added to by whoever can write it.
#[test]
fn a_domain_key_that_somebody_put_into_a_backup_is_not_recovered() {
    let mut deployment = Deployment::new(true);
    let scratch = tempfile::tempdir().unwrap();
    let (shares, public) = recovery_key(&scratch.path().join("key"));
    let process = deployment.serve();
    let work = Work::new(&deployment, &process);
    let added = root(&deployment, "add-wrap", &["--recovery", public.to_str().unwrap()]);
    assert!(added.status.success(), "{added:#?}");
    assert_eq!(process.stop().status.code(), Some(0));
    let good = json_of(&deployment);
    let public = std::fs::read_to_string(public).unwrap();
    let public = PublicKey::from_text("public", &public).unwrap();
    let wrapped = public.wrap(&THEIRS, &aad(&good, 2, &public.root()), &SystemRandom).unwrap();
    let mut forged = good.clone();
    forged["domain_keys"].as_array_mut().unwrap().push(entry(2, &wrapped));
    write(&deployment, &forged);

    deployment.token = Some(Token::new(&deployment.dir.path().join("new")));
    deployment.write_config(&deployment.text(&deployment.data()));
    let shares: Vec<&str> = shares.iter().map(|path| path.to_str().unwrap()).collect();
    let recover = |deployment: &Deployment| -> Exit {
        run(command(deployment, &["recover"], &[&["--shares"], shares.as_slice()].concat()))
    };
    let before = files(&deployment.data());
    recover(&deployment).assert(1, &["deployment.json", "MAC by the oldest domain key is wrong"]);
    assert!(files(&deployment.data()) == before, "a refusal changed something");
    write(&deployment, &good);
    let recovered = recover(&deployment);
    assert!(recovered.status.success(), "{recovered:#?}");
    let process = deployment.serve();
    work.check(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));
}

/// The next start reads the file: a drill that looked at memory alone would prove nothing.
#[test]
fn a_file_that_was_replaced_under_the_server_fails_the_drill_and_stops_changes() {
    let deployment = Deployment::new(true);
    let process = deployment.serve();
    let drill = || root(&deployment, "drill", &[]);
    assert!(drill().status.success(), "{:#?}", drill());
    let good = std::fs::read(path(&deployment)).unwrap();
    let first = json_of(&deployment)["domain_keys"][0]["wraps"][0]["root"].clone();
    let rotated = root(&deployment, "rotate", &["pkcs11"]);
    assert!(rotated.status.success(), "{rotated:#?}");
    let newest = std::fs::read(path(&deployment)).unwrap();
    for (text, reason) in [
        // An older one, as a backup has it, which needs the root that nothing needs now.
        (good.as_slice(), "put another in its place"),
        (b"garbage", "cannot be read"),
    ] {
        std::fs::write(path(&deployment), text).unwrap();
        drill().assert(1, &["the drill failed", reason]);
        let status = root(&deployment, "status", &[]);
        assert!(status.stdout.contains("WRONG") && status.stdout.contains(reason), "{status:#?}");
        let destroy = ["--destroy", "--yes", first.as_str().unwrap()];
        root(&deployment, "retire", &destroy).assert(1, &[reason]);
        root(&deployment, "rewrap", &[]).assert(1, &[reason]);
        assert!(std::fs::read(path(&deployment)).unwrap() == text, "it was written");
    }
    // The root that the older file needs is still there.
    assert_eq!(process.stop().status.code(), Some(0));
    std::fs::write(path(&deployment), &good).unwrap();
    assert_eq!(deployment.serve().stop().status.code(), Some(0));
    std::fs::write(path(&deployment), &newest).unwrap();
    let process = deployment.serve();
    assert!(drill().status.success(), "{:#?}", drill());
    assert_eq!(process.stop().status.code(), Some(0));
}
