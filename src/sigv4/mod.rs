//! AWS Signature Version 4, the server's side: who claims to have sent this request, and is it so.
//!
//! Pure functions without input, output, clock or store. The caller goes through them in this order
//! (what AWS's answers to requests with several faults show):
//!
//! 1. [`parse`]: the shape of the request and of what it claims;
//! 2. look up the access key; an unknown one ends in [`refuse_unknown`];
//! 3. [`check_scope_and_time`];
//! 4. the session token, if any;
//! 5. [`verify`] with the signing key, taken from [`SigningKeyCache`].
//!
//! Nothing in a [`Claim`] is true before step 5 said so, and what was executed must be what was
//! signed: the operation is read from the same `x-amz-target`, path, query and body given here.
//!
//! Sources: the AWS Signature Version 4 documentation and its test suite (`tests/data/sigv4`),
//! and the published failures of similar servers, each of which is a rule and a test here.

mod cache;
mod canonical;
mod claim;
mod date;
mod error;
mod headers;
mod key;
mod parse;
mod presign;
mod sign;
mod text;
mod verify;

pub use cache::{CachedKey, SigningKeyCache};
pub use claim::{Claim, Scope, claimed_access_key_id};
pub use date::RequestDate;
pub use error::{AuthError, Kind};
pub use headers::check_shape;
pub use key::SigningKey;
pub use parse::parse;
pub use sign::{Credentials, sign};
pub use verify::{Expect, check_scope_and_time, refuse_unknown, verify, verify_hashed};

/// The only algorithm served. SigV4a (`AWS4-ECDSA-P256-SHA256`) is not.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The last part of every credential scope.
pub(crate) const TERMINATOR: &str = "aws4_request";

#[cfg(test)]
mod tests;
