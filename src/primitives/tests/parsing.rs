//! What is no key of the spec: other specs, other sizes, weak keys, trailing bytes, garbage.
use super::super::der;
use super::*;
use PrimitiveError::{InvalidMaterial, InvalidPublicKey, WrongAlgorithm};

#[test]
fn a_key_is_of_one_spec_only() {
    let keys: Vec<_> = QUICK.iter().map(|spec| (*spec, bytes(*spec))).collect();
    for (made_as, bytes) in &keys {
        for spec in KeySpec::ALL.iter().copied().filter(|spec| spec != made_as) {
            // Any bytes are an HMAC key if there are enough of them.
            if spec.is_hmac() {
                continue;
            }
            let refused = if spec.is_symmetric() { WrongAlgorithm } else { InvalidMaterial };
            let parsed = PrivateKey::parse(spec, bytes).map(drop);
            assert_eq!(parsed, Err(refused), "{made_as} as {spec}");
        }
    }
}

#[test]
fn a_public_key_is_of_one_spec_only() {
    let pairs = || QUICK.iter().copied().filter(|spec| spec.is_asymmetric());
    for made_as in pairs() {
        let der = key(made_as).public_key_der().unwrap();
        assert_eq!(PublicKey::parse_spki(made_as, &der).unwrap().der(), der);
        for spec in pairs().filter(|spec| *spec != made_as) {
            let parsed = PublicKey::parse_spki(spec, &der).map(drop);
            assert_eq!(parsed, Err(InvalidPublicKey), "{made_as} as {spec}");
        }
        let trailing = [der.as_slice(), &[0]].concat();
        let parsed = PublicKey::parse_spki(made_as, &trailing).map(drop);
        assert_eq!(parsed, Err(InvalidPublicKey), "{made_as}");
        let raw = der::spki_bits(&der).unwrap();
        let parsed = PublicKey::parse_spki(made_as, raw).map(drop);
        assert_eq!(parsed, Err(InvalidPublicKey), "{made_as}: bare, without its frame");
    }
    for spec in [KeySpec::SymmetricDefault, KeySpec::Hmac256] {
        assert_eq!(PublicKey::parse_spki(spec, &[0; 32]).map(drop), Err(WrongAlgorithm));
    }
}

#[test]
fn trailing_and_missing_bytes_are_refused() {
    for spec in QUICK.iter().copied().filter(|spec| !spec.is_hmac()) {
        let good = bytes(spec);
        for bad in [
            [good.as_slice(), &[0]].concat(),
            [good.as_slice(), &good].concat(),
            good[..good.len() - 1].to_vec(),
            good[1..].to_vec(),
            vec![],
        ] {
            assert_eq!(PrivateKey::parse(spec, &bad).map(drop), Err(InvalidMaterial), "{spec}");
        }
    }
}

/// Not one panic, whatever the bytes. A flipped bit makes another key of a seed; any other key is refused
/// or, where the bit says nothing about it (a version, how a point is written), remains the same.
#[test]
fn damage_never_panics() {
    use crate::random::Random;
    use KeySpec::*;
    let seeds = [EccNistEdwards25519, MlDsa44, MlDsa65, MlDsa87, MlKem512, MlKem768, MlKem1024];
    let random = SeededRandom::new(11);
    for spec in QUICK.iter().copied().filter(|spec| spec.is_asymmetric()) {
        let good = bytes(spec);
        let public = key(spec).public_key_der().unwrap();
        let mut others = 0;
        for round in 0..200 {
            let mut at = [0; 4];
            random.fill(&mut at);
            let mut bad = good.clone();
            let index = u32::from_le_bytes(at) as usize % bad.len();
            bad[index] ^= 1 << (round % 8);
            let Ok(key) = PrivateKey::parse(spec, &bad) else { continue };
            for algorithm in spec.signing_algorithms() {
                drop(key.sign(*algorithm, MessageType::Raw, b"message"));
            }
            others += usize::from(key.public_key_der().unwrap() != public);
        }
        assert_eq!(others > 0, seeds.contains(&spec), "{spec}: {others} other keys");
        let mut noise = vec![0; 2000];
        for length in 0..200 {
            random.fill(&mut noise);
            assert!(PrivateKey::parse(spec, &noise[..length * 10]).is_err());
            noise[..4].copy_from_slice(&[0x30, 0x82, 0x07, 0xcc]);
            assert!(PrivateKey::parse(spec, &noise).is_err());
            assert!(PublicKey::parse_spki(spec, &noise).is_err());
        }
    }
}

