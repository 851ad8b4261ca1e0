//! Checking what a TPM has attested to: needs no TPM, no libtss2, and believes nothing but the
//! signature of the attestation key.
//!
//! The statement is a TPMS_ATTEST (TPM 2.0 part 2), parsed here by hand, to the last byte.
//! The attestation key and the root key must have exactly the public areas that this crate asks a TPM
//! for (`template.rs`), so that nothing of what they may do is left open: the attestation key is
//! restricted, so it signs only what the TPM itself has put together, and neither can leave the TPM.
//!
//! Whether the attestation key is a real TPM's is not said here: compare its Name with the one that
//! was noted when the machine was set up, or have the TPM's maker vouch for it (`credential.rs`).

use super::config::Pcrs;
use super::policy::PcrState;
use crate::{Certification, Quote};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// What a nonce may be long, in bytes. Shorter ones could be met again by chance, and TPMs take no
/// more.
pub(super) const NONCE_LEN: std::ops::RangeInclusive<usize> = 16..=32;

/// TPM_GENERATED_VALUE: what no restricted key signs but the TPM's own statements.
const MAGIC: u32 = 0xff54_4347;
const ATTEST_CERTIFY: u16 = 0x8017;
const ATTEST_QUOTE: u16 = 0x8018;
const RH_OWNER: u32 = 0x4000_0001;
const RH_ENDORSEMENT: u32 = 0x4000_000b;
const ALG_SHA256: u16 = 0x000b;
/// TPMT_PUBLIC of our keys up to the point: ECC, SHA-256; fixedTPM, fixedParent,
/// sensitiveDataOrigin, userWithAuth, noDA, restricted; no policy; then what they are for.
const ROOT_KEY: [u8; 22] = *b"\0\x23\0\x0b\0\x03\x04\x72\0\0\0\x06\0\x80\0\x43\0\x10\0\x03\0\x10";
const ATTESTATION_KEY: [u8; 20] = *b"\0\x23\0\x0b\0\x05\x04\x72\0\0\0\x10\0\x18\0\x0b\0\x03\0\x10";

