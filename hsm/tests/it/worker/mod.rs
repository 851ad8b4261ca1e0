//! The helper process: real ones on SoftHSM, and ones that hang, crash and lie on command.

mod crash;
mod garbage;
mod module;
mod pins;
mod process;
mod softhsm;
mod start;
pub mod support;
