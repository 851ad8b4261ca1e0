//! A token that goes away while the server serves: it is said, and it counts for nothing.
use super::support::{Work, away, further_token, root, root_json, tokens, until};
use crate::client::get;
use crate::harness::Process;
use crate::setup::Deployment;
use serde_json::json;

fn ready(process: &Process) -> u16 {
    get(process.address, "/readyz").unwrap().status
}

fn metric(process: &Process) -> String {
    let page = get(process.address, "/metrics").unwrap().text();
    let line = page.lines().find(|line| line.starts_with("claviger_devices_away "));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_token_that_is_deleted_while_it_serves_is_missed() {
    let mut deployment = Deployment::blank(true);
    let (second, section) = further_token(deployment.token.as_ref().unwrap(), "second");
    deployment.more = section;
    deployment.init();
    let first = {
        let mut all = tokens(deployment.token.as_ref().unwrap());
        all.remove(&second);
        all.pop_first().unwrap()
    };
    let process = deployment.serve();
    let work = Work::new(&deployment, &process);
    root_json(&deployment, "add-wrap", &["second"]);
    root_json(&deployment, "drill", &[]);
    let aside = deployment.dir.path().join("aside");

    // One of two: it is served, and said.
    std::fs::rename(&second, &aside).unwrap();
    until("the status says so", || away(&root_json(&deployment, "status", &[]), "second"));
    until("the metric says so", || metric(&process) == "1");
    assert!(process.stderr().contains("a device cannot be used"));
    assert_eq!(ready(&process), 200);
    root(&deployment, "drill", &[]).assert(1, &["device second cannot be used"]);
    let status = root_json(&deployment, "status", &[]);
    assert!(!away(&status, "pkcs11"), "{status}");
    let root_of_first = super::support::root_of(&status, "pkcs11");
    assert_eq!(status["couldBeRetired"].as_array().unwrap().len(), 1, "{status}");
    root(&deployment, "retire", &[&root_of_first]).assert(1, &["is needed"]);

    // Both: what is open goes on, and the server is not ready.
    let aside_too = deployment.dir.path().join("aside-too");
    std::fs::rename(&first, &aside_too).unwrap();
    until("it is not ready", || ready(&process) == 503);
    work.check(&deployment, &process);

    // They are back, and nobody restarts anything.
    std::fs::rename(&aside_too, &first).unwrap();
    std::fs::rename(&aside, &second).unwrap();
    until("it is ready", || ready(&process) == 200);
    until("the metric says so", || metric(&process) == "0");
    assert_eq!(ready(&process), 200);
    let status = root_json(&deployment, "status", &[]);
    assert_eq!(status["couldBeRetired"].as_array().unwrap().len(), 2, "{status}");
    root_json(&deployment, "drill", &[]);
    root_json(&deployment, "retire", &[&root_of_first]);
    deployment.client(&process).kms("CreateKey", json!({})).unwrap();
    assert_eq!(process.stop().status.code(), Some(0));
}
