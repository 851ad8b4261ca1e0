//! The public areas of the TPM objects that we use (TPM 2.0 part 2, 12.2; part 3, 24.1).
//!
//! A primary key is made anew from the seed of its hierarchy and its template whenever it is
//! needed, the same every time; the template's `unique` field is part of that derivation, and tells
//! one key of ours from another. So nothing of a key need be kept anywhere, and there is nothing
//! that could be copied to another TPM.

use super::fault::Fault;
use super::policy::Policy;
use crate::{AttributeFault, RootKeyId};
use sha2::{Digest as _, Sha256};
use tss_esapi::attributes::{ObjectAttributes, ObjectAttributesBuilder};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::structures::{
    EccParameter, EccPoint, EccScheme, HashScheme, KeyDerivationFunctionScheme, KeyedHashScheme,
    Public, PublicBuilder, PublicEccParametersBuilder, PublicKeyedHashParameters,
    SymmetricDefinitionObject,
};
use tss_esapi::traits::Marshall;

/// What sets a root key apart from others: SHA-256 of this and its name.
const ROOT: &[u8] = b"claviger/tpm/root\0";
/// A storage key without a name, for sessions where no root key is loaded.
const SALT: &[u8] = b"claviger/tpm/salt\0";
const ATTESTATION: &[u8] = b"claviger/tpm/attestation\0";

/// A root key: a storage key (restricted, decrypt) on P-256. Its children are protected with
/// AES-128-CFB and HMAC-SHA-256, what every TPM 2.0 of the PC Client profile has.
pub(super) fn root(id: &RootKeyId) -> Result<Public, Fault> {
    storage(&[ROOT, id.as_str().as_bytes()])
}

/// The storage key that sessions are salted with where no root key is loaded.
pub(super) fn salt() -> Result<Public, Fault> {
    storage(&[SALT])
}

fn storage(unique: &[&[u8]]) -> Result<Public, Fault> {
    let parameters = PublicEccParametersBuilder::new_restricted_decryption_key(
        SymmetricDefinitionObject::AES_128_CFB,
        EccCurve::NistP256,
    );
    primary(|attributes| attributes.with_decrypt(true), parameters, unique)
}

/// The attestation key: signs, with ECDSA on P-256 and SHA-256, only what the TPM itself has put
/// together (restricted).
pub(super) fn attestation() -> Result<Public, Fault> {
    let parameters = PublicEccParametersBuilder::new()
        .with_symmetric(SymmetricDefinitionObject::Null)
        .with_ecc_scheme(EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)))
        .with_curve(EccCurve::NistP256)
        .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null)
        .with_is_signing_key(true)
        .with_restricted(true);
    primary(|attributes| attributes.with_sign_encrypt(true), parameters, &[ATTESTATION])
}

/// noDA: there is no auth value, so there is nothing to guess.
fn primary(
    usage: fn(ObjectAttributesBuilder) -> ObjectAttributesBuilder,
    parameters: PublicEccParametersBuilder,
    unique: &[&[u8]],
) -> Result<Public, Fault> {
    let make = || {
        let attributes = ObjectAttributesBuilder::new()
            .with_fixed_tpm(true)
            .with_fixed_parent(true)
            .with_sensitive_data_origin(true)
            .with_user_with_auth(true)
            .with_no_da(true)
            .with_restricted(true);
        let mut hash = Sha256::new();
        for part in unique {
            hash.update(part);
        }
        let x = EccParameter::try_from(hash.finalize().to_vec())?;
        PublicBuilder::new()
            .with_public_algorithm(PublicAlgorithm::Ecc)
            .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
            .with_object_attributes(usage(attributes).build()?)
            .with_ecc_parameters(parameters.build()?)
            .with_ecc_unique_identifier(EccPoint::new(x, EccParameter::default()))
            .build()
    };
    make().map_err(Fault::of("making a template"))
}

/// A sealed object under this policy, as TPMT_PUBLIC; `unique` is the TPM's digest of what is
/// sealed, not known before.
pub(super) fn sealed(policy: &Policy, unique: &[u8]) -> Result<Vec<u8>, Fault> {
    sealed_public(policy, unique)?.marshall().map_err(Fault::of("Tss2_MU_TPMT_PUBLIC_Marshal"))
}

