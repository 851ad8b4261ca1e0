//! HMAC, against another implementation of it.
use super::*;
use ::hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha224, Sha256, Sha384, Sha512};

#[test]
fn every_size_agrees_with_another_implementation() {
    fn other<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }
    for (spec, length, other) in [
        (KeySpec::Hmac224, 28, other::<Hmac<Sha224>> as fn(&[u8], &[u8]) -> Vec<u8>),
        (KeySpec::Hmac256, 32, other::<Hmac<Sha256>>),
        (KeySpec::Hmac384, 48, other::<Hmac<Sha384>>),
        (KeySpec::Hmac512, 64, other::<Hmac<Sha512>>),
    ] {
        let bytes = bytes(spec);
        assert_eq!(bytes.len(), length);
        let key = PrivateKey::parse(spec, &bytes).unwrap();
        for message in [&b""[..], b"message", &[7; 4096]] {
            let mac = key.mac(message).unwrap();
            assert_eq!(mac, other(&bytes, message));
            assert_eq!(key.verify_mac(message, &mac), Ok(()));
            let invalid = Err(PrimitiveError::InvalidMac);
            assert_eq!(key.verify_mac(b"another", &mac), invalid);
            assert_eq!(key.verify_mac(message, &mac[..length - 1]), invalid, "a MAC that was cut");
            assert_eq!(key.verify_mac(message, &[]), invalid);
            let mut flipped = mac.clone();
            flipped[length - 1] ^= 0x80;
            assert_eq!(key.verify_mac(message, &flipped), invalid);
        }
    }
}

#[test]
fn a_key_is_as_long_as_its_hash_or_longer_up_to_1024_bits() {
    for spec in [KeySpec::Hmac224, KeySpec::Hmac256, KeySpec::Hmac384, KeySpec::Hmac512] {
        let length = bytes(spec).len();
        for good in [length + 1, 128] {
            assert!(PrivateKey::parse(spec, &vec![1; good]).is_ok());
        }
        for wrong in [0, length - 1, 129] {
            let parsed = PrivateKey::parse(spec, &vec![1; wrong]);
            assert_eq!(parsed.map(drop), Err(PrimitiveError::InvalidMaterial));
        }
    }
}

#[test]
fn only_hmac_keys_make_macs() {
    let pair = key(KeySpec::EccNistP256);
    assert_eq!(pair.mac(b"x"), Err(PrimitiveError::WrongAlgorithm));
    assert_eq!(pair.verify_mac(b"x", b"y"), Err(PrimitiveError::WrongAlgorithm));
    assert_eq!(key(KeySpec::Hmac256).public_key_der(), Err(PrimitiveError::WrongAlgorithm));
}
