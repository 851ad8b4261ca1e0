//! A vendor's library in a process of its own: the server outlives its crash, and so does the device.
use super::support::{Load, Work, further_token, root, root_json, root_of};
use crate::harness::Process;
use crate::setup::Deployment;
use rustix::process::{Pid, Signal, kill_process};

/// The helper processes of a server.
pub fn helpers(process: &Process) -> Vec<Pid> {
    let tasks = format!("/proc/{}/task", process.pid().as_raw_nonzero());
    let children = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default()
    };
    let all: Vec<String> = std::fs::read_dir(tasks).unwrap().map(children).collect();
    let numbers = all.iter().flat_map(|line| line.split_whitespace());
    let pids: Vec<Pid> =
        numbers.filter_map(|pid| pid.parse().ok()).filter_map(Pid::from_raw).collect();
    let is_helper = |pid: &Pid| {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
        line.is_ok_and(|line| String::from_utf8_lossy(&line).contains("device-helper"))
    };
    pids.into_iter().filter(is_helper).collect()
}

#[test]
fn a_library_that_crashes_in_a_process_of_its_own_takes_nobody_along() {
    let mut deployment = Deployment::blank(true);
    let (_, section) = further_token(deployment.token.as_ref().unwrap(), "second");
    deployment.more = format!("{section}helper = true\n");
    deployment.init();
    let mut process = deployment.serve();
    let work = Work::new(&deployment, &process);
    root_json(&deployment, "add-wrap", &["second"]);
    let first = root_of(&root_json(&deployment, "status", &[]), "pkcs11");
    root_json(&deployment, "retire", &[&first]);
    // Nothing of ours is in its environment or its arguments.
    let before = helpers(&process);
    let [helper] = before.as_slice() else { panic!("wanted one helper, found {before:?}") };
    let environment = std::fs::read(format!("/proc/{}/environ", helper.as_raw_nonzero())).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(environment.contains("SOFTHSM2_CONF=") && !environment.contains("CARGO"));
    Load::during(&deployment, &process, &work, 2, |load| {
        for _ in 0..3 {
            load.go_on(20);
            for helper in helpers(&process) {
                // It may have ended by itself just now.
                let _ = kill_process(helper, Signal::KILL);
            }
            load.go_on(20);
            // It is started again by the next call, after a back-off.
            let back = (0..100).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(200));
                // It fails while a wrap does not open.
                root(&deployment, "drill", &[]).status.success()
            });
            assert!(back, "the helper does not come back");
        }
    });
    let after = helpers(&process);
    assert!(after.len() == 1 && after != before, "{before:?}, {after:?}");
    // It does not outlive the server, however that ends.
    process.kill();
    for _ in 0..500 {
        if !std::path::Path::new(&format!("/proc/{}", after[0].as_raw_nonzero())).exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the helper is still there");
}
