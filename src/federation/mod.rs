//! Other people's word for who somebody is: OpenID Connect tokens and the keys they are signed with.
//! Only issuers that the configuration names have keys here, whatever an account registers.
mod discovery;
mod issuers;
mod jwks;
mod jwt;

pub use discovery::FetchError;
pub use issuers::{Issuers, IssuersError, NoKeys, Settings};
pub use jwks::Jwks;
pub use jwt::{Claims, InvalidToken, Token};