#[test]
fn weak_and_odd_rsa_keys_are_refused() {
    for (what, bytes) in [
        ("the exponent 3", &include_bytes!("rsa_2048_exponent_3.der")[..]),
        ("2056 bits", include_bytes!("rsa_2056.der")),
        ("for PSS only", include_bytes!("rsa_2048_pss_only.der")),
    ] {
        for spec in [KeySpec::Rsa2048, KeySpec::Rsa3072, KeySpec::Rsa4096] {
            let parsed = PrivateKey::parse(spec, bytes).map(drop);
            assert_eq!(parsed, Err(InvalidMaterial), "{what}");
        }
    }
}

/// The two halves of an elliptic curve's key must belong together.
#[test]
fn a_point_of_another_scalar_is_refused() {
    for spec in
        [KeySpec::EccNistP256, KeySpec::EccNistP384, KeySpec::EccNistP521, KeySpec::EccSecgP256K1]
    {
        let ours = bytes(spec);
        let theirs = PrivateKey::generate(spec, &SeededRandom::new(9)).unwrap();
        let theirs = PrivateKey::parse(spec, &theirs).unwrap().public_key_der().unwrap();
        let point = der::spki_bits(&theirs).unwrap();
        let own_point = ours.len() - point.len();
        let mixed = [&ours[..own_point], point].concat();
        assert_eq!(PrivateKey::parse(spec, &mixed).map(drop), Err(InvalidMaterial), "{spec}");
    }
}

/// A seed grows into an expanded key; one whose short vectors are not short would make a library panic.
#[test]
fn expanded_ml_dsa_keys_are_taken_if_they_are_in_range() {
    use aws_lc_rs::encoding::AsRawBytes;
    use aws_lc_rs::signature::{self as sig, PqdsaKeyPair};
    for (spec, algorithm, last) in [
        (KeySpec::MlDsa44, &sig::ML_DSA_44_SIGNING, 0x11),
        (KeySpec::MlDsa65, &sig::ML_DSA_65_SIGNING, 0x12),
        (KeySpec::MlDsa87, &sig::ML_DSA_87_SIGNING, 0x13),
    ] {
        let oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, last];
        let grown = PqdsaKeyPair::from_seed(algorithm, &[5; 32]).unwrap();
        let mut raw = grown.private_key().as_raw_bytes().unwrap().as_ref().to_vec();
        let frame =
            |raw: &[u8]| der::pkcs8_frame(&oid, &der::element(der::OCTET_STRING, &[raw])).to_vec();
        let key = PrivateKey::parse(spec, &frame(&raw)).unwrap();
        let algorithm = SigningAlgorithm::MlDsaShake256;
        for (kind, message) in
            [(MessageType::Raw, &b"message"[..]), (MessageType::ExternalMu, &[1; 64])]
        {
            let signature = key.sign(algorithm, kind, message).unwrap();
            assert_eq!(key.verify(algorithm, kind, message, &signature), Ok(()));
        }
        assert!(super::super::ml_dsa_mu::in_range(spec, &raw));
        raw[128] = 0xff;
        assert!(!super::super::ml_dsa_mu::in_range(spec, &raw));
        assert!(!super::super::ml_dsa_mu::in_range(spec, &raw[..128]));
        assert_eq!(PrivateKey::parse(spec, &frame(&raw)).map(drop), Err(InvalidMaterial));
    }
}

#[test]
fn keys_print_nothing_and_are_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let key = key(KeySpec::EccNistP256);
    shared(&key);
    assert_eq!(format!("{key:?}"), "PrivateKey { spec: EccNistP256, .. }");
    assert_eq!(format!("{:?}", key.public_key().unwrap()), "PublicKey { spec: EccNistP256, .. }");
}

/// What is random bytes comes from `Random`: the same seed makes the same key. RSA comes from the
/// library's generator.
#[test]
fn keys_come_from_the_random_that_was_given() {
    for spec in QUICK.iter().copied() {
        let repeats = bytes(spec) == bytes(spec);
        assert_eq!(repeats, !spec.is_rsa(), "{spec}");
        let other = PrivateKey::generate(spec, &SeededRandom::new(8)).unwrap();
        assert_ne!(*other, bytes(spec));
    }
    let refused = PrivateKey::generate(KeySpec::SymmetricDefault, &SeededRandom::new(8));
    assert_eq!(refused, Err(WrongAlgorithm));
}
