//! Backups that are not as they were written.
use super::support::{Work, back_up, command, text, verify};
use crate::harness::{Numbers, machine};
use crate::setup::Deployment;

const FLIPS: u64 = 150;

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
    let everywhere = (0..FLIPS).map(|_| numbers.below(length)).collect::<Vec<_>>();
    for at in (0..16).chain(length - 40..length).chain(everywhere) {
        let mut bytes = good.clone();
        bytes[usize::try_from(at).unwrap()] ^= 1 << (at % 8);
        std::fs::write(&altered, bytes).unwrap();
        verify(&altered).assert(5, &["altered.backup"]);
    }
    for length in [0, 5, 9, 100, good.len() / 2, good.len() - 1] {
        std::fs::write(&altered, &good[..length]).unwrap();
        verify(&altered).assert(5, &["is not whole"]);
    }
    std::fs::write(&altered, [&good[..], b"x"].concat()).unwrap();
    verify(&altered).assert(5, &["something behind its end"]);
    // With a device likewise; and nothing of it is restored.
    command(&deployment, "verify", &[text(&altered)]).assert(5, &["something behind its end"]);
    command(&deployment, "restore", &["--replace", text(&altered)])
        .assert(5, &["something behind its end"]);
    assert!(!deployment.data().join("store.restoring").exists());
    assert!(deployment.serve().stop().status.success());
}
