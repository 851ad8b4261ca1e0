//! `claviger doctor` with several devices: every one is asked, what is wrong with one hides no other.
use crate::harness::{Exit, run};
use crate::roots::support::{Swtpm, command, further_token, private, root};
use crate::setup::{CLUSTER, Deployment, LABEL};
use serde_json::Value;

fn doctor(deployment: &Deployment, more: &[&str]) -> Exit {
    run(command(deployment, &["doctor"], more))
}

fn json(exit: &Exit) -> Value {
    serde_json::from_str(&exit.stdout).unwrap_or_else(|e| panic!("{e}: {exit:#?}"))
}

fn rewrite(deployment: &Deployment) {
    deployment.write_config(&deployment.text(&deployment.data()));
}

#[test]
fn a_token_in_process_one_in_a_helper_and_a_tpm_are_shown() {
    let mut deployment = Deployment::new(true);
    let (_, section) = further_token(deployment.token.as_ref().unwrap(), "second");
    let swtpm = Swtpm::start();
    let chip = swtpm.section("chip");
    deployment.more = format!("{section}helper = true\nsessions = 3\n{chip}pcrs = \"sha256:7\"\n");
    rewrite(&deployment);
    let exit = doctor(&deployment, &[]);
    assert!(exit.status.success(), "{exit:#?}");
    for part in [
        LABEL,
        "softhsm (",
        "wraps by       aes-gcm",
        "the server's",
        "its own: a crash",
        "3 configured",
        "enforces       what root keys need",
        "wraps by       tpm-seal",
        "not in lockout",
        "bound to       sha256:7",
        "opens the domain key",
        "all is well",
    ] {
        assert!(exit.stdout.contains(part), "{part:?} is missing in {exit:#?}");
    }
    let report = json(&doctor(&deployment, &["--json"]));
    let devices = report["devices"].as_array().unwrap();
    let names: Vec<&Value> = devices.iter().map(|device| &device["name"]).collect();
    assert_eq!(names, ["pkcs11", "second", "chip"]);
    assert_eq!(devices[0]["cluster"], CLUSTER);
    assert_eq!(devices[0]["root_keys"].as_array().unwrap().len(), 1);
    assert_eq!((&devices[0]["helper"], &devices[1]["helper"]), (&false.into(), &true.into()));
    assert_eq!(devices[1]["pkcs11"]["wrap"]["Ok"]["mechanism"], "aes-gcm");
    assert_eq!(devices[2]["tpm"]["lockout"]["Ok"]["locked"], false);
    for device in devices {
        assert!(device["served_us"].as_f64().unwrap() > 0.0, "{device}");
    }
    assert_eq!(report["faults"].as_array().unwrap().len(), 0);
    assert_eq!(report["deployment"]["domainKeys"].as_array().unwrap().len(), 1);
}

/// PCRs that are configured later bind nothing that was wrapped before.
#[test]
fn a_wrap_that_is_bound_otherwise_than_configured_is_told() {
    let mut deployment = Deployment::new(true);
    let swtpm = Swtpm::start();
    let chip = swtpm.section("chip");
    deployment.more = chip.clone();
    rewrite(&deployment);
    let done = |exit: Exit| assert!(exit.status.success(), "{exit:#?}");
    done(root(&deployment, "add-wrap", &["chip"]));
    let notes = |deployment: &Deployment| {
        let exit = doctor(deployment, &["--json"]);
        let notes: Vec<String> = serde_json::from_value(json(&exit)["notes"].clone()).unwrap();
        notes.into_iter().filter(|note| note.contains("is bound to")).collect::<Vec<_>>()
    };
    assert!(notes(&deployment).is_empty());
    deployment.more = format!("{chip}pcrs = \"sha256:7\"\n");
    rewrite(&deployment);
    let found = notes(&deployment);
    assert_eq!(found.len(), 1, "{found:?}");
    for part in ["chip: ", "no PCRs and no auth value", "configured: sha256:7", "root rewrap"] {
        assert!(found[0].contains(part), "{part:?} is missing in {found:?}");
    }
    done(root(&deployment, "rewrap", &[]));
    assert!(notes(&deployment).is_empty());
}

#[test]
fn what_is_wrong_with_one_device_hides_no_other() {
    let mut deployment = Deployment::new(true);
    let token = deployment.token.as_ref().unwrap();
    let (_, section) = further_token(token, "second");
    let pin_file = token.conf.parent().unwrap().join("pin-second");
    deployment.more = section;
    rewrite(&deployment);
    let right = std::fs::read_to_string(&pin_file).unwrap();
    private(&pin_file, "wrong-5521");
    let exit = doctor(&deployment, &[]);
    exit.assert(4, &["second", "wrong PIN", "tried exactly once"]);
    assert!(!exit.stdout.contains("wrong-5521") && !exit.stderr.contains("wrong-5521"));
    assert!(exit.stdout.contains("opens the domain key"), "{exit:#?}");
    let report = json(&doctor(&deployment, &["--json"]));
    assert_eq!(report["devices"][0]["faults"].as_array().unwrap().len(), 0, "{report}");
    assert_eq!(report["devices"][1]["faults"].as_array().unwrap().len(), 1, "{report}");
    // The PIN was tried twice in all, once by each run.
    private(&pin_file, &right);
    let report = json(&doctor(&deployment, &["--json"]));
    assert_eq!(report["faults"].as_array().unwrap().len(), 0, "{report}");
    let flags = report["devices"][1]["pkcs11"]["flags"].as_array().unwrap();
    assert!(!flags.contains(&"USER_PIN_LOCKED".into()), "{flags:?}");

    // A TPM that is not there: said after its own deadline or at once, and no other is kept from it.
    let gone = Swtpm::start();
    deployment.more = gone.section("chip");
    drop(gone);
    rewrite(&deployment);
    let exit = doctor(&deployment, &[]);
    exit.assert(4, &["chip: "]);
    assert!(exit.stdout.contains("opens the domain key"), "{exit:#?}");
}
