//! Mechanisms with their parameters, laid out as PKCS#11 wants them.
//!
//! Beside cryptoki's, because that one lacks CKM_AES_KEY_WRAP_KWP. CKM_AES_KEY_WRAP_PAD (0x210A)
//! is missing on purpose: one vendor's is RFC 5649, another's PKCS#7 and RFC 3394 (measured).

use crate::Hash;
use cryptoki::mechanism::MechanismType;
use cryptoki_sys::*;
use std::ffi::c_void;
use std::ptr;

/// A mechanism of PKCS#11 v3.1, chapter 6.
pub(super) enum RawMechanism<'a> {
    /// CKM_AES_GCM (6.13.4). `iv` may be written by the token; empty asks the token for an IV of
    /// its own, which it then appends to its output.
    AesGcm { iv: &'a mut [u8], aad: &'a [u8], tag_bits: u16 },
    /// CKM_AES_KEY_WRAP with the initial value of RFC 3394.
    AesKeyWrap,
    /// CKM_AES_KEY_WRAP_KWP with the initial value of RFC 5649.
    AesKeyWrapKwp,
    /// CKM_AES_CBC: whole blocks, no padding.
    AesCbc { iv: &'a [u8; 16] },
    /// CKM_AES_CBC_PAD: PKCS#7. Asked for by nobody but the trial of a token.
    AesCbcPad { iv: &'a [u8; 16] },
    /// One without parameters. Asked for by nobody but the trial of a token.
    Bare(CK_MECHANISM_TYPE),
    /// CKM_SHA…_HMAC, with a tag as long as the hash.
    Hmac(Hash),
    /// CKM_RSA_PKCS_OAEP, MGF1 with the same hash, no label.
    RsaOaep(Hash),
    /// CKM_RSA_PKCS_PSS of a digest, MGF1 with the same hash, a salt as long as the digest.
    RsaPss(Hash),
    /// CKM_RSA_PKCS: to sign, a DigestInfo (RFC 8017, 9.2).
    RsaPkcs,
    /// CKM_RSA_X_509: the bare modular power.
    RsaX509,
    /// CKM_ECDSA of a digest; r ‖ s.
    Ecdsa,
    /// CKM_ECDH1_DERIVE with CKD_NULL; `peer` is an uncompressed point (SEC 1, 2.3.3).
    Ecdh1 { peer: &'a [u8] },
}

impl RawMechanism<'_> {
    /// Its number, as in a token's list of mechanisms.
    pub(super) fn number(&self) -> CK_MECHANISM_TYPE {
        match self {
            Self::AesGcm { .. } => CKM_AES_GCM,
            Self::AesKeyWrap => CKM_AES_KEY_WRAP,
            Self::AesKeyWrapKwp => CKM_AES_KEY_WRAP_KWP,
            Self::AesCbc { .. } => CKM_AES_CBC,
            Self::AesCbcPad { .. } => CKM_AES_CBC_PAD,
            Self::Bare(number) => *number,
            Self::Hmac(hash) => hmac(*hash),
            Self::RsaOaep(_) => CKM_RSA_PKCS_OAEP,
            Self::RsaPss(_) => CKM_RSA_PKCS_PSS,
            Self::RsaPkcs => CKM_RSA_PKCS,
            Self::RsaX509 => CKM_RSA_X_509,
            Self::Ecdsa => CKM_ECDSA,
            Self::Ecdh1 { .. } => CKM_ECDH1_DERIVE,
        }
    }

    /// Lays the parameters out for as long as `call` runs; the pointer dangles after that.
    pub(super) fn with<T>(&mut self, call: impl FnOnce(*mut CK_MECHANISM) -> T) -> T {
        let number = self.number();
        match self {
            Self::AesGcm { iv, aad, tag_bits } => {
                let mut gcm = CK_GCM_PARAMS {
                    pIv: if iv.is_empty() { ptr::null_mut() } else { iv.as_mut_ptr() },
                    ulIvLen: len(iv),
                    ulIvBits: len(iv) * 8,
                    // Never NULL: SoftHSM before 2.7 crashes on that.
                    pAAD: aad.as_ptr().cast_mut(),
                    ulAADLen: len(aad),
                    ulTagBits: CK_ULONG::from(*tag_bits),
                };
                with_params(number, &mut gcm, call)
            }
            Self::AesCbc { iv } | Self::AesCbcPad { iv } => {
                let mut iv = **iv;
                with_params(number, &mut iv, call)
            }
            Self::RsaOaep(hash) => {
                let (hash, mgf, _) = digest(*hash);
                let mut oaep = CK_RSA_PKCS_OAEP_PARAMS {
                    hashAlg: hash,
                    mgf,
                    source: CKZ_DATA_SPECIFIED,
                    pSourceData: ptr::null_mut(),
                    ulSourceDataLen: 0,
                };
                with_params(number, &mut oaep, call)
            }
            Self::RsaPss(hash) => {
                let (hash, mgf, salt_len) = digest(*hash);
                let mut pss = CK_RSA_PKCS_PSS_PARAMS { hashAlg: hash, mgf, sLen: salt_len };
                with_params(number, &mut pss, call)
            }
            Self::Ecdh1 { peer } => {
                let mut ecdh = CK_ECDH1_DERIVE_PARAMS {
                    kdf: CKD_NULL,
                    ulSharedDataLen: 0,
                    pSharedData: ptr::null_mut(),
                    ulPublicDataLen: len(peer),
                    pPublicData: peer.as_ptr().cast_mut(),
                };
                with_params(number, &mut ecdh, call)
            }
            Self::AesKeyWrap
            | Self::AesKeyWrapKwp
            | Self::Bare(_)
            | Self::Hmac(_)
            | Self::RsaPkcs
            | Self::RsaX509
            | Self::Ecdsa => call(&mut CK_MECHANISM {
                mechanism: number,
                pParameter: ptr::null_mut(),
                ulParameterLen: 0,
            }),
        }
    }
}

fn with_params<P, T>(
    number: CK_MECHANISM_TYPE,
    params: &mut P,
    call: impl FnOnce(*mut CK_MECHANISM) -> T,
) -> T {
    call(&mut CK_MECHANISM {
        mechanism: number,
        pParameter: ptr::from_mut(params).cast::<c_void>(),
        ulParameterLen: size_of::<P>() as CK_ULONG,
    })
}

/// CK_ULONG is as wide as a pointer or, on Windows, 32 bits: what we pass is far shorter.
fn len(bytes: &[u8]) -> CK_ULONG {
    bytes.len() as CK_ULONG
}

/// (CKM_SHA…, CKG_MGF1_SHA…, length of the digest in bytes)
fn digest(hash: Hash) -> (CK_MECHANISM_TYPE, CK_RSA_PKCS_MGF_TYPE, CK_ULONG) {
    match hash {
        Hash::Sha1 => (CKM_SHA_1, CKG_MGF1_SHA1, 20),
        Hash::Sha224 => (CKM_SHA224, CKG_MGF1_SHA224, 28),
        Hash::Sha256 => (CKM_SHA256, CKG_MGF1_SHA256, 32),
        Hash::Sha384 => (CKM_SHA384, CKG_MGF1_SHA384, 48),
        Hash::Sha512 => (CKM_SHA512, CKG_MGF1_SHA512, 64),
    }
}

fn hmac(hash: Hash) -> CK_MECHANISM_TYPE {
    match hash {
        Hash::Sha1 => CKM_SHA_1_HMAC,
        Hash::Sha224 => CKM_SHA224_HMAC,
        Hash::Sha256 => CKM_SHA256_HMAC,
        Hash::Sha384 => CKM_SHA384_HMAC,
        Hash::Sha512 => CKM_SHA512_HMAC,
    }
}

/// The name of a mechanism; its number, where nobody here knows one.
pub(super) fn name(number: CK_MECHANISM_TYPE) -> String {
    match number {
        CKM_AES_KEY_WRAP_KWP => "CKM_AES_KEY_WRAP_KWP".into(),
        CKM_AES_KEY_WRAP_PKCS7 => "CKM_AES_KEY_WRAP_PKCS7".into(),
        known => MechanismType::try_from(known)
            .map_or_else(|_| format!("{known:#x}"), |known| known.to_string()),
    }
}
