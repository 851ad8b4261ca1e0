//! The conversation that ties an attestation key to its TPM's endorsement key (TPM2_MakeCredential,
//! TPM2_ActivateCredential): no single message of a TPM's does, as its endorsement key signs nothing.
//!
//! ```text
//! server     bundle 1: attestation key, certificate of the endorsement key ──▶
//! verifier   checks both, hides a random nonce for the two                 ◀── challenge
//! server     the TPM opens it only while it holds that attestation key;
//!            bundle 2, made with the nonce                                 ──▶
//! verifier   finds its nonce, signed by that attestation key
//! ```
use super::bundle::{Bundle, HexBytes};
use super::verify::{Known, Refusal, verify};
use claviger_hsm::tpm::SECRET_LEN;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

const VERSION: u32 = 1;

/// What the server is asked with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    pub version: u32,
    /// The device that is to answer, as its deployment calls it.
    pub device: String,
    /// The contents of a TPM2B_ID_OBJECT and of a TPM2B_ENCRYPTED_SECRET.
    pub credential: HexBytes,
    pub secret: HexBytes,
}

/// What the verifier keeps to himself until the answer is there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub version: u32,
    /// What only the TPM can have opened.
    pub nonce: HexBytes,
    /// The Name of the attestation key that it was hidden for.
    pub attestation_key: HexBytes,
    /// SHA-256 of the certificate of the endorsement key that it was hidden for.
    pub certificate: HexBytes,
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected")
            .field("attestation_key", &self.attestation_key)
            .finish_non_exhaustive()
    }
}

/// A challenge for the TPM of a bundle; `known` says whose certificates are trusted. `device` names it
/// if there are several.
pub fn challenge(
    bytes: &[u8],
    known: &Known,
    device: Option<&str>,
    nonce: &[u8; SECRET_LEN],
) -> Result<(Challenge, Expected), Refusal> {
    verify(bytes, known)?;
    let trust = known.trust.as_ref().ok_or(Refusal::NoTrust)?;
    let bundle = Bundle::from_bytes(bytes)?;
    let mut wanted = None;
    for evidence in &bundle.devices {
        let words = &evidence.words;
        let (Some(signed), Some(certificate)) =
            (&evidence.signed, super::verify::certificate(words)?)
        else {
            continue;
        };
        if device.is_some_and(|device| device != words.device) {
            continue;
        }
        let attested = signed.certification().verify(&bundle.digest.0)?;
        let found = (words.device.clone(), certificate, attested.attestation_key);
        match &wanted {
            // Two root keys of one TPM have one attestation key.
            Some(before) if *before != found => return Err(Refusal::SeveralTpms),
            _ => wanted = Some(found),
        }
    }
    let (device, certificate, attestation_key) = wanted.ok_or(Refusal::NoCertificate)?;
    let key = trust.check(&certificate)?.key;
    let made = claviger_hsm::Challenge::new(&key, &attestation_key, nonce)?;
    let (credential, secret) = (HexBytes(made.credential), HexBytes(made.secret));
    Ok((
        Challenge { version: VERSION, device, credential, secret },
        Expected {
            version: VERSION,
            nonce: HexBytes(nonce.to_vec()),
            attestation_key: HexBytes(attestation_key),
            certificate: HexBytes(Sha256::digest(&certificate).to_vec()),
        },
    ))
}

impl Challenge {
    pub fn from_text(text: &str) -> Result<Self, String> {
        let read: Self = serde_json::from_str(text).map_err(|e| format!("not a challenge: {e}"))?;
        known_version(read.version).map(|()| read)
    }

    /// As the device takes it.
    pub fn to_device(&self) -> claviger_hsm::Challenge {
        let (credential, secret) = (self.credential.0.clone(), self.secret.0.clone());
        claviger_hsm::Challenge { credential, secret }
    }
}

impl Expected {
    pub fn from_text(text: &str) -> Result<Self, String> {
        let bad = |e| format!("not what a verifier keeps of a challenge: {e}");
        let read: Self = serde_json::from_str(text).map_err(bad)?;
        known_version(read.version).map(|()| read)
    }
}

fn known_version(found: u32) -> Result<(), String> {
    match found {
        VERSION => Ok(()),
        found => Err(format!("of version {found}; this program knows {VERSION}")),
    }
}
