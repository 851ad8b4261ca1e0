//! ECDH: both sides find the same, and only points of the same curve are taken.
use super::super::der;
use super::*;
use PrimitiveError::{InvalidPublicKey, WrongAlgorithm};

const NIST: [(KeySpec, usize); 3] =
    [(KeySpec::EccNistP256, 32), (KeySpec::EccNistP384, 48), (KeySpec::EccNistP521, 66)];
/// id-ecPublicKey and prime256v1.
const P256: [u8; 19] = [
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x03, 0x01, 0x07,
];

fn other(spec: KeySpec) -> PrivateKey {
    let bytes = PrivateKey::generate(spec, &SeededRandom::new(8)).unwrap();
    PrivateKey::parse(spec, &bytes).unwrap()
}

#[test]
fn both_sides_find_the_same() {
    for (spec, length) in NIST {
        let (ours, theirs) = (key(spec), other(spec));
        let found = ours.derive(&theirs.public_key_der().unwrap()).unwrap();
        assert_eq!(found.len(), length, "the x coordinate, with its leading zeros");
        assert_eq!(found, theirs.derive(&ours.public_key_der().unwrap()).unwrap());
    }
}

/// RFC 5903, 8.1.
#[test]
fn p256_finds_what_the_rfc_says() {
    let scalar = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
    let peer = "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63\
                56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab";
    let shared = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de";
    let private = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::INTEGER, &[&[1]]),
            &der::element(der::OCTET_STRING, &[&hex::decode(scalar).unwrap()]),
        ],
    );
    let key = PrivateKey::parse(KeySpec::EccNistP256, &der::pkcs8_frame(&P256, &private)).unwrap();
    let found = key.derive(&der::spki_frame(&P256, &hex::decode(peer).unwrap())).unwrap();
    assert_eq!(hex::encode(&*found), shared);
}

#[test]
fn what_is_no_point_of_the_curve_is_refused() {
    for (spec, _) in NIST {
        let ours = key(spec);
        let good = other(spec).public_key_der().unwrap();
        let point = der::spki_bits(&good).unwrap().to_vec();
        let mut off_the_curve = good.clone();
        *off_the_curve.last_mut().unwrap() ^= 1;
        let trailing = [good.as_slice(), &[0]].concat();
        let cut = good[..good.len() - 1].to_vec();
        let infinity = der::spki_frame(&P256, &[0]);
        for peer in [point, off_the_curve, trailing, cut, infinity, vec![], vec![0x30]] {
            assert_eq!(ours.derive(&peer).map(drop), Err(InvalidPublicKey), "{spec}");
        }
        for another in QUICK.iter().copied().filter(|s| s.is_asymmetric() && *s != spec) {
            let peer = key(another).public_key_der().unwrap();
            assert_eq!(ours.derive(&peer).map(drop), Err(InvalidPublicKey), "{spec} {another}");
        }
    }
}

#[test]
fn only_the_nist_curves_agree() {
    let peer = key(KeySpec::EccNistP256).public_key_der().unwrap();
    for spec in QUICK.iter().copied().filter(|spec| NIST.iter().all(|(nist, _)| nist != spec)) {
        assert_eq!(key(spec).derive(&peer).map(drop), Err(WrongAlgorithm));
    }
}
