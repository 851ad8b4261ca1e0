//! KMS keys: what they are and what may be done with them. Knows nothing of HTTP or JSON.
//!
//! What changes or uses a key is a method of `Authorized<Found>`: without permission there is
//! nothing to call.
mod alias;
pub mod ciphertext;
mod error;
mod find;
mod key;
mod lifecycle;
mod managed;
mod material;
mod policy;
mod symmetric;
pub mod tags;

pub use alias::{Alias, AliasName};
pub use error::KeyError;
pub use find::{Accept, Found, Missing, find};
pub use key::{ALGORITHM, Key, KeyManager, KeyOfAccount, KeyState, ORIGIN, SPEC, USAGE};
pub use lifecycle::{DEFAULT_WINDOW_DAYS, NewKey, arn, create, destroy, due};
pub use managed::{SECRETS_MANAGER_ALIAS, secrets_manager_key, secrets_manager_policy};
pub use policy::{MAX_POLICY_BYTES, default_policy};
pub use symmetric::{Bound, check_context, find_for};
