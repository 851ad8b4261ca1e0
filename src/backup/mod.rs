//! Backups of the embedded store: one file with all rows of one moment, still sealed, and with the wraps
//! that can open them. Nothing in it is in the clear, and nothing of it opens without one of these.
//!
//! ```text
//! off  len
//!  0    8   "CLVRBKUP"
//!  8    1   01             format version
//!  9    …   frames
//!
//! frame:  kind (1) ‖ length (u32be) ‖ payload ‖ digest (32)
//!   01  header   JSON: `Header`                                        the first
//!   02  state    the sealed digest over the rows                       the second
//!   03  rows     key length (u32be) ‖ key ‖ revision (u64be) ‖ value length (u32be) ‖ value, repeated
//!   04  end      JSON: `End`                                           the last; nothing follows
//! digest = SHA-256(the frame's before ‖ kind ‖ length ‖ payload); before the first: SHA-256(off 0 to 8)
//! ```
//!
//! The digests find every damage, without a device. `End` has a MAC by the oldest domain key over the last
//! of them, which finds what was written by somebody else; and with the domain keys each row is opened.
//!
//! | module | role |
//! |---|---|
//! | `anchor` | how far a store had come, kept elsewhere |
//! | `frame` | frames and their digests, one after the other |
//! | `header` | what the first and the last frame say; who can open a backup |
//! | `create`, `name` | from a store to a file, which has its name when it is whole |
//! | `read` | from a file to rows, and whether it is whole |
//! | `keys` | what rows are opened with, and what vouches for a backup |
//! | `check` | whether its rows are this deployment's, all of them and no others |
//! | `restore` | from a file to a new store |
mod anchor;
mod check;
mod create;
mod error;
mod frame;
mod header;
mod keys;
mod name;
mod read;
mod restore;
#[cfg(test)]
mod tests;

pub use anchor::Anchor;
pub use check::check;
pub use create::{Made, Watch, create};
pub use error::BackupError;
pub use header::{Header, Opener, openers};
pub use keys::Keys;
pub use read::{Whole, read_header, verify};
pub use restore::load;
