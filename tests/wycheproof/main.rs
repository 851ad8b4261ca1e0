//! Project Wycheproof's test vectors, through the code that the server runs: edge cases and attacks that
//! broke other libraries. README.md beside this file says where they come from, what is left out, and
//! where the answer here is another than theirs.
//!
//! | module | vectors |
//! |---|---|
//! | `envelope` | AES-256-GCM and HKDF-SHA-256, as `src/seal` uses them |
//! | `hmac` | HMAC keys |
//! | `key_wrap` | AES-KWP, inside `RSA_AES_KEY_WRAP_SHA_256` |
//! | `ecdsa`, `eddsa` | signatures of the NIST curves and secp256k1, of Ed25519 |
//! | `rsa_signature` | RSA PKCS #1 v1.5 and PSS |
//! | `rsa_oaep` | decryption |
//! | `ecdh` | key agreement |
//! | `ml_dsa` | signatures, keys as seeds and expanded |
//! | `ml_kem` | keys, decapsulation |
//!
//! Every test states how many cases of its file passed, were refused and were left out, and why: a case
//! that went missing would be noticed.
#![cfg(test)]

mod der;
mod ecdh;
mod ecdsa;
mod eddsa;
mod envelope;
mod hmac;
mod key_wrap;
mod ml_dsa;
mod ml_kem;
mod rsa_oaep;
mod rsa_signature;
mod signatures;
mod tally;