pub(super) fn sealed_public(policy: &Policy, unique: &[u8]) -> Result<Public, Fault> {
    let make = || {
        let digest = policy.digest();
        let attributes = ObjectAttributesBuilder::new()
            .with_fixed_tpm(true)
            .with_fixed_parent(true)
            // By the auth value alone where no PCR is bound, else by the policy alone.
            .with_user_with_auth(digest.is_none())
            .with_admin_with_policy(digest.is_some())
            // Without an auth value there is nothing to guess, and a TPM that others have locked
            // still opens it.
            .with_no_da(!policy.auth)
            .build()?;
        PublicBuilder::new()
            .with_public_algorithm(PublicAlgorithm::KeyedHash)
            .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
            .with_object_attributes(attributes)
            .with_auth_policy(
                digest.map_or_else(|| Ok(Default::default()), |d| d.to_vec().try_into())?,
            )
            .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
            .with_keyed_hash_unique_identifier(unique.try_into()?)
            .build()
    };
    make().map_err(Fault::of("making a template"))
}

/// What of a root key's public area, as the TPM gave it, is not what it must be.
pub(super) fn faults(wanted: &Public, found: &Public) -> Vec<AttributeFault> {
    let mut faults = Vec::new();
    let mut compare = |attribute: &str, wanted: String, found: String| {
        if wanted != found {
            faults.push(AttributeFault { attribute: attribute.into(), wanted, found });
        }
    };
    let attributes = (wanted.object_attributes(), found.object_attributes());
    for (name, is_set) in ATTRIBUTES {
        compare(name, is_set(&attributes.0).to_string(), is_set(&attributes.1).to_string());
    }
    let name_algorithm = |public: &Public| format!("{:?}", public.name_hashing_algorithm());
    compare("nameAlg", name_algorithm(wanted), name_algorithm(found));
    compare("parameters", parameters(wanted), parameters(found));
    let policy = |public: &Public| format!("{} bytes", public.auth_policy().value().len());
    compare("authPolicy", policy(wanted), policy(found));
    faults
}

#[expect(clippy::type_complexity, reason = "a table of names and getters, used once")]
const ATTRIBUTES: [(&str, fn(&ObjectAttributes) -> bool); 9] = [
    ("fixedTPM", ObjectAttributes::fixed_tpm),
    ("stClear", ObjectAttributes::st_clear),
    ("fixedParent", ObjectAttributes::fixed_parent),
    ("sensitiveDataOrigin", ObjectAttributes::sensitive_data_origin),
    ("encryptedDuplication", ObjectAttributes::encrypted_duplication),
    ("restricted", ObjectAttributes::restricted),
    ("decrypt", ObjectAttributes::decrypt),
    ("sign", ObjectAttributes::sign_encrypt),
    ("userWithAuth", ObjectAttributes::user_with_auth),
];

fn parameters(public: &Public) -> String {
    match public {
        Public::Ecc { parameters, .. } => format!("{parameters:?}"),
        Public::Rsa { .. } => "RSA".into(),
        Public::KeyedHash { .. } => "keyed hash".into(),
        Public::SymCipher { .. } => "symmetric".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_differ_by_name_and_use() {
        let id = |name: &str| root(&RootKeyId::new(name)).unwrap().marshall().unwrap();
        let all = [
            id("a"),
            id("b"),
            id("claviger/tpm/salt\0"),
            salt().unwrap().marshall().unwrap(),
            attestation().unwrap().marshall().unwrap(),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(all.iter().skip(n + 1).all(|other| other != one), "template {n}");
        }
        assert_eq!(id("a"), id("a"));
    }

    #[test]
    fn a_key_that_could_leave_the_tpm_is_faulted() {
        let wanted = root(&RootKeyId::new("a")).unwrap();
        assert_eq!(faults(&wanted, &wanted), []);
        let signing = attestation().unwrap();
        let found: Vec<String> =
            faults(&wanted, &signing).iter().map(ToString::to_string).collect();
        let found = found.join("; ");
        assert!(found.contains("decrypt wanted true, found false"), "{found}");
        assert!(found.contains("sign wanted false, found true"), "{found}");
        assert!(found.contains("parameters wanted"), "{found}");
    }
}
