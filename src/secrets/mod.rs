//! Secrets: named values with versions, each sealed under a data key of its own that KMS encrypted.
//! Knows nothing of HTTP or JSON, and asks KMS for nothing: the data keys are handed in.
//!
//! What changes a secret goes through `Authorized<FoundSecret>` or `Authorized<NewSecret>`: without
//! permission there is nothing to call.
mod cross_account;
pub mod database;
mod deletion;
mod edit;
mod envelope;
mod error;
mod external;
mod filter;
mod find;
mod listing;
mod password;
mod policy;
pub mod readers;
mod replication;
pub mod rotation;
mod secret;
mod stages;
mod tags;
mod value;
mod version;

pub use cross_account::{
    Accepting, CrossAccount, MANAGED_POLICY, Side, State as CrossAccountState,
};
pub use deletion::{DEFAULT_WINDOW_DAYS, DueSecret, destroy, due};
pub use edit::Edit;
pub use envelope::{DataKey, SealedValue};
pub use error::SecretError;
pub use filter::Filter;
pub use find::{Missing, find, name_in};
pub use listing::{Listing, Order, Query, SortBy, list};
pub use password::{PasswordRules, random_password};
pub use policy::UnderPolicy;
pub use replication::{Follower, Replica, Replication, Standing, mirror};
pub use secret::{FoundSecret, KIND, NewSecret, Secret};
pub use stages::{CURRENT, PENDING, PREVIOUS, VersionMeta, Versions};
pub use tags::parse as parse_tags;
pub use value::{SecretValue, ValueKind};
pub use version::{Version, check_version_id};
