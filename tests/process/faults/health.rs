//! What the operator sees of a device that misbehaves: `root status`, /readyz and /metrics say the same.
use super::support::{Faulty, HEALS, Job, Keys, crowd, make_key, serve_with_helper};
use crate::client::{Client, get};
use crate::harness::{Process, machine, now};
use crate::roots::helper::helpers;
use crate::roots::support::{root, root_json};
use crate::setup::Deployment;
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use std::time::Duration;

/// A figure of the only device; none if there is no such line.
fn figure(process: &Process, name: &str) -> Option<u64> {
    let page = get(process.address, "/metrics").unwrap().text();
    let line = format!("claviger_device_{name}{{device=\"pkcs11\"}} ");
    page.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok())
}

fn health(deployment: &Deployment) -> Value {
    root_json(deployment, "status", &[])["devices"][0]["health"].clone()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = now();
    while !is_so() {
        assert!(began.elapsed() < HEALS, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_module_that_hangs_is_seen_by_the_operator_and_so_is_its_end() {
    let _busy = machine(false);
    let faulty = Faulty::new();
    let process = faulty.serve();
    let keys = Keys::new(&mut faulty.deployment.client(&process));
    let well = health(&faulty.deployment);
    assert_eq!(
        (&well["guard"]["circuit"], &well["guard"]["hanging"]),
        (&"closed".into(), &0.into())
    );
    assert_eq!(well["helper"], Value::Null);
    assert_eq!((figure(&process, "circuit"), figure(&process, "helper_up")), (Some(0), None));
    assert_eq!(get(process.address, "/readyz").unwrap().text(), "ready\n");
    let inside = |client: &mut Client| keys.use_inside(client);
    // What the breaker's probe calls hangs too, so that the circuit stays open.
    let jobs = [Job("inside", &inside), Job("inside", &inside), Job("make", &make_key)];
    crowd(&faulty.deployment, &process, &jobs, |seen| {
        seen.wait("inside", "OK", 5);
        faulty.rules("C_EncryptInit * hang\nC_GenerateRandom * hang\nC_GetSessionInfo * hang");
        seen.wait("inside", "KMSInvalidStateException", 40);
        seen.wait("make", "DependencyTimeoutException", 5);
        until("the circuit is open", || figure(&process, "circuit").unwrap() > 0);
        assert!(figure(&process, "calls_hanging").unwrap() >= 1);
        assert!(figure(&process, "timeouts_total").unwrap() >= 1);
        assert!(figure(&process, "refusals_total").unwrap() >= 1);
        let seen = health(&faulty.deployment);
        assert_ne!(seen["guard"]["circuit"], "closed", "{seen}");
        assert!(seen["guard"]["hanging"].as_u64().unwrap() >= 1, "{seen}");
        let said = seen["guard"]["lastError"].as_str().unwrap();
        assert!(said.contains("no answer within"), "{said}");
        let page = get(process.address, "/readyz").unwrap();
        let text = page.text();
        assert_eq!(page.status, 503, "{text}");
        assert!(text.contains("device pkcs11: circuit ") && text.contains("calls hang"), "{text}");
        // The device's own words are not for everybody.
        assert!(!text.contains("answer within"), "{text}");
        faulty.rules("");
    });
    until("the circuit is closed", || figure(&process, "circuit") == Some(0));
    keys.works(&mut faulty.deployment.client(&process));
    let lost = figure(&process, "calls_hanging").unwrap();
    assert!(lost >= 1, "what hangs in a module hangs until the process ends");
    let text = get(process.address, "/readyz").unwrap().text();
    assert_eq!(text, format!("ready\ndevice pkcs11: {lost} calls hang in it\n"));
    let status = root(&faulty.deployment, "status", &[]).stdout;
    assert!(status.contains("circuit closed for") && status.contains("last error: "), "{status}");
}

#[test]
fn a_helper_that_crashes_is_seen_by_the_operator() {
    let _busy = machine(false);
    let deployment = Deployment::new(true);
    let process = serve_with_helper(&deployment);
    let mut client = deployment.client(&process);
    let keys = Keys::new(&mut client);
    assert_eq!(figure(&process, "helper_starts_total"), Some(1));
    for (crash, starts) in [(Signal::ABORT, 2), (Signal::KILL, 3)] {
        let before = helpers(&process);
        let [helper] = before.as_slice() else { panic!("wanted one helper, found {before:?}") };
        kill_process(*helper, crash).unwrap();
        // Its end is seen before anybody calls it: by the watch of the devices at the latest.
        until("its end is seen", || {
            figure(&process, "helper_up") == Some(0)
                || figure(&process, "helper_starts_total") == Some(starts)
        });
        keys.works(&mut client);
        assert_eq!(figure(&process, "helper_starts_total"), Some(starts));
        assert_eq!(figure(&process, "helper_up"), Some(1));
        let seen = health(&deployment);
        assert_eq!(seen["helper"]["starts"], starts, "{seen}");
        let pid = helpers(&process)[0].as_raw_nonzero().get();
        assert_eq!(seen["helper"]["pid"], pid, "{seen}");
        let said = seen["helper"]["lastEnd"].as_str().unwrap();
        assert!(said.contains(&format!("signal {}", crash.as_raw())), "{said}");
    }
}
