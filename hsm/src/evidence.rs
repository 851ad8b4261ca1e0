//! What a device shows of a root key to somebody who was not there: plain data, whatever the device.

use serde::{Deserialize, Serialize};

/// What a TPM signed for one nonce: that it holds a root key, and what its PCRs are. Checked by
/// `Certification::verify` and `Quote::verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    pub certification: Certification,
    pub quote: Quote,
}

/// What a TPM says of a root key: TPM2_Certify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certification {
    /// TPMS_ATTEST.
    pub attest: Vec<u8>,
    /// r ‖ s, 32 bytes each: ECDSA on P-256 with SHA-256 over `attest`.
    pub signature: Vec<u8>,
    /// TPMT_PUBLIC of the attestation key and of the root key.
    pub attestation_key: Vec<u8>,
    pub root_key: Vec<u8>,
}

/// What a TPM says of PCRs: TPM2_Quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub attest: Vec<u8>,
    pub signature: Vec<u8>,
    pub attestation_key: Vec<u8>,
    /// Number and value of each PCR, by ascending number; of the SHA-256 bank.
    pub pcrs: Vec<(u8, [u8; 32])>,
}

/// A secret that one TPM opens, and only while it holds one attestation key: what TPM2_MakeCredential
/// gives, and TPM2_ActivateCredential takes (TPM 2.0 part 1, 24).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The contents of a TPM2B_ID_OBJECT.
    pub credential: Vec<u8>,
    /// The contents of a TPM2B_ENCRYPTED_SECRET.
    pub secret: Vec<u8>,
}
