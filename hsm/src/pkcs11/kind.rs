//! The kinds of objects that are, or are part of, a root key: what each may be used for.
//!
//! One table for making them and for checking them. Never two uses on one key that together let
//! a wrapped key out: a key with WRAP and DECRYPT opens in the clear what it has wrapped (Clulow,
//! "On the Security of PKCS #11", 2003; shown on SoftHSM and Kryoptic with AES-ECB).

use crate::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki_sys::*;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// AES-256 for CKM_AES_GCM.
    Gcm,
    /// AES-256 for CKM_AES_KEY_WRAP_KWP.
    Kwp,
    /// AES-256 for CKM_AES_KEY_WRAP.
    Kw,
    /// AES-256 for CKM_AES_CBC.
    Cbc,
    /// 32 bytes for CKM_SHA256_HMAC, beside a key of the kind `Cbc`.
    Mac,
    /// The private half for CKM_RSA_PKCS_OAEP.
    Oaep,
}

/// A use of a key: its name, its attribute, how it is said in a template.
pub(super) struct Use {
    pub(super) name: &'static str,
    pub(super) attribute: AttributeType,
    pub(super) say: fn(bool) -> Attribute,
}

const fn a_use(name: &'static str, attribute: AttributeType, say: fn(bool) -> Attribute) -> Use {
    Use { name, attribute, say }
}

pub(super) const SECRET_USES: [Use; 7] = [
    a_use("CKA_ENCRYPT", AttributeType::Encrypt, Attribute::Encrypt),
    a_use("CKA_DECRYPT", AttributeType::Decrypt, Attribute::Decrypt),
    a_use("CKA_WRAP", AttributeType::Wrap, Attribute::Wrap),
    a_use("CKA_UNWRAP", AttributeType::Unwrap, Attribute::Unwrap),
    a_use("CKA_SIGN", AttributeType::Sign, Attribute::Sign),
    a_use("CKA_VERIFY", AttributeType::Verify, Attribute::Verify),
    a_use("CKA_DERIVE", AttributeType::Derive, Attribute::Derive),
];

pub(super) const PRIVATE_USES: [Use; 5] = [
    a_use("CKA_DECRYPT", AttributeType::Decrypt, Attribute::Decrypt),
    a_use("CKA_UNWRAP", AttributeType::Unwrap, Attribute::Unwrap),
    a_use("CKA_SIGN", AttributeType::Sign, Attribute::Sign),
    a_use("CKA_SIGN_RECOVER", AttributeType::SignRecover, Attribute::SignRecover),
    a_use("CKA_DERIVE", AttributeType::Derive, Attribute::Derive),
];

impl Kind {
    /// The kind of a root key's first object; None for what is no mechanism of PKCS#11.
    pub(super) fn of(mechanism: Mechanism) -> Option<Self> {
        match mechanism {
            Mechanism::AesGcm => Some(Self::Gcm),
            Mechanism::AesKwp => Some(Self::Kwp),
            Mechanism::AesKw => Some(Self::Kw),
            Mechanism::AesCbcHmac => Some(Self::Cbc),
            Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => Some(Self::Oaep),
            Mechanism::TpmSeal => None,
        }
    }

    pub(super) fn class(self) -> ObjectClass {
        match self {
            Self::Oaep => ObjectClass::PRIVATE_KEY,
            Self::Gcm | Self::Kwp | Self::Kw | Self::Cbc | Self::Mac => ObjectClass::SECRET_KEY,
        }
    }

    pub(super) fn key_type(self) -> KeyType {
        match self {
            Self::Gcm | Self::Kwp | Self::Kw | Self::Cbc => KeyType::AES,
            Self::Mac => KeyType::GENERIC_SECRET,
            Self::Oaep => KeyType::RSA,
        }
    }

    /// The mechanism that makes it.
    pub(super) fn made_by(self) -> CK_MECHANISM_TYPE {
        match self {
            Self::Gcm | Self::Kwp | Self::Kw | Self::Cbc => CKM_AES_KEY_GEN,
            Self::Mac => CKM_GENERIC_SECRET_KEY_GEN,
            Self::Oaep => CKM_RSA_PKCS_KEY_PAIR_GEN,
        }
    }

