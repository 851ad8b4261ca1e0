//! `claviger bench device` on real devices: a figure for each mechanism, and nothing left behind.
use crate::harness::{Exit, PROGRAM, now, program, run};
use crate::roots::support::{Swtpm, further_token, tokens};
use crate::setup::Deployment;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// `claviger bench device --config …`, as quickly as it goes.
fn command(deployment: &Deployment, more: &[&str]) -> Command {
    let mut command = program(deployment.token.as_ref().map(|token| token.conf.as_path()));
    command.args(["bench", "device", "--config"]).arg(deployment.config());
    command.args(["--threads", "1,2"]).args(more);
    if !more.contains(&"--seconds") {
        command.args(["--seconds", "0.005"]);
    }
    command.env("TSS2_LOG", "all+none");
    command
}

fn bench(deployment: &Deployment, more: &[&str]) -> Exit {
    run(command(deployment, more))
}

/// The objects in the deployment's tokens, as the files that SoftHSM keeps them in.
fn objects(deployment: &Deployment) -> BTreeSet<PathBuf> {
    let token = deployment.token.as_ref().unwrap();
    let files = tokens(token).into_iter().flat_map(|dir| std::fs::read_dir(dir).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ext| ext == "object")).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn device<'a>(report: &'a Value, name: &str) -> &'a Value {
    let devices = report["devices"].as_array().unwrap();
    devices.iter().find(|device| device["name"] == name).unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn a_token_a_tpm_and_software_stand_side_by_side_and_nothing_stays() {
    let mut deployment = Deployment::new(true);
    let swtpm = Swtpm::start();
    deployment.more = swtpm.section("chip");
    deployment.write_config(&deployment.text(&deployment.data()));
    let before = objects(&deployment);
    let (to_json, to_svg) =
        (deployment.dir.path().join("b.json"), deployment.dir.path().join("b.svg"));
    let files = ["--json", to_json.to_str().unwrap(), "--svg", to_svg.to_str().unwrap()];
    let exit = bench(&deployment, &files);
    assert!(exit.status.success(), "{exit:#?}");
    assert_eq!(objects(&deployment), before);

    let report = json(&to_json);
    for name in ["pkcs11", "software"] {
        let cases = device(&report, name)["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 15, "{name}");
        for case in cases {
            assert!(case["fault"].is_null(), "{name}: {case}");
            for point in case["points"].as_array().unwrap() {
                assert!(point["measured"]["Ok"]["ops_per_s"].as_f64().unwrap() > 0.0, "{case}");
            }
            assert!(case["knee"].is_u64(), "{case}");
        }
    }
    assert_eq!(device(&report, "pkcs11")["info"]["hardware"], false);
    // The TPM has no keys of customers, and no root key yet.
    let cases = device(&report, "chip")["cases"].as_array().unwrap();
    let measured = |case: &&Value| case["fault"].is_null();
    let measured: Vec<&Value> = cases.iter().filter(measured).map(|c| &c["mechanism"]).collect();
    assert_eq!(measured, ["random", "random"]);
    for part in ["pkcs11", "chip", "software", "ecdsa-p256", "claviger root add-wrap", " *"] {
        assert!(exit.stdout.contains(part), "{part} is missing in {exit:#?}");
    }
    let svg = std::fs::read_to_string(&to_svg).unwrap();
    let picture = roxmltree::Document::parse(&svg).unwrap();
    assert!(picture.descendants().filter(|node| node.has_tag_name("polyline")).count() >= 30);
}

#[test]
fn pools_are_compared_and_a_device_that_is_away_is_said() {
    let mut deployment = Deployment::new(true);
    let (dir, section) = further_token(deployment.token.as_ref().unwrap(), "second");
    deployment.more = section;
    deployment.write_config(&deployment.text(&deployment.data()));
    let to_json = deployment.dir.path().join("b.json");
    let more = ["--only", "random,wrap", "--sizes", "16", "--sessions", "1,3", "--json"];
    let more = [&more[..], &[to_json.to_str().unwrap()]].concat();
    let exit = bench(&deployment, &more);
    assert!(exit.status.success(), "{exit:#?}");
    let report = json(&to_json);
    let names: Vec<&Value> =
        report["devices"].as_array().unwrap().iter().map(|device| &device["name"]).collect();
    assert_eq!(
        names,
        [
            "pkcs11 (1 session)",
            "pkcs11 (3 sessions)",
            "second (1 session)",
            "second (3 sessions)",
            "software"
        ]
    );
    let wraps = |name: &str| device(&report, name)["cases"][1]["fault"].clone();
    assert!(wraps("pkcs11 (1 session)").is_null());
    assert!(wraps("second (3 sessions)").as_str().unwrap().contains("no root key"));

    std::fs::remove_dir_all(dir).unwrap();
    let exit = bench(&deployment, &["--only", "random"]);
    exit.assert(4, &["second", "no token is labelled"]);
    assert!(exit.stdout.contains("not measured: no token is labelled"), "{exit:#?}");
    assert!(exit.stdout.contains("random 4 KiB"), "the others are measured: {exit:#?}");
    bench(&deployment, &["--device", "third"]).assert(3, &["third", "pkcs11, second, software"]);
    bench(&deployment, &["--only", "rsa"]).assert(2, &["rsa2048-pss"]);
    for bad in ["0", "nan", "inf", "1e9", ""] {
        bench(&deployment, &["--seconds", bad]).assert(2, &["--seconds"]);
    }
}

#[test]
fn interrupted_or_killed_it_leaves_nothing_for_long() {
    let deployment = Deployment::new(true);
    let before = objects(&deployment);
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let more = ["--seconds", "600", "--only", "hmac-sha256", "--device", "pkcs11"];
        let said = deployment.dir.path().join("said");
        let mut command = command(&deployment, &more);
        command.stdout(Stdio::piped()).stderr(File::create(&said).unwrap());
        let mut child = command.spawn().unwrap();
        let began = now();
        // Its key is made by then. SoftHSM keeps half a key, without a name, of who is killed before.
        while !std::fs::read_to_string(&said).unwrap().contains("hmac-sha256 32 B, 1 thread") {
            assert!(child.try_wait().unwrap().is_none(), "{PROGRAM} ended");
            assert!(began.elapsed() < Duration::from_secs(60), "it makes no key");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_ne!(objects(&deployment), before);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        if signal == Signal::KILL {
            assert_ne!(objects(&deployment), before, "nothing for the next run to sweep");
            let next = bench(&deployment, &["--only", "random", "--device", "pkcs11"]);
            assert!(next.status.success(), "{next:#?}");
        } else {
            assert!(output.status.success(), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stdout).contains("interrupted"));
        }
        assert_eq!(objects(&deployment), before, "{signal:?}");
    }
}
