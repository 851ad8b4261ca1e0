//! What KMS keys do cryptographically, by key spec: sign, verify, encrypt, MAC, agree, encapsulate,
//! and unwrap imported material. Knows of no store, no wire and no policy.
mod der;
mod ed25519;
mod error;
mod hmac;
mod lazy;
mod message;
mod ml_dsa;
mod ml_dsa_mu;
mod ml_kem;
mod names;
mod nist;
mod private_key;
mod public_key;
mod rsa;
mod secp256k1;
mod spec;
mod wrapping;

pub use error::PrimitiveError;
pub use message::digest_to_sign;
pub use names::UnknownName;
pub use private_key::PrivateKey;
pub use public_key::PublicKey;
pub use spec::{
    ECDH, EncryptionAlgorithm, KeySpec, KeyUsage, ML_KEM, MacAlgorithm, MessageType,
    SigningAlgorithm,
};
pub use wrapping::{WrappingAlgorithm, WrappingKeySpec, unwrap};

#[cfg(test)]
mod tests;
