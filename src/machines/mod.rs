//! Machines that are known by their certificate: what a certificate says, and which role the
//! configuration gives to whom.
mod certificate;
mod mapping;

pub use certificate::{Certificate, Unreadable};
pub use mapping::{Machine, Machines, MachinesError, NoRole, Settings};
