//! What the files of signatures share: a case is asked twice, as `RAW` and as `DIGEST`.

use claviger::primitives::{MessageType, PrimitiveError, PublicKey, SigningAlgorithm};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// The digest that an algorithm signs.
fn digest(algorithm: SigningAlgorithm, message: &[u8]) -> Vec<u8> {
    use SigningAlgorithm::*;
    match algorithm {
        EcdsaSha256 | RsassaPssSha256 | RsassaPkcs1V15Sha256 => Sha256::digest(message).to_vec(),
        EcdsaSha384 | RsassaPssSha384 | RsassaPkcs1V15Sha384 => Sha384::digest(message).to_vec(),
        EcdsaSha512 | RsassaPssSha512 | RsassaPkcs1V15Sha512 => Sha512::digest(message).to_vec(),
        other => panic!("{other} has no digest of its message"),
    }
}

/// Whether a signature verifies. The message and its digest must get the same answer, and a refusal must
/// say that it is the signature's.
pub fn verifies(
    key: &PublicKey,
    algorithm: SigningAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let raw = answer(key.verify(algorithm, MessageType::Raw, message, signature));
    let digest = digest(algorithm, message);
    assert_eq!(raw, answer(key.verify(algorithm, MessageType::Digest, &digest, signature)));
    raw
}

/// Turns what `verify` says into yes or no; anything but a yes and a no is a failure of the test.
pub fn answer(verified: Result<(), PrimitiveError>) -> bool {
    match verified {
        Ok(()) => true,
        Err(PrimitiveError::InvalidSignature) => false,
        Err(other) => panic!("neither valid nor an invalid signature: {other}"),
    }
}
