//! The audit trail: what happened, in CloudTrail's words, in a log that cannot be edited unseen.
//!
//! `event` is one CloudTrail record, `parameters` picks what of a request may stand in it. `log` is
//! the append-only file chain: an append returns when the record is on disk, and records of many
//! callers share one `fdatasync`. `verify` checks a whole log, `records` reads one. `sink` is the
//! door the call pipeline writes through; it fails closed.
//!
//! ```text
//! Event → Log::append ─queue→ writer thread: chain MAC, one write, one fdatasync → wake the waiters
//!                                └ space: zeroed file ahead of need, so that a sync needs no metadata
//! ```

mod chain;
mod error;
mod event;
mod gather;
mod line;
mod log;
mod parameters;
mod records;
mod recover;
mod segment;
mod sink;
mod space;
mod verify;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

pub use chain::{Head, Mac};
pub use error::AuditError;
pub use event::{
    EVENT_VERSION, Event, EventType, IdentityType, Resource, SessionAttributes, SessionContext,
    SessionIssuer, TlsDetails, UserIdentity,
};
pub use log::{Durability, Log, Options};
pub use parameters::{Shown, date_text};
pub use records::{Records, event_ids_after, find, last_number, last_store_revision, read_from};
pub use recover::Recovery;
pub use sink::{AuditSink, MemoryAudit};
pub use verify::{Report, verify, verify_anchored};
