//! RSA-OAEP: the bounds of the plaintext, and one answer to every broken ciphertext.
use super::*;
use EncryptionAlgorithm::{RsaesOaepSha1, RsaesOaepSha256, SymmetricDefault};
use PrimitiveError::{InvalidCiphertext, PlaintextTooLong, WrongAlgorithm};

#[test]
fn the_longest_plaintexts_are_aws_numbers() {
    for (spec, sha1, sha256) in [
        (KeySpec::Rsa2048, 214, 190),
        (KeySpec::Rsa3072, 342, 318),
        (KeySpec::Rsa4096, 470, 446),
        (KeySpec::EccNistP256, 0, 0),
    ] {
        assert_eq!(PrivateKey::max_plaintext(spec, RsaesOaepSha1), sha1);
        assert_eq!(PrivateKey::max_plaintext(spec, RsaesOaepSha256), sha256);
        assert_eq!(PrivateKey::max_plaintext(spec, SymmetricDefault), 0);
    }
    assert_eq!(PrivateKey::max_plaintext(KeySpec::SymmetricDefault, SymmetricDefault), 4096);
    assert_eq!(PrivateKey::max_plaintext(KeySpec::SymmetricDefault, RsaesOaepSha1), 0);
}

pub(super) fn round_trip(key: &PrivateKey) {
    let spec = key.spec();
    for algorithm in [RsaesOaepSha1, RsaesOaepSha256] {
        let max = PrivateKey::max_plaintext(spec, algorithm);
        for length in [0, 1, max] {
            let plaintext = vec![0xa5; length];
            let ciphertext = key.encrypt(algorithm, &plaintext).unwrap();
            assert_ne!(ciphertext, key.encrypt(algorithm, &plaintext).unwrap());
            assert_eq!(*key.decrypt(algorithm, &ciphertext).unwrap(), plaintext);
        }
        let refused = PlaintextTooLong { algorithm, spec, max };
        assert_eq!(key.encrypt(algorithm, &vec![0; max + 1]), Err(refused));
        let text = format!(
            "Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {max} bytes."
        );
        assert_eq!(refused.to_string(), text);
    }
}

#[test]
fn rsa_goes_round() {
    round_trip(&key(KeySpec::Rsa2048));
}

#[test]
fn a_broken_ciphertext_is_never_more_than_invalid() {
    let key = key(KeySpec::Rsa2048);
    let good = key.encrypt(RsaesOaepSha256, b"secret").unwrap();
    let mut flipped = good.clone();
    flipped[100] ^= 1;
    let longer = [good.as_slice(), &[0]].concat();
    for broken in [&flipped, &longer, &good[1..].to_vec(), &vec![0xff; 256], &vec![0; 256], &vec![]]
    {
        assert_eq!(key.decrypt(RsaesOaepSha256, broken), Err(InvalidCiphertext));
    }
    assert_eq!(key.decrypt(RsaesOaepSha1, &good), Err(InvalidCiphertext), "another hash");
    assert_eq!(key.decrypt(SymmetricDefault, &good), Err(WrongAlgorithm));
    assert_eq!(key.encrypt(SymmetricDefault, b"secret"), Err(WrongAlgorithm));
}

#[test]
fn only_rsa_encrypts() {
    for spec in QUICK.iter().copied().filter(|spec| !spec.is_rsa()) {
        let key = key(spec);
        assert_eq!(key.encrypt(RsaesOaepSha256, b"x"), Err(WrongAlgorithm));
        assert_eq!(key.decrypt(RsaesOaepSha256, b"x"), Err(WrongAlgorithm));
    }
}
