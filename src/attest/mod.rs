//! What can be shown of a key to somebody who was not there: a bundle that is checked offline.
//!
//! Three kinds of words stand apart in it. What a TPM signed is *proven*, as far as its attestation key is
//! known to be a TPM's. What a device says of itself, unsigned, is *claimed*: a PKCS#11 token has no
//! standard way to sign. What only the server says is *said*. Each is worth no more than who says it.
//!
//! ```text
//!  statement (said) ───────────┐
//!  words of device 1 (claimed) ├─ SHA-256 ─▶ digest ─▶ TPM2_Certify, TPM2_Quote: the digest is their nonce
//!  words of device 2 (claimed) ┘
//! ```
//!
//! So a TPM's signature covers the whole bundle, the verifier's own nonce included. Where nobody signs,
//! the digest shows accidents only.
//!
//! | module | role |
//! |---|---|
//! | `bundle` | the words, their digest, and the file |
//! | `make` | from open devices to a bundle |
//! | `verify` | from a file to a verdict; needs no device |
//! | `endorsement` | certificates of TPMs, and whom the verifier trusts |
//! | `challenge` | what ties an attestation key to such a certificate |
//! | `show` | a verdict as text |
mod bundle;
mod challenge;
mod endorsement;
mod make;
mod show;
#[cfg(test)]
mod tests;
mod verify;

pub use bundle::{
    Bundle, BundleError, Claim, DomainKey, Evidence, HexBytes, Holds, KeyStatement, Signed,
    Statement, Words,
};
pub use challenge::{Challenge, Expected, challenge};
pub use endorsement::{Endorsement, EndorsementError, Trust};
pub use verify::{DeviceVerdict, Grade, Known, Refusal, Verdict, verify};
