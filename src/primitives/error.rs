//! Every way a primitive refuses. None of them says anything about a secret: a ciphertext that does
//! not open and a padding that is wrong are one and the same answer.
use super::{EncryptionAlgorithm, KeySpec, MessageType, SigningAlgorithm};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrimitiveError {
    /// The algorithm, or the operation as such, does not fit the key's spec.
    #[error("the algorithm does not fit the key")]
    WrongAlgorithm,
    #[error("MessageType {kind} is incompatible with algorithm {algorithm}.")]
    WrongMessageType { algorithm: SigningAlgorithm, kind: MessageType },
    #[error("Digest is invalid length for algorithm {algorithm}.")]
    DigestLength { algorithm: SigningAlgorithm },
    #[error(
        "Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {max} bytes."
    )]
    PlaintextTooLong { algorithm: EncryptionAlgorithm, spec: KeySpec, max: usize },
    #[error("the ciphertext does not open")]
    InvalidCiphertext,
    #[error("the signature does not fit")]
    InvalidSignature,
    #[error("the MAC does not fit")]
    InvalidMac,
    /// Bytes that are no public key of the spec, such as a point of another curve or of none.
    #[error("not a public key of the key's spec")]
    InvalidPublicKey,
    /// Bytes that are no private key of the spec.
    #[error("not a private key of the key's spec")]
    InvalidMaterial,
    /// What the library should never refuse. The text says which call it was.
    #[error("{0} failed")]
    Library(&'static str),
}
