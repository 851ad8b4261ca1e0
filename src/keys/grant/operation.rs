//! The operations that a grant can allow, and which keys have them.
use crate::primitives::{KeySpec, KeyUsage};
use serde::{Deserialize, Serialize};

/// Written as AWS calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GrantOperation {
    Decrypt,
    Encrypt,
    GenerateDataKey,
    GenerateDataKeyWithoutPlaintext,
    ReEncryptFrom,
    ReEncryptTo,
    Sign,
    Verify,
    GetPublicKey,
    CreateGrant,
    RetireGrant,
    DescribeKey,
    GenerateDataKeyPair,
    GenerateDataKeyPairWithoutPlaintext,
    GenerateMac,
    VerifyMac,
    DeriveSharedSecret,
    Encapsulate,
    Decapsulate,
}

impl GrantOperation {
    /// In the model's order.
    pub const ALL: [Self; 19] = [
        Self::Decrypt,
        Self::Encrypt,
        Self::GenerateDataKey,
        Self::GenerateDataKeyWithoutPlaintext,
        Self::ReEncryptFrom,
        Self::ReEncryptTo,
        Self::Sign,
        Self::Verify,
        Self::GetPublicKey,
        Self::CreateGrant,
        Self::RetireGrant,
        Self::DescribeKey,
        Self::GenerateDataKeyPair,
        Self::GenerateDataKeyPairWithoutPlaintext,
        Self::GenerateMac,
        Self::VerifyMac,
        Self::DeriveSharedSecret,
        Self::Encapsulate,
        Self::Decapsulate,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decrypt => "Decrypt",
            Self::Encrypt => "Encrypt",
            Self::GenerateDataKey => "GenerateDataKey",
            Self::GenerateDataKeyWithoutPlaintext => "GenerateDataKeyWithoutPlaintext",
            Self::ReEncryptFrom => "ReEncryptFrom",
            Self::ReEncryptTo => "ReEncryptTo",
            Self::Sign => "Sign",
            Self::Verify => "Verify",
            Self::GetPublicKey => "GetPublicKey",
            Self::CreateGrant => "CreateGrant",
            Self::RetireGrant => "RetireGrant",
            Self::DescribeKey => "DescribeKey",
            Self::GenerateDataKeyPair => "GenerateDataKeyPair",
            Self::GenerateDataKeyPairWithoutPlaintext => "GenerateDataKeyPairWithoutPlaintext",
            Self::GenerateMac => "GenerateMac",
            Self::VerifyMac => "VerifyMac",
            Self::DeriveSharedSecret => "DeriveSharedSecret",
            Self::Encapsulate => "Encapsulate",
            Self::Decapsulate => "Decapsulate",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.as_str() == name)
    }

    /// Whether the grant itself permits the action (`kms:Decrypt`) by listing it. CreateGrant is
    /// asked with what the new grant says, and RetireGrant of the grant in question.
    pub fn of_action(action: &str) -> Option<Self> {
        let operation = Self::named(action.strip_prefix("kms:")?)?;
        let own_rules = matches!(operation, Self::CreateGrant | Self::RetireGrant);
        (!own_rules).then_some(operation)
    }

    /// Whether its requests have an encryption context under a symmetric key, and so are what a
    /// constraint on it applies to.
    pub const fn has_context(self) -> bool {
        matches!(
            self,
            Self::Decrypt
                | Self::Encrypt
                | Self::GenerateDataKey
                | Self::GenerateDataKeyWithoutPlaintext
                | Self::GenerateDataKeyPair
                | Self::GenerateDataKeyPairWithoutPlaintext
                | Self::ReEncryptFrom
                | Self::ReEncryptTo
        )
    }

    /// Whether a key of this kind has the operation at all. (AWS KMS developer guide, "Grants in AWS
    /// KMS", "Grant operations".)
    pub const fn fits(self, spec: KeySpec, usage: KeyUsage) -> bool {
        match self {
            Self::CreateGrant | Self::RetireGrant | Self::DescribeKey => true,
            Self::Encrypt | Self::Decrypt | Self::ReEncryptFrom | Self::ReEncryptTo => {
                matches!(usage, KeyUsage::EncryptDecrypt)
            }
            Self::GenerateDataKey
            | Self::GenerateDataKeyWithoutPlaintext
            | Self::GenerateDataKeyPair
            | Self::GenerateDataKeyPairWithoutPlaintext => {
                matches!(spec, KeySpec::SymmetricDefault)
            }
            Self::Sign | Self::Verify => matches!(usage, KeyUsage::SignVerify),
            Self::GenerateMac | Self::VerifyMac => matches!(usage, KeyUsage::GenerateVerifyMac),
            Self::DeriveSharedSecret => matches!(usage, KeyUsage::KeyAgreement),
            Self::Encapsulate | Self::Decapsulate => {
                matches!(usage, KeyUsage::EncapsulateDecapsulate)
            }
            Self::GetPublicKey => {
                !matches!(spec, KeySpec::SymmetricDefault)
                    && !matches!(usage, KeyUsage::GenerateVerifyMac)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_models() {
        let model: serde_json::Value =
            serde_json::from_str(include_str!("../../../models/kms.json")).unwrap();
        let list = &model["operations"]["CreateGrant"]["input"]["Operations"]["member"]["enum"];
        let names: Vec<&str> = GrantOperation::ALL.iter().map(|o| o.as_str()).collect();
        assert_eq!(*list, serde_json::json!(names));
        for operation in GrantOperation::ALL {
            assert_eq!(GrantOperation::named(operation.as_str()), Some(operation));
            assert_eq!(serde_json::to_value(operation).unwrap(), operation.as_str());
        }
        assert_eq!(GrantOperation::named("decrypt"), None);
    }

    #[test]
    fn grants_list_but_do_not_themselves_permit_grants_and_retirements() {
        use GrantOperation as Op;
        assert_eq!(Op::of_action("kms:ReEncryptTo"), Some(Op::ReEncryptTo));
        for action in ["kms:CreateGrant", "kms:RetireGrant", "kms:PutKeyPolicy", "Decrypt", "kms:"]
        {
            assert_eq!(Op::of_action(action), None, "{action}");
        }
    }

    #[test]
    fn every_kind_of_key_has_its_operations() {
        let list = |spec, usage| {
            let fitting = GrantOperation::ALL.into_iter().filter(|o| o.fits(spec, usage));
            fitting.map(GrantOperation::as_str).collect::<Vec<_>>().join(" ")
        };
        let symmetric = list(KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
        assert_eq!(
            symmetric,
            "Decrypt Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext ReEncryptFrom \
             ReEncryptTo CreateGrant RetireGrant DescribeKey GenerateDataKeyPair \
             GenerateDataKeyPairWithoutPlaintext"
        );
        for (spec, usage, own) in [
            (
                KeySpec::Rsa2048,
                KeyUsage::EncryptDecrypt,
                "Decrypt Encrypt ReEncryptFrom ReEncryptTo GetPublicKey CreateGrant RetireGrant \
                 DescribeKey",
            ),
            (
                KeySpec::Rsa2048,
                KeyUsage::SignVerify,
                "Sign Verify GetPublicKey CreateGrant RetireGrant DescribeKey",
            ),
            (
                KeySpec::Hmac256,
                KeyUsage::GenerateVerifyMac,
                "CreateGrant RetireGrant DescribeKey GenerateMac VerifyMac",
            ),
            (
                KeySpec::EccNistP256,
                KeyUsage::KeyAgreement,
                "GetPublicKey CreateGrant RetireGrant DescribeKey DeriveSharedSecret",
            ),
            (
                KeySpec::MlKem768,
                KeyUsage::EncapsulateDecapsulate,
                "GetPublicKey CreateGrant RetireGrant DescribeKey Encapsulate Decapsulate",
            ),
        ] {
            assert_eq!(list(spec, usage), own, "{spec} {usage}");
        }
    }
}
