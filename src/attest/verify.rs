//! From a file to a verdict: offline, and believing nothing that is not signed.
use super::bundle::{Bundle, BundleError, Claim, Evidence, Holds, Statement, Words};
use super::challenge::Expected;
use super::endorsement::{Endorsement, EndorsementError, Trust};
use claviger_hsm::tpm::{AttestationError, Attested, ENDORSEMENT_CERTIFICATE};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt;

/// What the verifier knows by himself.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// That he asked with. Without one a bundle may be an old one.
    pub nonce: Option<Vec<u8>>,
    /// The Names (TPM 2.0 part 1, 16) of the attestation keys of TPMs that he trusts, noted when the
    /// machines were set up. What another one signed is refused.
    pub attestation_keys: Vec<Vec<u8>>,
    /// Whom he trusts to tell TPMs from other things.
    pub trust: Option<Trust>,
    /// The challenge that this is the answer to.
    pub expected: Option<Expected>,
}

/// How much it proves, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Known to be software: it proves nothing about hardware.
    Software,
    /// No device was asked: the server's words.
    ServerSays,
    /// The device's own words, unsigned, through the server.
    DeviceClaims,
    /// Signed by a key whose origin is not proved.
    UnprovenKey,
    /// Signed by an attestation key that the verifier named.
    KnownKey,
    /// Signed by a key that is in a TPM whose maker's certificate leads to one that the verifier trusts.
    HardwareAttested,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Software => "software: proves nothing about hardware",
            Self::ServerSays => "server-says: no device was asked",
            Self::DeviceClaims => "device-claims: nobody signed it",
            Self::UnprovenKey => "unproven-key: signed by a key whose origin is not proved",
            Self::KnownKey => "known-key: signed by an attestation key that you named",
            Self::HardwareAttested => {
                "hardware-attested: signed in a TPM that its maker vouches for"
            }
        })
    }
}

/// A bundle that is as it was made, and what it is worth.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The least of the devices': any of the roots opens what they wrap.
    pub grade: Grade,
    /// What the server says.
    pub said: Statement,
    pub devices: Vec<DeviceVerdict>,
    /// What a verifier should know beside the grade.
    pub notes: Vec<String>,
}

/// What one device's part is worth.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceVerdict {
    pub grade: Grade,
    /// What the device says of itself, and the server of it.
    pub claimed: Words,
    /// What the TPM signed and its maker certified, in words; empty if nobody signed.
    pub proven: Vec<Claim>,
    pub notes: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Bundle(#[from] BundleError),
    #[error("the digest is not that of these words: they were changed")]
    Digest,
    #[error("made for another nonce: wanted {wanted}, found {found}")]
    Nonce { wanted: String, found: String },
    #[error("what the TPM signed: {0}")]
    Signature(#[from] AttestationError),
    #[error("a PCR's value is not 32 bytes long")]
    Pcr,
    #[error("signed by another attestation key: wanted {wanted}, found {found}")]
    AttestationKey { wanted: String, found: String },
    #[error("an attestation key was named, and no TPM signed this")]
    Unsigned,
    #[error("the certificate of the TPM's endorsement key: {0}")]
    Endorsement(#[from] EndorsementError),
    #[error("no TPM with a certificate of its endorsement key signed this")]
    NoCertificate,
    #[error("several TPMs signed this: name the device")]
    SeveralTpms,
    #[error("no certificates were given to trust")]
    NoTrust,
    #[error(
        "not the answer to this challenge: no TPM with that certificate and attestation key signed it"
    )]
    OtherTpm,
    #[error("a TPM's signature stands beside a key that is no root key: it is none of that key")]
    NotARoot,
}

