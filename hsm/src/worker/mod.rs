//! The device in a process of its own: a helper that loads the vendor's module, so that its
//! crash, `exit` or hang does not take the server with it, and its memory bugs do not see the
//! server's memory.
//!
//! ```text
//!  server                                                helper
//!  HelperHsm ── one frame a request, many at once ──▶  n + 1 threads, each: read a frame, call
//!      ▲            (a socket pair: its stdin)          the device, write a frame
//!      └───────────────── one frame an answer ─────────────┘
//! ```
//!
//! - The helper gets everything through the socket: the module's path, the PIN, the requests.
//!   Nothing secret is in its arguments or its environment. The module cannot disturb the
//!   protocol: its stdin, stdout and stderr are /dev/null.
//! - It ends when the socket closes, so it never outlives the server.
//! - An answer that is none gets the helper killed. So does a request without an answer by its
//!   deadline: at once if nothing else was answered meanwhile, else after three deadlines.
//! - Requests that were in a helper when it ended are made once more if that changes nothing (all
//!   but making and destroying keys); the one that hung is not. Then the error is
//!   [`HsmError::Unavailable`](crate::HsmError::Unavailable), and what was asked for may have been
//!   done.
//! - It is started again by the next call, after a back-off if it did not live long. Before
//!   anything else it must have opened the same device as before, and every root key that was in
//!   use must open what it wrapped before (`roots`).
//! - One login a start. A PIN that the token refused, or over which a helper ended, is not tried
//!   by another (`pins`).
//!
//! At its worst a call takes four deadlines (to get in, to be answered, and once more) and one
//! start; a guard ends it earlier. What the process costs a call `claviger bench device` measures.
//!
//! | module | role |
//! |---|---|
//! | `message` | what is said |
//! | `frame` | how it is laid out on the socket |
//! | `config` | which program it is, how long it may take |
//! | `child` | the helper: [`run_child`] |
//! | `connection`, `calls` | one helper process, seen from the server; the requests inside it |
//! | `supervisor` | starts helpers, and starts them again |
//! | `roots`, `pins` | what a helper that was started again must prove, and what it may not try |
//! | `device` | the helper as a device |

mod calls;
mod child;
mod config;
mod connection;
mod device;
mod frame;
mod message;
mod pins;
mod roots;
mod supervisor;

pub use child::{run_child, run_child_with, serve};
pub use config::{HelperConfig, HelperStatus};
pub use device::HelperHsm;
pub use message::OpenRequest;
pub use pins::PinRule;
