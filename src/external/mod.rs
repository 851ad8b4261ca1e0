//! The protocol of external key store proxies (AWS KMS, "External Key Store Proxy API Specification",
//! version 1): its messages, how a ciphertext is bound, and who asks a proxy.
//!
//! | module | role |
//! |---|---|
//! | `message` | the bodies of requests and answers |
//! | `integrity` | associated data and the ciphertext data integrity value |
//! | `way` | which proxies may be asked, and the connections to them |
//! | `client` | asks a proxy, and believes nothing that it can check |
//! | `failure` | how asking fails |
//!
//! The proxy that others ask is `crate::xks`.
mod client;
mod failure;
mod integrity;
mod message;
mod way;

pub use client::{Client, Health};
pub use failure::{Failure, Refused};
pub use integrity::{associated_data, integrity_value};
pub use message::{
    DecryptAnswer, DecryptRequest, EncryptAnswer, EncryptRequest, FleetMember, HealthAnswer,
    HealthRequest, KeyMetadata, MetadataRequest, Refusal, RequestMetadata,
};
pub use way::{Proxies, Settings, Transport, Way};

/// The service in the credential scope of requests to a proxy.
pub const SIGNING_NAME: &str = "kms-xks-proxy";
/// The last part of every `XksProxyUriPath`.
pub const PATH: &str = "/kms/xks/v1";
pub const ALGORITHM: &str = "AES_GCM";
pub const INTEGRITY_ALGORITHM: &str = "SHA_256";

pub const MAX_METADATA_BYTES: usize = 20;
pub const MAX_ASSOCIATED_BYTES: usize = 8192;
pub const MAX_KEY_ID_CHARS: usize = 128;
pub const MAX_PATH_CHARS: usize = 128;
pub const MAX_URI_CHARS: usize = 256;
pub const TAG_BYTES: usize = 16;

/// Whether this may be the id of an external key.
pub fn is_key_id(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    (1..=MAX_KEY_ID_CHARS).contains(&text.len())
        && text.bytes().all(letter)
        // No URI has these as a segment.
        && text != "."
        && text != ".."
}

/// Whether this may be the id of a credential: 20 to 30 of `A`-`Z` and `2`-`7`.
pub fn is_access_key_id(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b);
    (20..=30).contains(&text.len()) && text.bytes().all(letter)
}

/// Whether this may be its secret: 43 to 64 of base64's characters, which is 256 bits or more.
pub fn is_secret(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"/+=".contains(&b);
    (43..=64).contains(&text.len()) && text.bytes().all(letter)
}