/// Checks a bundle against what the verifier knows.
pub fn verify(bytes: &[u8], known: &Known) -> Result<Verdict, Refusal> {
    let bundle = Bundle::from_bytes(bytes)?;
    if !bundle.is_whole()? {
        return Err(Refusal::Digest);
    }
    let found = &bundle.statement.nonce.0;
    let expected = known.expected.as_ref().map(|expected| &expected.nonce.0);
    if let Some(wanted) = known.nonce.iter().chain(expected).find(|wanted| *wanted != found) {
        let (wanted, found) = (hex::encode(wanted), hex::encode(found));
        return Err(Refusal::Nonce { wanted, found });
    }
    let mut devices = Vec::new();
    for evidence in &bundle.devices {
        devices.push(device(&bundle, evidence, known)?);
    }
    let any = |is: fn(&(DeviceVerdict, Tied)) -> bool| devices.iter().any(is);
    if !known.attestation_keys.is_empty() && !any(|(one, _)| !one.proven.is_empty()) {
        return Err(Refusal::Unsigned);
    }
    if known.trust.is_some() && !any(|(_, tied)| *tied != Tied::NoCertificate) {
        return Err(Refusal::NoCertificate);
    }
    if known.expected.is_some() && !any(|(_, tied)| *tied == Tied::Answered) {
        return Err(Refusal::OtherTpm);
    }
    let devices: Vec<DeviceVerdict> = devices.into_iter().map(|(one, _)| one).collect();
    let mut grade = devices.iter().map(|one| one.grade).min().unwrap_or(Grade::ServerSays);
    let mut notes = Vec::new();
    for root in unshown(&bundle) {
        grade = grade.min(Grade::ServerSays);
        notes.push(format!("the root key {root} opens it too, and no device shows anything of it"));
    }
    if known.nonce.is_none() && known.expected.is_none() {
        notes.push("no nonce was given to compare: it may have been made at any time".into());
    }
    for domain_key in &bundle.statement.domain_keys {
        for recovery in &domain_key.recovery_keys {
            let generation = domain_key.generation;
            notes.push(format!(
                "domain key {generation} also opens by the recovery key {recovery}, outside of all \
                 devices: who has enough of its shares has it"
            ));
        }
    }
    if let Some(external) = bundle.statement.key.as_ref().and_then(|key| key.external_key.as_ref())
    {
        notes.push(format!(
            "its material is in an external key manager, as {external}: nothing is shown of that"
        ));
    }
    Ok(Verdict { grade, said: bundle.statement, devices, notes })
}

/// The roots that the server names and no device of the bundle speaks of.
fn unshown(bundle: &Bundle) -> BTreeSet<&String> {
    let named = bundle.statement.domain_keys.iter().flat_map(|key| &key.roots);
    let shown = |root: &&String| {
        let is = |holds: &Holds| matches!(holds, Holds::RootKey(name) if name == *root);
        bundle.devices.iter().any(|evidence| is(&evidence.words.holds))
    };
    named.filter(|root| !shown(root)).collect()
}

/// How an attestation key and a certificate go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tied {
    NoCertificate,
    /// The certificate is good, and says nothing of the attestation key.
    No,
    /// The TPM has answered the verifier's challenge.
    Answered,
}

fn device(
    bundle: &Bundle,
    evidence: &Evidence,
    known: &Known,
) -> Result<(DeviceVerdict, Tied), Refusal> {
    let words = &evidence.words;
    let mut notes = Vec::new();
    let attested = signed(bundle, evidence)?;
    let mut proven = attested.as_ref().map(|a| in_words(evidence, a)).unwrap_or_default();
    let named = match (&attested, known.attestation_keys.as_slice()) {
        (_, []) | (None, _) => false,
        (Some(attested), keys) if keys.contains(&attested.attestation_key) => true,
        (Some(attested), keys) => {
            let wanted = keys.iter().map(hex::encode).collect::<Vec<_>>().join(" or ");
            let found = hex::encode(&attested.attestation_key);
            return Err(Refusal::AttestationKey { wanted, found });
        }
    };
    let (tied, endorsement) = match &attested {
        Some(attested) => endorsed(words, attested, known)?,
        None => (Tied::NoCertificate, None),
    };
    if let Some(endorsement) = &endorsement {
        proven.extend(endorsement.claims.iter().cloned());
        notes.push("whether its maker has revoked the certificate was not asked".into());
    }
    let software = endorsement.is_some_and(|endorsement| endorsement.software);
    let grade = match (&words.info, &words.fault) {
        (None, _) | (_, Some(_)) => Grade::ServerSays,
        (Some(info), None) if software || !info.hardware => Grade::Software,
        _ if attested.is_none() => Grade::DeviceClaims,
        _ if tied == Tied::Answered => Grade::HardwareAttested,
        _ if named => Grade::KnownKey,
        _ => Grade::UnprovenKey,
    };
    notes.extend(advice(attested.is_some(), named, tied).map(str::to_owned));
    Ok((DeviceVerdict { grade, claimed: words.clone(), proven, notes }, tied))
}

