//! Devices at fault under a real server: what clients see, what the operator sees, and how it ends. The
//! table is docs/faults.md.
//!
//! | module | fault |
//! |---|---|
//! | `token` | a token that goes away, changes its PIN, has few sessions |
//! | `exit` | what becomes of a vendor's library when the program ends |
//! | `health` | what the operator sees meanwhile |
//! | `module` | a vendor's library that fails with every code, hangs, crashes |
//! | `root_key` | root keys that are doubled, weak, replaced, damaged on disk |
//! | `tpm` | a TPM that is cut off, in another state, in lockout |
mod exit;
mod health;
mod module;
mod root_key;
pub mod support;
mod token;
mod tpm;
