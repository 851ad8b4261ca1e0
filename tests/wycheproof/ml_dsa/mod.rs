//! ML-DSA: signatures under public keys, and keys of all encodings with the signatures they made.
//!
//! `RAW` is AWS-LC's code and `EXTERNAL_MU` the crate `ml-dsa`'s: every case goes through both, and what
//! one signs the other verifies. KMS knows no context: a signature made with one must not verify as
//! `RAW`, but does by its µ, into which the context has gone.

mod sign;
mod verify;

use claviger::primitives::{KeySpec, SigningAlgorithm};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};

use crate::der;

const ALGORITHM: SigningAlgorithm = SigningAlgorithm::MlDsaShake256;

/// The object identifier.
fn identifier(spec: KeySpec) -> [u8; 11] {
    let number = match spec {
        KeySpec::MlDsa44 => 17,
        KeySpec::MlDsa65 => 18,
        KeySpec::MlDsa87 => 19,
        other => panic!("{other} is not of ML-DSA"),
    };
    der::nist_algorithm(3, number)
}

fn shake256(parts: &[&[u8]]) -> [u8; 64] {
    let mut sponge = Shake256::default();
    for part in parts {
        sponge.update(part);
    }
    let mut out = [0; 64];
    sponge.finalize_xof().read(&mut out);
    out
}

/// µ = SHAKE256(SHAKE256(public key, 64) ‖ 0 ‖ length of the context ‖ context ‖ message, 64), FIPS 204.
/// None for a context whose length does not fit into its byte.
fn mu(public: &[u8], context: &[u8], message: &[u8]) -> Option<[u8; 64]> {
    let length = u8::try_from(context.len()).ok()?;
    Some(shake256(&[&shake256(&[public]), &[0, length], context, message]))
}
