//! RSA keys. What they do is checked with their public halves, by another library than the
//! token's.

use super::{make_pair, name, ok, text};
use crate::resident::public_key::{encrypt_oaep, rsa_bits, verifies};
use crate::{Hash, HsmError, ResidentId, ResidentKeys, ResidentSpec, SignatureScheme};

const SIGNED: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];

pub(super) fn signing(keys: &dyn ResidentKeys, bits: u16) {
    let (id, public) = make_pair(keys, "rsa-signs", ResidentSpec::RsaSign(bits));
    assert_eq!(rsa_bits(&public), Some(usize::from(bits)));
    signs(keys, &id, &public);
    for scheme in [SignatureScheme::RsaPss, SignatureScheme::RsaPkcs1] {
        for (hash, len) in [
            (Hash::Sha256, 0),
            (Hash::Sha256, 31),
            (Hash::Sha256, 33),
            (Hash::Sha512, 32),
            (Hash::Sha384, 5000),
        ] {
            let signature = keys.sign(&id, scheme(hash), &vec![1; len]);
            assert!(matches!(signature, Err(HsmError::Refused(_))), "{hash:?} {len}");
        }
        for hash in [Hash::Sha1, Hash::Sha224] {
            let signature = keys.sign(&id, scheme(hash), &vec![1; hash.digest_len()]);
            assert!(matches!(signature, Err(HsmError::WrongUse { .. })), "{signature:?}");
        }
    }
    let other = if bits == 2048 {
        let spec = ResidentSpec::RsaSign(bits);
        let (other, public_of_other) = make_pair(keys, "rsa-other", spec);
        assert_ne!(public, public_of_other);
        let wrong = keys.check(&id, Some(&public_of_other));
        assert_eq!(wrong, Err(HsmError::WrongResidentKey { id: id.clone() }));
        other
    } else {
        name("rsa-other", ResidentSpec::RsaSign(bits))
    };
    assert_eq!(ok("checking", keys.check(&id, Some(&public))).spec, ResidentSpec::RsaSign(bits));
    for id in [id, other] {
        ok("destroying", keys.destroy(&id));
    }
}

/// By every scheme, and what it gives verifies only as what it is.
pub(super) fn signs(keys: &dyn ResidentKeys, id: &ResidentId, public: &[u8]) {
    let len = rsa_bits(public).unwrap_or_default() / 8;
    for scheme in [SignatureScheme::RsaPss, SignatureScheme::RsaPkcs1] {
        for hash in SIGNED {
            let digest = vec![0xa5; hash.digest_len()];
            let signature = ok("signing", keys.sign(id, scheme(hash), &digest));
            assert_eq!(signature.len(), len, "{hash:?}");
            assert!(verifies(public, None, scheme(hash), &digest, &signature), "{hash:?}");
            let other = vec![0xa6; hash.digest_len()];
            assert!(!verifies(public, None, scheme(hash), &other, &signature), "{hash:?}");
        }
    }
}

pub(super) fn decrypting(keys: &dyn ResidentKeys, bits: u16) {
    let (id, public) = make_pair(keys, "rsa-decrypts", ResidentSpec::RsaDecrypt(bits));
    assert_eq!(rsa_bits(&public), Some(usize::from(bits)));
    decrypts(keys, &id, &public);
    for hash in [Hash::Sha224, Hash::Sha384, Hash::Sha512] {
        let opened = keys.decrypt_oaep(&id, hash, &vec![1; usize::from(bits) / 8]);
        assert!(matches!(opened, Err(HsmError::Refused(_))), "{hash:?}: {opened:?}");
    }
    assert_eq!(ok("checking", keys.check(&id, Some(&public))).spec, ResidentSpec::RsaDecrypt(bits));
    ok("destroying", keys.destroy(&id));
}

/// By both hashes; and nothing that was changed.
pub(super) fn decrypts(keys: &dyn ResidentKeys, id: &ResidentId, public: &[u8]) {
    let len = rsa_bits(public).unwrap_or_default() / 8;
    for (hash, other) in [(Hash::Sha256, Hash::Sha1), (Hash::Sha1, Hash::Sha256)] {
        // RFC 8017, 7.1.1.
        let longest = len - 2 * hash.digest_len() - 2;
        for plaintext in [text(1), text(16), text(longest - 1), text(longest)] {
            let ciphertext = ok("encrypting", encrypt_oaep(public, hash, plaintext.expose()));
            assert_eq!(keys.decrypt_oaep(id, hash, &ciphertext), Ok(plaintext.clone()), "{hash:?}");
        }
        let good = ok("encrypting", encrypt_oaep(public, hash, b"secret"));
        let forged = Err(HsmError::Authentication);
        assert_eq!(keys.decrypt_oaep(id, other, &good), forged, "{hash:?} as {other:?}");
        for at in [0, 1, len / 2, len - 1] {
            let mut bad = good.clone();
            for byte in bad.iter_mut().skip(at).take(1) {
                *byte ^= 1;
            }
            assert_eq!(keys.decrypt_oaep(id, hash, &bad), forged, "{hash:?} byte {at}");
        }
        for bad in [vec![0; len], vec![0xff; len], vec![1; len - 1], vec![1; len + 1], vec![]] {
            assert_eq!(keys.decrypt_oaep(id, hash, &bad), forged, "{hash:?} {} bytes", bad.len());
        }
        assert_eq!(ok("decrypting", keys.decrypt_oaep(id, hash, &good)).expose(), b"secret");
    }
}
