//! IAM operations.
mod access_keys;
mod policies;
mod users;
