//! Keys in external key stores: what they are here, and what the proxy of their store does for them.
//!
//! A key has material of its own as others have, with which everything is sealed first, and an external
//! key behind the proxy, which encrypts what came out (AWS KMS developer guide, "External key stores",
//! "Double encryption"). Either alone opens nothing.
mod check;
mod error;
mod record;
mod uses;

pub use check::{check_key, check_proxy, connect};
pub use error::ExternalError;
pub use record::{ExternalKey, create, forget};
pub use uses::Asking;
