//! A process that is killed while it makes keys. SoftHSM writes an attribute at a time and syncs
//! nothing, so that it leaves objects of every degree of completeness.

use super::super::support::{LABEL, TestToken, on_softhsm};
use super::{ONE_OF_EACH, id, keys, use_once};
use claviger_hsm::pkcs11::Pkcs11Hsm;
use claviger_hsm::{HsmError, ResidentId};
use cryptoki::object::{Attribute, AttributeType};
use std::process::Command;
use std::time::Duration;

const ROUND: &str = "CLAVIGER_TEST_KILLED_ROUND";
const ROUNDS: u64 = 12;
/// More than a process makes before it is killed.
const MOST: usize = 400;

fn name(round: u64, n: usize) -> ResidentId {
    id(&format!("killed-{round}-{n}"))
}

/// Makes keys until it is killed; makes a file after the first.
fn make_until_killed(token: &TestToken, round: u64) {
    let hsm = token.open();
    keys(&hsm).specs();
    for n in 0..MOST {
        // Secret keys mostly: they are made the quickest, and written as slowly as others.
        let spec = ONE_OF_EACH[[0, 1, 4, 5][n % 4]];
        keys(&hsm).generate(&name(round, n), spec).unwrap();
        std::fs::write(token.dir.join("begun"), "").unwrap();
    }
}

#[test]
fn what_a_kill_leaves_is_never_a_bad_key_and_goes() {
    on_softhsm(what_a_kill_leaves_is_never_a_bad_key_and_goes, "", |token| {
        if let Ok(round) = std::env::var(ROUND) {
            return make_until_killed(token, round.parse().unwrap());
        }
        token.init(LABEL);
        let mut made = 0;
        for round in 0..ROUNDS {
            let (_, test) = module_path!().split_once("::").unwrap();
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    &format!("{test}::what_a_kill_leaves_is_never_a_bad_key_and_goes"),
                ])
                .env(ROUND, round.to_string())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let begun = token.dir.join("begun");
            while !begun.exists() {
                assert!(child.try_wait().unwrap().is_none(), "the child has ended by itself");
                std::thread::sleep(Duration::from_millis(2));
            }
            std::thread::sleep(Duration::from_millis(7 + 31 * round));
            child.kill().unwrap();
            child.wait().unwrap();
            std::fs::remove_file(begun).unwrap();
            made += examine(token, round);
        }
        assert!(made >= usize::try_from(ROUNDS).unwrap(), "{made} keys");
    });
}

/// Every key that is left either works or is named as broken, and all can be destroyed. Says how
/// many were whole.
fn examine(token: &TestToken, round: u64) -> usize {
    let hsm: Pkcs11Hsm = token.open();
    let listed = keys(&hsm).resident_keys().unwrap();
    let broken = keys(&hsm).broken().unwrap();
    for id in &listed {
        let is_broken = broken.iter().any(|one| one.id == *id);
        match keys(&hsm).check(id, None) {
            // The child made no other kinds than these, and only the last can be unfinished.
            Ok(report) if !report.spec.is_pair() => {
                use_once(keys(&hsm), id, report.spec, &None).unwrap();
            }
            Ok(_) => {}
            Err(HsmError::Unavailable(why)) => panic!("{id}: {why}"),
            Err(error) => assert!(is_broken, "{id}: {error}"),
        }
    }
    assert!(broken.len() <= 1, "{broken:?}");
    // Whoever made them has written their names down before.
    for n in 0..=listed.len() + 1 {
        keys(&hsm).destroy(&name(round, n)).unwrap();
    }
    assert_eq!(keys(&hsm).resident_keys().unwrap(), []);
    assert_eq!(keys(&hsm).broken().unwrap(), []);
    let session = token.raw_session();
    for object in session.find_objects(&[Attribute::Token(true)]).unwrap() {
        let label = session.get_attributes(object, &[AttributeType::Label]).unwrap_or_default();
        let is_ours = |label: &[u8]| String::from_utf8_lossy(label).starts_with("claviger/test");
        let named =
            label.iter().any(|one| matches!(one, Attribute::Label(label) if is_ours(label)));
        assert!(!named, "left: {label:?}");
    }
    listed.len() - broken.len()
}
