//! The helper as a process: what it can see and touch, and when it ends.

use super::support::{
    helper, lives, on_faulty, signal, socket, software, start, unavailable, wrap,
};
use crate::timing::{MS, SOON, wait_until};
use claviger_hsm::{HelperHsm, Hsm, HsmError, suite};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;

#[test]
fn passes_the_suite() {
    let hsm = HelperHsm::start(helper(), software()).unwrap();
    suite::all(&hsm);
    suite::resident::all(&hsm);
}

#[test]
fn it_sees_nothing_that_it_should_not() {
    on_faulty(it_sees_nothing_that_it_should_not, "device", |mut config, _| {
        config.env.retain(|(name, _)| name.to_string_lossy().starts_with("CLAVIGER_HSM_TEST_"));
        config.env.push(("ONLY".into(), "this".into()));
        let hsm = start(config);
        let Err(HsmError::Refused(seen)) = wrap(&hsm, b"do inspect") else { panic!() };
        assert!(seen.contains(r#"fds: "/dev/null" "/dev/null" "/dev/null""#), "{seen}");
        assert!(seen.contains("core: 0 0"), "{seen}");
        assert!(seen.contains(r#"("ONLY", "this")"#) && !seen.contains("PATH"), "{seen}");
        // The seed.
        assert!(!seen.contains("7, 7") && !seen.contains("\\u{7}"), "{seen}");
    });
}

#[test]
fn what_it_prints_and_reads_does_not_disturb() {
    on_faulty(what_it_prints_and_reads_does_not_disturb, "device", |config, _| {
        let hsm = start(config);
        for _ in 0..20 {
            wrap(&hsm, b"do print").unwrap();
        }
        assert_eq!(hsm.status().starts, 1);
    });
}

#[test]
fn it_ends_with_the_device_that_it_serves() {
    let hsm = HelperHsm::start(helper(), software()).unwrap();
    let pid = hsm.status().pid.unwrap();
    assert!(lives(pid));
    drop(hsm);
    assert!(!lives(pid), "dropped, and the helper lives");
}

#[test]
fn one_that_hangs_is_killed_when_the_device_is_dropped() {
    on_faulty(one_that_hangs_is_killed_when_the_device_is_dropped, "device", |mut config, _| {
        config.deadline = 100 * MS;
        config.slow_deadline = 100 * MS;
        let hsm = start(config);
        unavailable(wrap(&hsm, b"do hang"), "no answer");
        wait_until("there is another", || hsm.probe().is_ok());
        let pid = hsm.status().pid.unwrap();
        drop(hsm);
        assert!(!lives(pid));
    });
}

/// Where the test's own process is the server that is killed.
const SERVER: &str = "CLAVIGER_HSM_TEST_SERVER";

#[test]
fn it_ends_when_the_server_is_killed_even_if_its_threads_hang() {
    on_faulty(
        it_ends_when_the_server_is_killed_even_if_its_threads_hang,
        "device",
        |mut config, _| {
            config.deadline = 600_000 * MS;
            config.threads = 2;
            if std::env::var_os(SERVER).is_some() {
                let hsm = start(config);
                println!("helper {}", hsm.status().pid.unwrap());
                thread::scope(|scope| {
                    // More than go in: one thread of the helper must be left that sees the end.
                    for _ in 0..5 {
                        scope.spawn(|| wrap(&hsm, b"do hang"));
                    }
                });
                return;
            }
            let mut server = Command::new(&config.program)
                .args(&config.args)
                .env(SERVER, "1")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
            let pid = lines
                .find_map(|line| line.unwrap().rsplit_once("helper ")?.1.parse().ok())
                .unwrap();
            thread::sleep(500 * MS);
            assert!(lives(pid));
            server.kill().unwrap();
            server.wait().unwrap();
            let took = wait_until("it is gone", || !lives(pid));
            assert!(took < SOON, "{took:?}");
        },
    );
}

#[test]
fn signals_to_the_whole_group_of_the_server_do_not_end_it() {
    let hsm = HelperHsm::start(helper(), software()).unwrap();
    let pid = hsm.status().pid.unwrap();
    for name in ["TERM", "INT", "HUP"] {
        signal(name, pid);
    }
    thread::sleep(200 * MS);
    hsm.probe().unwrap();
    assert_eq!((hsm.status().pid, hsm.status().starts), (Some(pid), 1));
    let group = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let group: u32 = group.rsplit_once(") ").unwrap().1.split(' ').nth(2).unwrap().parse().unwrap();
    assert_eq!(group, pid, "it is in the server's process group");
}

#[test]
fn by_hand_it_says_nothing_and_ends() {
    let output = Command::new(helper().program).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    // Nothing of it is for people: whatever comes is no preamble.
    let mut piped = Command::new(helper().program).stdin(Stdio::piped()).spawn().unwrap();
    let _ = std::io::Write::write_all(&mut piped.stdin.take().unwrap(), b"hello\n");
    assert!(!piped.wait().unwrap().success());
    // Its socket is what it was given as stdin, which this test's process has none of.
    let _ = socket;
}
