//! A TPM as the only root: power cuts under load, another state of the machine, a wrong auth value, lockout.
use super::support::{HEALS, ready};
use crate::client::get;
use crate::harness::{Process, machine, now};
use crate::roots::support::{Load, Swtpm, Work, private, root_json, root_of};
use crate::setup::Deployment;
use std::time::Duration;

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A deployment whose domain key is wrapped by a TPM alone; its token gives randomness.
fn under_a_tpm(more: &str) -> (Deployment, Swtpm, Work) {
    let swtpm = Swtpm::start();
    let mut deployment = Deployment::blank(true);
    let auth = deployment.dir.path().join("auth");
    private(&auth, "right-horse");
    let more = more.replace("AUTH", auth.to_str().unwrap());
    deployment.more = format!("{}{more}", swtpm.section("chip"));
    deployment.init();
    let process = deployment.serve();
    let work = Work::new(&deployment, &process);
    root_json(&deployment, "add-wrap", &["chip"]);
    let first = root_of(&root_json(&deployment, "status", &[]), "pkcs11");
    root_json(&deployment, "retire", &[&first]);
    assert_eq!(process.stop().status.code(), Some(0));
    (deployment, swtpm, work)
}

fn opens(process: &Process) {
    let began = now();
    while get(process.address, "/readyz").map_or(0, |answer| answer.status) != 200 {
        assert!(began.elapsed() < HEALS, "it stays sealed:\n{}", process.stderr());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_sealed(process: &Process, reason: &str) {
    let (status, text) = ready(process);
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("\"sealed\"") && text.contains(reason), "{reason}: {text}");
}

#[test]
fn a_power_cut_is_not_noticed_by_clients_and_the_root_opens_again() {
    let _busy = machine(false);
    let (deployment, mut swtpm, work) = under_a_tpm("");
    let process = deployment.serve();
    Load::during(&deployment, &process, &work, 2, |load| {
        for _ in 0..3 {
            load.go_on(20);
            swtpm.off();
            load.go_on(20);
            swtpm.on();
            load.go_on(20);
            let drill = root_json(&deployment, "drill", &[]);
            assert!(drill["domainKeys"][0]["wraps"][0]["fault"].is_null(), "{drill}");
        }
    });
    assert_eq!(process.stop().status.code(), Some(0));
    // Away at the start: sealed until it is there.
    swtpm.off();
    let process = deployment.serve_sealed();
    is_sealed(&process, "TPM");
    swtpm.on();
    opens(&process);
    work.check(&deployment, &process);
}

#[test]
fn another_state_of_the_machine_seals_it_until_the_old_one_is_back() {
    let (deployment, mut swtpm, work) = under_a_tpm("pcrs = \"sha256:7,16\"\n");
    swtpm.tool("tpm2_pcrextend", &[&format!("16:sha256={DIGEST}")]);
    let process = deployment.serve_sealed();
    is_sealed(&process, "PCR 16 changed");
    std::thread::sleep(Duration::from_secs(2));
    is_sealed(&process, "PCR 16 changed");
    // The machine is started as it was.
    swtpm.off();
    swtpm.on();
    opens(&process);
    work.check(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn a_wrong_auth_value_is_tried_once_and_a_lockout_is_waited_out() {
    let (deployment, swtpm, work) = under_a_tpm("auth_file = \"AUTH\"\n");
    let auth = deployment.dir.path().join("auth");
    let tried = || {
        let shown = swtpm.tool("tpm2_getcap", &["properties-variable"]);
        let line = shown.lines().find(|line| line.contains("TPM2_PT_LOCKOUT_COUNTER")).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    private(&auth, "wrong-horse");
    let before = tried();
    let process = deployment.serve_sealed();
    is_sealed(&process, "tried exactly once");
    assert!(ready(&process).1.contains("\"operatorNeeded\":true"), "{:?}", ready(&process));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((before.as_str(), tried().as_str()), ("0x0", "0x1"));
    private(&auth, "right-horse");
    opens(&process);
    assert_eq!(tried(), "0x1");
    work.check(&deployment, &process);
    assert!(!process.stderr().contains("horse"), "an auth value is in the log");
    assert_eq!(process.stop().status.code(), Some(0));

    // Somebody else's guesses have locked it.
    swtpm.guess(3);
    let process = deployment.serve_sealed();
    is_sealed(&process, "in lockout");
    assert!(ready(&process).1.contains("\"operatorNeeded\":true"), "{:?}", ready(&process));
    swtpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
    opens(&process);
    work.check(&deployment, &process);
}
