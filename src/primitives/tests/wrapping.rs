//! Unwrapping imported material.
use super::*;
use PrimitiveError::{InvalidCiphertext, WrongAlgorithm};
use WrappingAlgorithm::*;
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrapPadded};

/// As the one who imports does it, with an AES key of the length given.
fn wrap_with(
    key: &PrivateKey,
    algorithm: WrappingAlgorithm,
    material: &[u8],
    aes_bytes: usize,
) -> Vec<u8> {
    let encryption = match algorithm {
        RsaesOaepSha1 | RsaAesKeyWrapSha1 => EncryptionAlgorithm::RsaesOaepSha1,
        RsaesOaepSha256 | RsaAesKeyWrapSha256 => EncryptionAlgorithm::RsaesOaepSha256,
    };
    if matches!(algorithm, RsaesOaepSha1 | RsaesOaepSha256) {
        return key.encrypt(encryption, material).unwrap();
    }
    let aes = vec![0x42; aes_bytes];
    let cipher = if aes_bytes == 16 { &AES_128 } else { &AES_256 };
    let mut wrapped = vec![0; material.len() + 16];
    let kek = AesKek::new(cipher, &aes).unwrap();
    let wrapped = kek.wrap_with_padding(material, &mut wrapped).unwrap();
    [key.encrypt(encryption, &aes).unwrap().as_slice(), wrapped].concat()
}

fn wrap(key: &PrivateKey, algorithm: WrappingAlgorithm, material: &[u8]) -> Vec<u8> {
    wrap_with(key, algorithm, material, 32)
}

#[test]
fn material_goes_round() {
    let key = key(KeySpec::Rsa2048);
    for algorithm in WrappingAlgorithm::ALL.iter().copied() {
        let mut materials = vec![vec![1; 1], vec![2; 28], vec![3; 32], vec![4; 64]];
        if matches!(algorithm, RsaAesKeyWrapSha1 | RsaAesKeyWrapSha256) {
            // PKCS#8 of an RSA-4096 key is about so long, and not a multiple of eight.
            materials.push(vec![5; 2375]);
        }
        for material in materials {
            let wrapped = wrap(&key, algorithm, &material);
            assert_eq!(*unwrap(&key, algorithm, &wrapped).unwrap(), material, "{algorithm}");
        }
    }
}

#[test]
fn a_whole_key_pair_is_imported() {
    let wrapping = key(KeySpec::Rsa2048);
    let material = bytes(KeySpec::EccNistP521);
    let wrapped = wrap(&wrapping, RsaAesKeyWrapSha256, &material);
    let material = unwrap(&wrapping, RsaAesKeyWrapSha256, &wrapped).unwrap();
    let imported = PrivateKey::parse(KeySpec::EccNistP521, &material).unwrap();
    assert_eq!(
        imported.public_key_der(),
        key(KeySpec::EccNistP521).public_key_der(),
        "the same key came out"
    );
}

#[test]
fn whatever_is_wrong_the_answer_is_the_same() {
    let key = key(KeySpec::Rsa2048);
    for algorithm in WrappingAlgorithm::ALL.iter().copied() {
        let good = wrap(&key, algorithm, &[7; 32]);
        for at in [10, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(unwrap(&key, algorithm, &bad), Err(InvalidCiphertext));
        }
        for length in [0, 1, 255, 256, 257, 264, 272, good.len() - 1] {
            if length < good.len() {
                assert_eq!(unwrap(&key, algorithm, &good[..length]), Err(InvalidCiphertext));
            }
        }
        let longer = [good.as_slice(), &[0; 8]].concat();
        assert_eq!(unwrap(&key, algorithm, &longer), Err(InvalidCiphertext));
        for other in WrappingAlgorithm::ALL.iter().copied().filter(|other| *other != algorithm) {
            assert_eq!(unwrap(&key, other, &good), Err(InvalidCiphertext), "{algorithm} {other}");
        }
    }
}

#[test]
fn the_key_between_must_have_256_bits() {
    let key = key(KeySpec::Rsa2048);
    let wrapped = wrap_with(&key, RsaAesKeyWrapSha256, &[7; 32], 16);
    assert_eq!(unwrap(&key, RsaAesKeyWrapSha256, &wrapped), Err(InvalidCiphertext));
}

#[test]
fn only_rsa_unwraps() {
    for algorithm in WrappingAlgorithm::ALL.iter().copied() {
        let refused = unwrap(&key(KeySpec::EccNistP256), algorithm, &[0; 300]);
        assert_eq!(refused, Err(WrongAlgorithm));
    }
    let specs: Vec<_> = WrappingKeySpec::ALL.iter().map(|spec| spec.key_spec()).collect();
    assert_eq!(specs, [KeySpec::Rsa2048, KeySpec::Rsa3072, KeySpec::Rsa4096]);
}
