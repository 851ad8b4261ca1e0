//! Making a challenge that only one TPM answers: TPM2_MakeCredential, without a TPM (TPM 2.0 part 1,
//! 24 "Credential Protection" and B.10.4 "Secret Sharing").
//!
//! ```text
//! seed        32 random bytes, RSA-OAEP (SHA-256, label "IDENTITY\0") to the endorsement key
//! credential  2B(HMAC) ‖ AES-128-CFB(2B(secret))
//!               key of CFB   KDFa(seed, "STORAGE", Name of the attestation key), 128 bits, IV 0
//!               key of HMAC  KDFa(seed, "INTEGRITY"), 256 bits, over the ciphertext ‖ Name
//! ```
//!
//! The TPM opens it only if the key with that Name is loaded in it. Who gets the secret back knows that
//! the attestation key is in the TPM of that endorsement key, and a TPM of the kind that its maker
//! certified makes no attestation key as `verify.rs` wants them that could leave it.

use super::verify::AttestationError;
use crate::Challenge;
use aws_lc_rs::cipher::{AES_128, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use zeroize::Zeroizing;

/// Length of the secret of a challenge, in bytes: a TPM takes no more than a digest has.
pub const SECRET_LEN: usize = 32;
const SEED_LEN: usize = 32;
const BLOCK_LEN: usize = 16;
/// The endorsement key of profile L-1 (TCG EK Credential Profile, B.3.3).
const RSA_BITS: usize = 2048;
/// The label ends with a zero byte that is part of it.
const OAEP_LABEL: &[u8] = b"IDENTITY\0";

impl Challenge {
    /// Hides a secret from all but the TPM of this endorsement key (SubjectPublicKeyInfo in DER, RSA
    /// with 2048 bits) while it holds the attestation key of this Name.
    pub fn new(
        endorsement_key: &[u8],
        attestation_key: &[u8],
        secret: &[u8; SECRET_LEN],
    ) -> Result<Self, AttestationError> {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        getrandom::fill(&mut *seed)
            .map_err(|_| AttestationError::Failed("the system's random generator"))?;
        Self::with_seed(endorsement_key, attestation_key, secret, &seed)
    }

    fn with_seed(
        endorsement_key: &[u8],
        attestation_key: &[u8],
        secret: &[u8; SECRET_LEN],
        seed: &[u8; SEED_LEN],
    ) -> Result<Self, AttestationError> {
        let key = PublicEncryptingKey::from_der(endorsement_key)
            .ok()
            .filter(|key| key.key_size_bits() == RSA_BITS)
            .ok_or(AttestationError::Malformed("the endorsement key (wanted: RSA, 2048 bits)"))?;
        let failed = |_| AttestationError::Failed("RSA-OAEP");
        let key = OaepPublicEncryptingKey::new(key).map_err(failed)?;
        let mut encrypted = vec![0; key.ciphertext_size()];
        let len = key
            .encrypt(&OAEP_SHA256_MGF1SHA256, seed, &mut encrypted, Some(OAEP_LABEL))
            .map_err(failed)?
            .len();
        encrypted.truncate(len);
        let hidden = hide(seed, attestation_key, secret)?;
        let integrity = kdfa(seed, b"INTEGRITY", &[], 256);
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &integrity[..]));
        mac.update(&hidden);
        mac.update(attestation_key);
        let credential = [&[0, 32], mac.sign().as_ref(), &hidden].concat();
        Ok(Self { credential, secret: encrypted })
    }
}

/// AES-128-CFB under an IV of zeros: the key is used once.
fn hide(
    seed: &[u8; SEED_LEN],
    name: &[u8],
    secret: &[u8; SECRET_LEN],
) -> Result<Vec<u8>, AttestationError> {
    let failed = |_| AttestationError::Failed("AES-128-CFB");
    let key = kdfa(seed, b"STORAGE", name, 128);
    let key = key.get(..BLOCK_LEN).unwrap_or_default();
    let key = UnboundCipherKey::new(&AES_128, key).map_err(failed)?;
    let iv = EncryptionContext::Iv128(FixedLength::from([0; BLOCK_LEN]));
    let mut cfb = StreamingEncryptingKey::less_safe_cfb128(key, iv).map_err(failed)?;
    let plain = Zeroizing::new([&[0, 32], &secret[..]].concat());
    let mut out = vec![0; plain.len() + 2 * BLOCK_LEN];
    let written = cfb.update(&plain, &mut out).map_err(failed)?.written().len();
    let rest = out.get_mut(written..).unwrap_or_default();
    let (_, last) = cfb.finish(rest).map_err(failed)?;
    let len = written + last.written().len();
    out.truncate(len);
    match out.len() == plain.len() {
        true => Ok(out),
        false => Err(AttestationError::Failed("AES-128-CFB")),
    }
}

/// KDFa with SHA-256 (TPM 2.0 part 1, 11.4.10.2; SP 800-108 in counter mode), of 256 bits or less: one
/// block. `bits` stands in what is hashed.
fn kdfa(key: &[u8; SEED_LEN], label: &[u8], context: &[u8], bits: u32) -> Zeroizing<[u8; 32]> {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    mac.update(&1_u32.to_be_bytes());
    mac.update(label);
    mac.update(&[0]);
    mac.update(context);
    mac.update(&bits.to_be_bytes());
    let mut out = Zeroizing::new([0; 32]);
    for (place, byte) in out.iter_mut().zip(mac.sign().as_ref()) {
        *place = *byte;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};

    /// That a TPM opens it is shown with a software TPM in tests/it/tpm/credential.rs.
    #[test]
    fn it_depends_on_the_name_the_secret_and_the_key() {
        let key = |size| {
            let pair = PrivateDecryptingKey::generate(size).unwrap();
            AsDer::as_der(&pair.public_key()).unwrap().as_ref().to_vec()
        };
        let good = key(KeySize::Rsa2048);
        let make = |name: &[u8], secret: u8, seed: u8| {
            Challenge::with_seed(&good, name, &[secret; 32], &[seed; 32]).unwrap().credential
        };
        let one = make(b"name", 1, 1);
        assert_eq!(one, make(b"name", 1, 1));
        assert_eq!(one.len(), 2 + 32 + 2 + 32);
        for other in [make(b"nam", 1, 1), make(b"name", 2, 1), make(b"name", 1, 2)] {
            assert_ne!(one, other);
        }
        for bad in [Vec::new(), good[1..].to_vec(), key(KeySize::Rsa3072)] {
            let error = Challenge::new(&bad, b"name", &[1; 32]).unwrap_err().to_string();
            assert!(error.contains("the endorsement key"), "{error}");
        }
    }
}
