//! Backups that are not as they were written.
use super::support::{Work, back_up, command, text, verify};
use crate::harness::{Numbers, machine};
use crate::setup::Deployment;

/// Each is a process; the library's own tests flip every byte.
const FLIPS: u64 = 12;

fn flips() -> u64 {
    let given = std::env::var("CLAVIGER_BACKUP_FLIPS").ok();
    given.map_or(FLIPS, |text| text.parse().expect("CLAVIGER_BACKUP_FLIPS is a number"))
}

#[test]
fn whatever_byte_is_flipped_is_found_without_a_device() {
    let _machine = machine(false);
    let deployment = Deployment::new(true);
    let file = deployment.dir.path().join("one.backup");
    let process = deployment.serve();
    Work::new(&mut deployment.client(&process), "s");
    back_up(&deployment, &file);
    assert_eq!(process.stop().status.code(), Some(0));
    let good = std::fs::read(&file).unwrap();
    let altered = deployment.dir.path().join("altered.backup");
    let mut numbers = Numbers(7);
    let length = good.len() as u64;
    let everywhere = (0..flips()).map(|_| numbers.below(length)).collect::<Vec<_>>();
    for at in (0..10).step_by(3).chain([length - 33, length - 1]).chain(everywhere) {
        let mut bytes = good.clone();
        bytes[usize::try_from(at).unwrap()] ^= 1 << (at % 8);
        std::fs::write(&altered, bytes).unwrap();
        verify(&altered).assert(5, &["altered.backup"]);
    }
    for length in [0, 9, good.len() / 2, good.len() - 1] {
        std::fs::write(&altered, &good[..length]).unwrap();
        verify(&altered).assert(5, &["is not whole"]);
    }
    std::fs::write(&altered, [&good[..], b"x"].concat()).unwrap();
    verify(&altered).assert(5, &["something behind its end"]);
    verify(deployment.dir.path()).assert(5, &["is no file"]);
    verify(&deployment.dir.path().join("nothing")).assert(1, &["nothing: No such file"]);
    std::fs::write(deployment.dir.path().join("text"), "something else altogether").unwrap();
    verify(&deployment.dir.path().join("text")).assert(5, &["is no backup of claviger"]);
    // With a device likewise; and nothing of it is restored.
    command(&deployment, "verify", &[text(&altered)]).assert(5, &["something behind its end"]);
    command(&deployment, "restore", &["--replace", "--accept-older", text(&altered)])
        .assert(5, &["something behind its end"]);
    assert!(!deployment.data().join("store.restoring").exists());
    assert!(deployment.serve().stop().status.success());
}