/// What is proven by a statement that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attested {
    /// Name of the key that signed: 000b ‖ SHA-256 of its public area.
    pub attestation_key: Vec<u8>,
    /// Milliseconds that the TPM has been powered, since TPM2_Clear.
    pub clock_ms: u64,
    pub resets: u32,
    pub restarts: u32,
    /// Whether the clock has not been set back by a loss of power.
    pub clock_is_safe: bool,
    pub firmware: u64,
    /// Name of the root key, if the statement is of one: a storage key, restricted, made from the
    /// TPM's owner seed, that cannot leave the TPM.
    pub root_key: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    #[error("{0} is not of the form that it must have")]
    Malformed(&'static str),
    #[error("the attestation key did not sign this statement")]
    Signature,
    /// What cannot happen with good input.
    #[error("{0} failed")]
    Failed(&'static str),
    #[error("{what}: wanted {wanted}, found {found}")]
    Mismatch { what: &'static str, wanted: String, found: String },
}

impl Certification {
    /// Verifies that the TPM of the attestation key holds this root key, and said so for `nonce`.
    pub fn verify(&self, nonce: &[u8]) -> Result<Attested, AttestationError> {
        let mut statement = Statement::open(
            &self.attest,
            &self.signature,
            &self.attestation_key,
            nonce,
            ATTEST_CERTIFY,
        )?;
        point(&self.root_key, &ROOT_KEY, "the root key")?;
        let name = name(&self.root_key);
        let found = (statement.rest.sized()?, statement.rest.sized()?);
        statement.rest.end()?;
        same("the certified key", &name, found.0)?;
        same("the certified key's hierarchy", &qualified(RH_OWNER, &name), found.1)?;
        statement.attested.root_key = Some(name);
        Ok(statement.attested)
    }
}

impl Quote {
    /// Verifies that the PCRs had these values in the TPM of the attestation key when it was asked
    /// with `nonce`.
    pub fn verify(&self, nonce: &[u8]) -> Result<Attested, AttestationError> {
        let mut statement = Statement::open(
            &self.attest,
            &self.signature,
            &self.attestation_key,
            nonce,
            ATTEST_QUOTE,
        )?;
        let (numbers, values): (Vec<u8>, Vec<_>) = self.pcrs.iter().copied().unzip();
        let malformed = AttestationError::Malformed("the list of PCRs");
        let pcrs = Pcrs::new(numbers.iter().copied()).map_err(|_| malformed.clone())?;
        if pcrs.numbers() != numbers {
            return Err(malformed);
        }
        let selection = [&1_u32.to_be_bytes()[..], &ALG_SHA256.to_be_bytes(), &[3], &pcrs.bits()];
        let found = statement.rest.take(10)?;
        same("the quoted PCRs", &selection.concat(), found)?;
        let digest = statement.rest.sized()?;
        statement.rest.end()?;
        same("the PCRs' values", &PcrState { pcrs, values }.digest(), digest)?;
        Ok(statement.attested)
    }
}

/// A statement that is signed and answers the nonce; what it is about follows in `rest`.
struct Statement<'a> {
    attested: Attested,
    rest: Reader<'a>,
}

impl<'a> Statement<'a> {
    fn open(
        attest: &'a [u8],
        signature: &[u8],
        attestation_key: &[u8],
        nonce: &[u8],
        kind: u16,
    ) -> Result<Self, AttestationError> {
        let point = point(attestation_key, &ATTESTATION_KEY, "the attestation key")?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
            .verify(attest, signature)
            .map_err(|_| AttestationError::Signature)?;
        let name = name(attestation_key);
        let mut rest = Reader(attest);
        same("the statement's magic", &MAGIC.to_be_bytes(), rest.take(4)?)?;
        same("the kind of statement", &kind.to_be_bytes(), rest.take(2)?)?;
        same("the signer", &qualified(RH_ENDORSEMENT, &name), rest.sized()?)?;
        let found = rest.sized()?;
        if !NONCE_LEN.contains(&nonce.len()) {
            return Err(AttestationError::Malformed("the nonce"));
        }
        same("the nonce", nonce, found)?;
        let attested = Attested {
            attestation_key: name,
            clock_ms: u64::from_be_bytes(rest.array()?),
            resets: u32::from_be_bytes(rest.array()?),
            restarts: u32::from_be_bytes(rest.array()?),
            clock_is_safe: rest.array::<1>()? == [1],
            firmware: u64::from_be_bytes(rest.array()?),
            root_key: None,
        };
        Ok(Self { attested, rest })
    }
}

/// TPM 2.0 part 1, 16: nameAlg ‖ the public area's digest.
fn name(public: &[u8]) -> Vec<u8> {
    [&ALG_SHA256.to_be_bytes()[..], &Sha256::digest(public)].concat()
}

/// The qualified name of a key right under a hierarchy (TPM 2.0 part 1, 16).
fn qualified(hierarchy: u32, name: &[u8]) -> Vec<u8> {
    self::name(&[&hierarchy.to_be_bytes()[..], name].concat())
}

/// The point of a P-256 key with this public area, uncompressed (SEC 1, 2.3.3).
fn point(public: &[u8], start: &[u8], what: &'static str) -> Result<[u8; 65], AttestationError> {
    let malformed = AttestationError::Malformed(what);
    let mut rest = Reader(public.strip_prefix(start).ok_or(malformed.clone())?);
    let (x, y) = (rest.sized()?, rest.sized()?);
    rest.end()?;
    let mut point = [0; 65];
    let (form, coordinates) = point.split_at_mut(1);
    let (left, right) = coordinates.split_at_mut(32);
    form.fill(4);
    for (place, coordinate) in [(left, x), (right, y)] {
        // A TPM may leave zeros off the front.
        let at = place.len().checked_sub(coordinate.len()).ok_or(malformed.clone())?;
        if let Some(place) = place.get_mut(at..) {
            place.copy_from_slice(coordinate);
        }
    }
    Ok(point)
}

fn same(what: &'static str, wanted: &[u8], found: &[u8]) -> Result<(), AttestationError> {
    if wanted == found {
        return Ok(());
    }
    let (wanted, found) = (super::root::hex(wanted), super::root::hex(found));
    Err(AttestationError::Mismatch { what, wanted, found })
}

/// Reads a marshalled structure from the front; big endian.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    const SHORT: AttestationError = AttestationError::Malformed("the statement");

    fn take(&mut self, len: usize) -> Result<&'a [u8], AttestationError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Self::SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], AttestationError> {
        <[u8; N]>::try_from(self.take(N)?).map_err(|_| Self::SHORT)
    }

    /// TPM2B: a length in two bytes, and as many bytes.
    fn sized(&mut self) -> Result<&'a [u8], AttestationError> {
        let len = u16::from_be_bytes(self.array()?);
        self.take(len.into())
    }

    fn end(&self) -> Result<(), AttestationError> {
        self.0.is_empty().then_some(()).ok_or(Self::SHORT)
    }
}

#[cfg(test)]
mod tests {
    use super::super::template;
    use super::*;
    use tss_esapi::traits::Marshall;

    /// The public areas that are wanted here are those that are asked for there.
    #[test]
    fn the_templates_are_those_of_this_crate() {
        let id = crate::RootKeyId::new("a");
        let root = template::root(&id).unwrap().marshall().unwrap();
        assert_eq!(root[..ROOT_KEY.len()], ROOT_KEY);
        let attestation = template::attestation().unwrap().marshall().unwrap();
        assert_eq!(attestation[..ATTESTATION_KEY.len()], ATTESTATION_KEY);
    }

    #[test]
    fn short_coordinates_are_padded_and_long_ones_refused() {
        let public = |x: &[u8], y: &[u8]| {
            let mut out = ROOT_KEY.to_vec();
            for part in [x, y] {
                out.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
                out.extend_from_slice(part);
            }
            point(&out, &ROOT_KEY, "it")
        };
        let found = public(&[7; 31], &[8; 32]).unwrap();
        assert_eq!((found[..2].to_vec(), found[2], found[33]), (vec![4, 0], 7, 8));
        assert_eq!(public(&[7; 33], &[8; 32]), Err(AttestationError::Malformed("it")));
    }
}
