//! KMS keys that live in a device: an object in there is the key, and every use of it a call of the
//! device. Only public halves are here.
//!
//! ```text
//! CreateKey      intent (committed) ─▶ object made, checked, proved ─▶ key, record; no intent (one commit)
//! deletion       window is over ─▶ object destroyed, and looked for ─▶ key and record gone (one commit)
//! ```
//!
//! So at every moment what is in the device is known to the store, by a record or by an intent. What a
//! crash leaves of a key that was never answered is found by its intent and destroyed. An object that
//! neither of them knows is never touched: it may be of a state of the store that a backup has brought
//! back.
//!
//! | module | role |
//! |---|---|
//! | `calls` | the device, off the async threads; its errors in this domain's words |
//! | `kinds` | which resident key a key spec and its usage are, and by which scheme it signs |
//! | `record` | the record of a key in a device |
//! | `intent` | what was begun and may have to be cleared away |
//! | `create` | making a key |
//! | `proof` | that the object is the one that it was |
//! | `uses` | what a key in a device does |
//! | `random` | random bytes, of which some are the device's |
//!
//! A device is called while the call's transaction is open, as that is optimistic: it holds no lock, and
//! if what it read has changed meanwhile the whole call runs again.
mod calls;
mod create;
mod intent;
mod kinds;
mod proof;
mod proxied;
mod random;
mod record;
mod uses;

pub use calls::{connect, destroy};
pub use create::{NewResident, Place, Wanted, make};
pub use intent::{Unfinished, clear, postpone, unfinished};
pub use proof::shown;
pub use random::random;
pub use record::ResidentKey;
pub(super) use uses::InDevice;
