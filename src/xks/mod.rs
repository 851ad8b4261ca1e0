//! The XKS proxy: keys of this deployment, in its devices too, as external keys of somebody's KMS, AWS's
//! own first of all. The protocol is AWS's (`crate::external`); the listener is its own.
//!
//! One request goes through these steps, and the first that refuses answers:
//!
//! | step | module | refusal |
//! |---|---|---|
//! | which API of which store | `route` | `InvalidUriPathException`, 405 |
//! | whose signature | `authenticate`, `credentials` | `AuthenticationFailedException` |
//! | how often | `rate` | `ThrottlingException` |
//! | can it be done in time | `gate` | `ThrottlingException`, `DependencyTimeoutException` |
//! | what is asked | `body` | `ValidationException` |
//! | which key, for whom | `stores`, `permission` | `KeyNotFoundException`, `AccessDeniedException` |
//! | the key's work | `encrypt`, `decrypt`, `metadata`, `health` | as the key fails |
//!
//! Every request with a good signature is an audit event, those that are turned away because of load
//! excepted: their log would be the load. Of those without one, so many each second.
mod authenticate;
mod body;
mod credentials;
mod decrypt;
mod encrypt;
mod error;
mod gate;
mod health;
mod job;
mod metadata;
mod permission;
mod proxy;
mod rate;
mod route;
mod sealed;
mod settings;
mod stores;
mod target;

pub use credentials::CredentialError;
pub use error::XksError;
pub use proxy::{Asked, Proxy, SetupError, refused};
pub use sealed::SealedProxy;
pub use settings::{InvalidXks, KeySettings, Settings, Usage};

/// CloudTrail's `eventSource` of what is asked of the proxy.
pub const SOURCE: &str = "kms-xks-proxy";
/// Who asks, to the policies of keys: what AWS calls the part of KMS that uses custom key stores.
pub const PRINCIPAL: &str = "cks.kms.amazonaws.com";

/// AWS KMS takes an answer within 250 ms, of which the network has its part (the specification wants
/// 35 ms at most for a round trip).
pub const DEFAULT_BUDGET_MS: u64 = 200;
pub const LONGEST_BUDGET_MS: u64 = 250;
/// The default quota of an external key store of AWS KMS, in requests per second.
pub const DEFAULT_RATE: u32 = 1800;
/// What is taken at most, in bytes; the protocol wants 4300 at least.
pub const MAX_PLAINTEXT_BYTES: usize = 16 * 1024;
/// Base64 of the longest plaintext and associated data, and ten ARNs beside them.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
