//! The words of the trade, one type each. Raw strings stop at the wire.
mod account;
mod arn;
mod bytes;
mod encryption_context;
mod principal;
mod region;
mod sealed;
mod tag;
mod timestamp;

pub use account::AccountId;
pub use arn::{Arn, ArnParts, InvalidArn};
pub use bytes::{Blob, Plaintext, SecretText};
pub use encryption_context::EncryptionContext;
pub use principal::{Principal, PrincipalKind};
pub use region::Region;
pub use sealed::Sealed;
pub use tag::Tags;
pub use timestamp::Timestamp;
