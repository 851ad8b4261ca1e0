//! `init`, `serve` and `doctor` with a configuration file: what they do and how they refuse.
use crate::client::{get, plain};
use crate::events;
use crate::harness::{files, program, run};
use crate::setup::{Deployment, LABEL};
use serde_json::json;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

fn chmod(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_deployment_is_made_checked_and_served() {
    let mut deployment = Deployment::blank(true);
    let made = deployment.init();
    assert!(made.stdout.contains("claviger serve --config"), "{made:#?}");
    let report = deployment.run("doctor");
    assert!(report.status.success(), "{report:#?}");
    for part in ["SoftHSM", LABEL, "root key", "CKM_AES_GCM", "all is well"] {
        assert!(report.stdout.contains(part), "{part} is missing in {report:#?}");
    }
    let before = files(&deployment.data());
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for path in before.keys() {
        assert_eq!(mode(path), 0o600, "{}", path.display());
        assert_eq!(mode(path.parent().unwrap()), 0o700, "{}", path.display());
    }
    // A second one is refused and changes nothing.
    deployment.run("init").assert(5, &["is a deployment already", "left unchanged"]);
    assert!(files(&deployment.data()) == before, "the refused init changed something");

    let mut process = deployment.serve();
    let mut client = deployment.client(&process);
    let made = client.kms("CreateKey", json!({})).unwrap();
    let id = made["KeyMetadata"]["KeyId"].clone();
    let blob = client.kms("Encrypt", json!({"KeyId": id, "Plaintext": "YQ=="})).unwrap();
    // What only `dev` offers is not here: no key moves without a signature.
    for path in ["/_claviger/reset", "/_claviger/clock"] {
        let answer = plain(process.address, "POST", path, b"{\"advance_seconds\": 1}").unwrap();
        assert!(answer.status >= 400, "{path}: {answer:?}");
        assert!(!answer.text().contains("the clock is"), "{answer:?}");
    }
    assert_eq!(get(process.address, "/healthz").unwrap().status, 200);
    assert!(get(process.address, "/metrics").unwrap().text().contains("# EOF"));

    // Killed, it starts again; what it had acknowledged is there.
    process.kill();
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    let blob = blob["CiphertextBlob"].clone();
    let opened = client.kms("Decrypt", json!({"CiphertextBlob": blob})).unwrap();
    assert_eq!(opened["Plaintext"], "YQ==");
    assert_eq!(client.kms("ListKeys", json!({})).unwrap()["Keys"].as_array().unwrap().len(), 1);
}

#[test]
fn a_stop_ends_what_runs_and_closes_the_log() {
    let deployment = Deployment::new(false);
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    for _ in 0..10 {
        client.kms("CreateKey", json!({})).unwrap();
    }
    let audit = deployment.data().join("audit");
    let longest = |dir: &std::path::Path| files(dir).into_values().max_by_key(Vec::len).unwrap();
    assert!(longest(&audit).ends_with(&[0; 4096]), "space is made ready ahead of need");
    let exit = process.stop();
    assert_eq!(exit.status.code(), Some(0), "{exit:#?}");
    assert!(exit.stderr.contains("stopped"), "{exit:#?}");
    let log = longest(&audit);
    assert_eq!(log.last(), Some(&b'\n'), "cut to its used length");
    assert!(!log.contains(&0));
    assert!(!audit.join("spare").exists());
    let events = events::read(&audit);
    assert_eq!(events.iter().filter(|e| e["eventName"] == "CreateKey").count(), 10);
    for event in &events {
        assert_eq!(event["eventVersion"], "1.11", "{event}");
    }
    // All lines of its log are JSON too.
    for line in exit.stderr.lines().filter(|line| !line.starts_with("claviger: warning: ")) {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
}

#[test]
fn wrong_arguments_and_configurations_have_their_exit_codes() {
    let deployment = Deployment::blank(true);
    let good = deployment.text(&deployment.data());
    run({
        let mut command = program(None);
        command.arg("serve");
        command
    })
    .assert(2, &["--config"]);
    run({
        let mut command = program(None);
        command.arg("sreve");
        command
    })
    .assert(2, &["sreve"]);
    for name in ["init", "serve", "doctor"] {
        deployment.run(name).assert(3, &["claviger.toml"]);
        deployment.write_config(&good.replace("account", "acount"));
        deployment.run(name).assert(3, &["unknown field"]);
        let all = good.replace("127.0.0.1", "0.0.0.0");
        deployment.write_config(&all);
        deployment.run(name).assert(3, &["loopback only", "[tls]"]);
        let inside = good.replace("softhsm/pin", "data/pin");
        deployment.write_config(&inside);
        deployment.run(name).assert(3, &["lies in the data directory"]);
        std::fs::remove_file(deployment.config()).unwrap();
    }
    deployment.write_config(&good);
    let pin_file = &deployment.token.as_ref().unwrap().pin_file;
    for name in ["init", "serve", "doctor"] {
        chmod(pin_file, 0o640);
        deployment.run(name).assert(3, &["must be 600", "pin"]);
        chmod(pin_file, 0o600);
        deployment.write_config(&good.replace("softhsm/pin", "softhsm/none"));
        deployment.run(name).assert(3, &["softhsm/none"]);
        let (head, _) = good.split_once("[pkcs11]").unwrap();
        deployment.write_config(&format!("{head}[listen]\napi = \"127.0.0.1:1\"\n"));
        deployment.run(name).assert(3, &["[pkcs11]"]);
        deployment.write_config(&good);
    }
    assert!(!deployment.data().exists(), "nothing was made");
}

#[test]
fn wrong_tokens_and_directories_have_their_exit_codes() {
    let mut deployment = Deployment::blank(true);
    let good = deployment.text(&deployment.data());
    deployment.write_config(&good);
    // Not initialised yet.
    deployment.run("serve").assert(5, &["data"]);
    deployment.run("doctor");
    std::fs::create_dir(deployment.data()).unwrap();
    chmod(&deployment.data(), 0o700);
    deployment.run("serve").assert(5, &["is no deployment yet", "claviger init"]);
    deployment.init();
    let before = files(&deployment.data());
    let unchanged = || assert!(files(&deployment.data()) == before, "the data changed");

    // A server that finds no device waits for one; tests/process/roots shows it.
    for name in ["serve", "doctor", "init"] {
        deployment.write_config(&good.replace("/libsofthsm2.so", "/none.so"));
        deployment.run(name).assert(4, &["none.so"]);
        if name == "serve" {
            unchanged();
            continue;
        }
        deployment.write_config(&good.replace(LABEL, "nobodys"));
        deployment.run(name).assert(4, &["nobodys", LABEL]);
        let wrong = deployment.dir.path().join("wrong-pin");
        std::fs::write(&wrong, "000000").unwrap();
        chmod(&wrong, 0o600);
        let pin_file = deployment.token.as_ref().unwrap().pin_file.display().to_string();
        deployment.write_config(&good.replace(&pin_file, wrong.to_str().unwrap()));
        let refused = deployment.run(name);
        refused.assert(4, &["PIN"]);
        assert!(!refused.stderr.contains("000000"), "{refused:#?}");
        unchanged();
    }
    deployment.write_config(&good);
    chmod(&deployment.data(), 0o750);
    deployment.run("serve").assert(5, &["has mode 750", "must be 700"]);
    chmod(&deployment.data(), 0o700);
    let taken = TcpListener::bind(("127.0.0.1", deployment.port.number)).unwrap();
    deployment.run("serve").assert(6, &["cannot listen on"]);
    drop(taken);
    unchanged();
    // Two processes, one deployment.
    let process = deployment.serve();
    let second = good.replace(&deployment.port.number.to_string(), "0");
    deployment.write_config(&second);
    deployment.run("serve").assert(5, &["another process"]);
    assert_eq!(get(process.address, "/readyz").unwrap().status, 200);
}
