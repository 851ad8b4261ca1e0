//! Where secrets lie while the process runs, and what the process does so that they stay there.
//!
//! [`arena`] holds keys on pages that are neither swapped, dumped nor inherited; [`LockedKey`] is a
//! key in the process's arena. [`process`] closes the ways out of the process as a whole.
//! [`ZeroingAllocator`] wipes what the rest of the program frees: buffers of TLS, base64 and JSON keep
//! copies that no careful type can reach.
//!
//! None of this stops whoever can run code in the process, or read the machine's memory from below.
pub mod arena;
mod locked_key;
pub mod process;
mod secret_bytes;

pub use arena::{Arena, ArenaFull, ArenaKey, Protection};
pub use locked_key::LockedKey;
pub use secret_bytes::SecretBytes;
/// Zeroes every block when it is freed, and the old one when a block grows (it never grows in place,
/// so that nothing is left behind unseen). Set in `main.rs`.
pub use zeroizing_alloc::ZeroAlloc as ZeroingAllocator;
