//! Grants: leave to use one key, given to one principal, until it is retired or revoked.
//!
//! ```text
//! grant             region, key id, grant id                → the grant
//! grant-of-grantee  region, key id, grantee, tag, grant id  → its operations; see `covering`
//! retirable-grant   region, retiring principal, grant id    → the key id
//! grant-name        region, key id, digest of all it says   → the grant id
//! grant-count       region, key id, 1st digit of grant ids  → how many there are
//! ```
//!
//! Principals are kept by their unique id: whoever gets a deleted user's name does not get its
//! grants. The count is kept in sixteen parts, so that grants that are made at the same moment seldom
//! wait for each other.
mod constraints;
mod covering;
mod operation;
mod record;
mod retire;
mod terms;
#[cfg(test)]
mod tests;

pub use constraints::Constraints;
pub use covering::{Covering, covering};
pub use operation::GrantOperation;
pub use record::{Grant, NewGrant, Party, check_id, list, retirable, thin_out};
pub use retire::Retiring;
pub use terms::{Asked, Terms};

pub(super) use record::delete_all;
