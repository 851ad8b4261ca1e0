//! KMS keys: what they are and what may be done with them. Knows nothing of HTTP or JSON.
//!
//! What changes a key is a method of `Authorized<Found>`, what uses one of `Usable`, which is made from
//! that: without permission there is nothing to call.
mod alias;
mod asymmetric;
pub mod ciphertext;
mod count;
mod encryption;
mod error;
mod find;
pub mod grant;
pub mod import;
mod key;
mod lifecycle;
mod managed;
mod material;
mod multi_region;
mod policy;
mod proxied;
pub mod resident;
mod rotation;
mod states;
pub mod stores;
pub mod tags;
mod usable;

pub use alias::{Alias, AliasName};
pub use count::check_count;
pub use encryption::{Bound, check_context, find_for};
pub use error::KeyError;
pub use find::{Accept, Found, Missing, find};
pub use grant::{Covering, Grant};
pub use key::{
    Key, KeyManager, KeyMaterial, KeyOfAccount, MaterialState, MultiRegion, Origin, Rotation,
    RotationType, describe,
};
pub use lifecycle::{
    DEFAULT_WINDOW_DAYS, Due, NewKey, arn, create, create_in_device, destroy, due, object_of,
    postpone,
};
pub use managed::{SECRETS_MANAGER_ALIAS, secrets_manager_key, secrets_manager_policy};
pub use multi_region::NewReplica;
pub use policy::default_policy;
pub use rotation::{DEFAULT_PERIOD_DAYS, DueRotation, Rotated, due_rotations, rotate_due};
pub use states::KeyState;
pub use usable::Usable;