    /// The one mechanism that it serves.
    pub(super) fn serves(self) -> CK_MECHANISM_TYPE {
        match self {
            Self::Gcm => CKM_AES_GCM,
            Self::Kwp => CKM_AES_KEY_WRAP_KWP,
            Self::Kw => CKM_AES_KEY_WRAP,
            Self::Cbc => CKM_AES_CBC,
            Self::Mac => CKM_SHA256_HMAC,
            Self::Oaep => CKM_RSA_PKCS_OAEP,
        }
    }

    /// Every use that a key of its class can have, and whether this one has it.
    pub(super) fn uses(self) -> impl Iterator<Item = (&'static Use, bool)> {
        let all: &'static [Use] = if self == Self::Oaep { &PRIVATE_USES } else { &SECRET_USES };
        all.iter().map(move |a_use| (a_use, self.may(a_use.attribute)))
    }

    fn may(self, a_use: AttributeType) -> bool {
        match self {
            Self::Gcm | Self::Cbc => {
                matches!(a_use, AttributeType::Encrypt | AttributeType::Decrypt)
            }
            Self::Kwp | Self::Kw => matches!(a_use, AttributeType::Wrap | AttributeType::Unwrap),
            Self::Mac => matches!(a_use, AttributeType::Sign | AttributeType::Verify),
            Self::Oaep => a_use == AttributeType::Decrypt,
        }
    }
}

/// The kinds of the objects of a root key.
fn kinds(mechanism: Mechanism) -> impl Iterator<Item = Kind> {
    let second = (mechanism == Mechanism::AesCbcHmac).then_some(Kind::Mac);
    Kind::of(mechanism).into_iter().chain(second)
}

/// The mechanisms that a root key is used by; none if it is none of PKCS#11.
pub(super) fn used_by(mechanism: Mechanism) -> Vec<CK_MECHANISM_TYPE> {
    kinds(mechanism).map(Kind::serves).collect()
}

/// The same, and those that make it.
pub(super) fn needs(mechanism: Mechanism) -> Vec<CK_MECHANISM_TYPE> {
    kinds(mechanism).flat_map(|kind| [kind.serves(), kind.made_by()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const ALL: [Kind; 6] = [Kind::Gcm, Kind::Kwp, Kind::Kw, Kind::Cbc, Kind::Mac, Kind::Oaep];

    #[test]
    fn no_kind_opens_in_the_clear_what_it_wraps() {
        for kind in ALL {
            let may: BTreeSet<&str> =
                kind.uses().filter(|(_, may)| *may).map(|(a_use, _)| a_use.name).collect();
            assert!(!may.is_empty() && !may.contains("CKA_DERIVE"), "{kind:?}");
            for (one, other) in [
                ("CKA_WRAP", "CKA_DECRYPT"),
                ("CKA_UNWRAP", "CKA_ENCRYPT"),
                ("CKA_WRAP", "CKA_ENCRYPT"),
                ("CKA_SIGN", "CKA_DECRYPT"),
            ] {
                assert!(!(may.contains(one) && may.contains(other)), "{kind:?}: {may:?}");
            }
        }
    }

    /// Two vendors mean two things by it, so that what one wrapped the other cannot open.
    #[test]
    fn nothing_is_wrapped_by_0x210a() {
        assert!(ALL.iter().all(|kind| kind.serves() != CKM_AES_KEY_WRAP_PAD));
        assert_eq!(Kind::Kwp.serves(), 0x210b);
        assert_eq!(Kind::Kw.serves(), 0x2109);
    }

    #[test]
    fn every_way_to_wrap_says_what_it_needs() {
        assert_eq!(
            needs(Mechanism::AesCbcHmac),
            [CKM_AES_CBC, CKM_AES_KEY_GEN, CKM_SHA256_HMAC, CKM_GENERIC_SECRET_KEY_GEN]
        );
        assert!(needs(Mechanism::TpmSeal).is_empty());
    }
}
