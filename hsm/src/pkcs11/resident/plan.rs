//! What each kind of resident key is in a token: one table for making it and for checking it.
//!
//! A key has exactly the uses of its kind and serves exactly the mechanisms of its kind. None may
//! wrap or unwrap: a key that wraps and decrypts opens in the clear what it has wrapped (Clulow,
//! "On the Security of PKCS #11", 2003), and then no other key of the token is safe.

use super::super::attributes::{self, Wanted};
use super::super::kind::{PRIVATE_USES, SECRET_USES, Use};
use super::super::mechanism::RawMechanism;
use crate::ResidentSpec;
use cryptoki::object::{AttributeType, KeyType, ObjectClass};
use cryptoki_sys::*;

pub(super) fn class(spec: ResidentSpec) -> ObjectClass {
    if spec.is_pair() { ObjectClass::PRIVATE_KEY } else { ObjectClass::SECRET_KEY }
}

pub(super) fn key_type(spec: ResidentSpec) -> KeyType {
    match spec {
        ResidentSpec::Aes256 => KeyType::AES,
        ResidentSpec::Hmac(_) => KeyType::GENERIC_SECRET,
        ResidentSpec::RsaSign(_) | ResidentSpec::RsaDecrypt(_) => KeyType::RSA,
        ResidentSpec::EcSign(_) | ResidentSpec::EcAgree(_) => KeyType::EC,
    }
}

/// CKA_VALUE_LEN of a secret key, in bytes.
pub(super) fn value_len(spec: ResidentSpec) -> Option<u64> {
    match spec {
        ResidentSpec::Aes256 => Some(32),
        ResidentSpec::Hmac(hash) => Some(hash.digest_len() as u64),
        _ => None,
    }
}

/// Every use that a key of its class can have, and whether this one has it.
pub(super) fn uses(spec: ResidentSpec) -> impl Iterator<Item = (&'static Use, bool)> {
    let all: &'static [Use] = if spec.is_pair() { &PRIVATE_USES } else { &SECRET_USES };
    all.iter().map(move |a_use| (a_use, may(spec, a_use.attribute)))
}

fn may(spec: ResidentSpec, a_use: AttributeType) -> bool {
    match spec {
        ResidentSpec::Aes256 => matches!(a_use, AttributeType::Encrypt | AttributeType::Decrypt),
        ResidentSpec::Hmac(_) => matches!(a_use, AttributeType::Sign | AttributeType::Verify),
        ResidentSpec::RsaSign(_) | ResidentSpec::EcSign(_) => a_use == AttributeType::Sign,
        ResidentSpec::RsaDecrypt(_) => a_use == AttributeType::Decrypt,
        ResidentSpec::EcAgree(_) => a_use == AttributeType::Derive,
    }
}

/// The mechanism that makes it.
pub(super) fn made_by(spec: ResidentSpec) -> CK_MECHANISM_TYPE {
    match spec {
        ResidentSpec::Aes256 => CKM_AES_KEY_GEN,
        ResidentSpec::Hmac(_) => CKM_GENERIC_SECRET_KEY_GEN,
        ResidentSpec::RsaSign(_) | ResidentSpec::RsaDecrypt(_) => CKM_RSA_PKCS_KEY_PAIR_GEN,
        ResidentSpec::EcSign(_) | ResidentSpec::EcAgree(_) => CKM_EC_KEY_PAIR_GEN,
    }
}

/// The mechanisms that it serves: CKA_ALLOWED_MECHANISMS.
pub(super) fn serves(spec: ResidentSpec) -> Vec<CK_MECHANISM_TYPE> {
    match spec {
        ResidentSpec::Aes256 => vec![CKM_AES_GCM],
        ResidentSpec::Hmac(hash) => vec![RawMechanism::Hmac(hash).number()],
        ResidentSpec::RsaSign(_) => vec![CKM_RSA_PKCS, CKM_RSA_PKCS_PSS],
        ResidentSpec::RsaDecrypt(_) => vec![CKM_RSA_PKCS_OAEP],
        ResidentSpec::EcSign(_) => vec![CKM_ECDSA],
        ResidentSpec::EcAgree(_) => vec![CKM_ECDH1_DERIVE],
    }
}

/// The same, and what takes its place where a token cannot do it.
pub(super) fn may_serve(spec: ResidentSpec) -> Vec<CK_MECHANISM_TYPE> {
    let mut serves = serves(spec);
    serves.extend(matches!(spec, ResidentSpec::RsaDecrypt(_)).then_some(CKM_RSA_X_509));
    serves
}

/// The attributes that it must have, as they are read back.
pub(super) fn wanted(spec: ResidentSpec) -> Vec<Wanted> {
    let mut all = attributes::held(class(spec), key_type(spec));
    if let Some(len) = value_len(spec) {
        all.push(Wanted::is("CKA_VALUE_LEN", AttributeType::ValueLen, &len.to_string()));
    }
    all.extend(
        uses(spec).map(|(a_use, may)| Wanted::is(a_use.name, a_use.attribute, &may.to_string())),
    );
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_kind_wraps_or_unwraps_and_none_has_two_purposes() {
        for spec in ResidentSpec::ALL {
            let may: BTreeSet<&str> =
                uses(spec).filter(|(_, may)| *may).map(|(a_use, _)| a_use.name).collect();
            let purposes: [&[&str]; 4] = [
                &["CKA_ENCRYPT", "CKA_DECRYPT"],
                &["CKA_DECRYPT"],
                &["CKA_SIGN", "CKA_VERIFY"],
                &["CKA_DERIVE"],
            ];
            let is_one = |purpose: &&[&str]| may.iter().all(|a_use| purpose.contains(a_use));
            assert!(!may.is_empty() && (purposes.iter().any(is_one)), "{spec}: {may:?}");
        }
    }
}
