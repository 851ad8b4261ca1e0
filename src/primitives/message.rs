//! What Sign and Verify of RSA and ECDSA are given: the message, or a digest of the right length.
use super::{MessageType, PrimitiveError, SigningAlgorithm};
use aws_lc_rs::digest::{self, Digest, SHA256, SHA384, SHA512};

/// The digest that RSA and ECDSA sign: of the message, or the one that was given.
pub fn digest_to_sign(
    algorithm: SigningAlgorithm,
    kind: MessageType,
    message: &[u8],
) -> Result<Vec<u8>, PrimitiveError> {
    let digest = match Input::new(algorithm, kind, message)? {
        Input::Message(message) => digest::digest(digest_of(algorithm)?, message),
        Input::Digest(digest) => digest,
    };
    Ok(digest.as_ref().to_vec())
}

pub(super) enum Input<'a> {
    Message(&'a [u8]),
    Digest(Digest),
}

impl<'a> Input<'a> {
    pub(super) fn new(
        algorithm: SigningAlgorithm,
        kind: MessageType,
        message: &'a [u8],
    ) -> Result<Self, PrimitiveError> {
        match kind {
            MessageType::Raw => Ok(Self::Message(message)),
            MessageType::Digest => Digest::import_less_safe(message, digest_of(algorithm)?)
                .map(Self::Digest)
                .map_err(|_| PrimitiveError::DigestLength { algorithm }),
            MessageType::ExternalMu => Err(PrimitiveError::WrongMessageType { algorithm, kind }),
        }
    }
}

fn digest_of(algorithm: SigningAlgorithm) -> Result<&'static digest::Algorithm, PrimitiveError> {
    use SigningAlgorithm::*;
    match algorithm {
        RsassaPssSha256 | RsassaPkcs1V15Sha256 | EcdsaSha256 => Ok(&SHA256),
        RsassaPssSha384 | RsassaPkcs1V15Sha384 | EcdsaSha384 => Ok(&SHA384),
        RsassaPssSha512 | RsassaPkcs1V15Sha512 | EcdsaSha512 => Ok(&SHA512),
        MlDsaShake256 | Ed25519Sha512 | Ed25519PhSha512 => Err(PrimitiveError::WrongAlgorithm),
    }
}
