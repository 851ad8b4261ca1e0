//! Starting: programs that are no helpers, devices that do not open.

use super::support::{helper, lives, on_faulty, software, unavailable};
use crate::timing::{MS, SOON, timed, wait_until};
use claviger_hsm::{HelperConfig, HelperHsm, HsmError};

fn start_error(config: HelperConfig) -> HsmError {
    let (result, took) = timed(|| HelperHsm::start(config, software()));
    assert!(took < SOON, "{took:?}");
    result.unwrap_err()
}

fn program(program: &str, args: &[&str]) -> HelperConfig {
    let mut config = HelperConfig::new(program);
    config.args = args.iter().map(Into::into).collect();
    config.start_deadline = 500 * MS;
    config
}

fn says(config: HelperConfig, what: &str) {
    unavailable::<()>(Err(start_error(config)), what);
}

#[test]
fn a_program_that_is_missing() {
    says(program("/no/such/helper", &[]), "/no/such/helper cannot be started: No such file");
}

#[test]
fn a_program_that_would_be_searched_for() {
    let error = start_error(program("sleep", &["600"]));
    assert!(matches!(error, HsmError::Refused(_)), "{error:?}");
    assert!(error.to_string().ends_with("wanted an absolute path, found sleep"), "{error}");
}

#[test]
fn programs_that_are_no_helpers() {
    says(program("/bin/true", &[]), "it exited with status 0");
    says(program("/bin/false", &[]), "it exited with status 1");
    says(program("/bin/sleep", &["600"]), "no answer within 0.5 s");
    says(program("/bin/sh", &["-c", "kill -9 $$"]), "ended by signal 9");
    // Its stdin is the socket, so this is an answer.
    says(program("/bin/sh", &["-c", "echo hello world >&0"]), "another protocol or version");
    says(program("/bin/sh", &["-c", "yes >&0"]), "another protocol or version");
    // What is sent comes back: the protocol is right, the message is not.
    says(program("/bin/sh", &["-c", "cat >&0"]), "it sent");
}

#[test]
fn another_version() {
    on_faulty(another_version, "another-version", |config, _| {
        says(config, r"wanted claviH\x00\x01, found claviH\x00\x7f");
    });
}

#[test]
fn a_helper_that_says_nothing() {
    on_faulty(a_helper_that_says_nothing, "silent", |mut config, _| {
        config.start_deadline = 700 * MS;
        says(config, "no answer within 0.7 s");
    });
}

#[test]
fn a_crash_while_it_opens_the_device() {
    on_faulty(a_crash_while_it_opens_the_device, "crash-on-open", |config, notes| {
        says(config, "ended by signal 6");
        let opens = std::fs::read_to_string(notes).unwrap();
        assert_eq!(opens.lines().count(), 1, "the first start is tried once");
    });
}

#[test]
fn a_device_that_opens_too_slowly() {
    on_faulty(a_device_that_opens_too_slowly, "slow-open", |mut config, _| {
        config.start_deadline = 700 * MS;
        says(config, "no answer within 0.7 s");
    });
}

#[test]
fn a_seed_of_another_length_is_the_devices_own_error() {
    let device = claviger_hsm::worker::OpenRequest::Software {
        seed: claviger_hsm::KeyBytes::new(vec![1; 31]),
    };
    let error = HelperHsm::start(helper(), device).unwrap_err();
    assert_eq!(error, HsmError::Refused("a seed has 32 bytes".into()));
}

#[test]
fn a_start_that_failed_leaves_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 600", pid.display());
    says(program("/bin/sh", &["-c", &script]), "no answer");
    let pid = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    wait_until("it is gone", || !lives(pid));
}