/// What would have shown more.
fn advice(signed: bool, named: bool, tied: Tied) -> Option<&'static str> {
    match (signed, named, tied) {
        (false, _, _) => Some("nobody signed it: whoever made it may have written what he liked"),
        (true, _, Tied::Answered) | (true, true, _) => None,
        (true, false, Tied::NoCertificate) => Some(
            "signed by an attestation key that was not named, and nothing was checked that vouches for \
             it: anybody can make one",
        ),
        (true, false, Tied::No) => Some(
            "the certificate is good, but nothing ties it to the attestation key that signed: have the \
             TPM answer a challenge",
        ),
    }
}

/// Both of a TPM's signatures, for the digest of the whole.
fn signed(bundle: &Bundle, evidence: &Evidence) -> Result<Option<Attested>, Refusal> {
    let Some(signed) = &evidence.signed else { return Ok(None) };
    // A TPM here holds nothing else, so nothing else can be what it certified.
    if !matches!(evidence.words.holds, Holds::RootKey(_)) {
        return Err(Refusal::NotARoot);
    }
    let attested = signed.certification().verify(&bundle.digest.0)?;
    signed.quoted().ok_or(Refusal::Pcr)?.verify(&bundle.digest.0)?;
    Ok(Some(attested))
}

/// The certificate that a device claims to have, in DER.
pub(super) fn certificate(words: &Words) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(text) = words.claim(ENDORSEMENT_CERTIFICATE) else { return Ok(None) };
    Ok(Some(hex::decode(text).map_err(|_| EndorsementError::Malformed)?))
}

fn endorsed(
    words: &Words,
    attested: &Attested,
    known: &Known,
) -> Result<(Tied, Option<Endorsement>), Refusal> {
    let (Some(trust), Some(certificate)) = (&known.trust, certificate(words)?) else {
        return Ok((Tied::NoCertificate, None));
    };
    let endorsement = trust.check(&certificate)?;
    let answered = known.expected.as_ref().is_some_and(|expected| {
        expected.attestation_key.0 == attested.attestation_key
            && expected.certificate.0 == Sha256::digest(&certificate).as_slice()
    });
    Ok((if answered { Tied::Answered } else { Tied::No }, Some(endorsement)))
}

fn in_words(evidence: &Evidence, attested: &Attested) -> Vec<Claim> {
    let claim = |name: &str, value: String| Claim { name: name.into(), value };
    let clock = if attested.clock_is_safe { "" } else { ", may have been set back" };
    let mut proven = vec![
        claim("attestation key", hex::encode(&attested.attestation_key)),
        claim("root key", attested.root_key.as_ref().map(hex::encode).unwrap_or_default()),
        claim("firmware", format!("{:016x}", attested.firmware)),
        claim("clock", format!("{} ms{clock}", attested.clock_ms)),
        claim("resets", attested.resets.to_string()),
        claim("restarts", attested.restarts.to_string()),
    ];
    let pcrs = evidence.signed.iter().flat_map(|signed| &signed.pcrs);
    proven.extend(pcrs.map(|(n, value)| claim(&format!("PCR {n}"), hex::encode(&value.0))));
    proven
}
