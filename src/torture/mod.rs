//! `claviger torture`: starts real servers, lets random mixed operations loose on them, kills them at
//! random and at named points, fails and fills their disk, takes their database away, moves their clock; and looks after every restart
//! whether all that was acknowledged is there, with its events, and nothing else.
//!
//! ```text
//! run      lanes side by side, each one era after the other, until the kills or the minutes are used up
//! era      one deployment: rounds of check, load, fault, kill; at the end everything is checked
//! suffer   what a round's fault does to the servers, and what must hold meanwhile
//! worker   one client with objects of its own: what it was told is what must be there (the oracle)
//! register clients that put and get the same secrets, for a checker of their history
//! observe  objects as the API shows them        events   what the audit log must say of each call
//! ```
//!
//! It knows a server from outside only: its command line, its API, its audit log.
mod choice;
mod client;
mod database;
mod deployment;
mod era;
mod events;
mod faults;
mod numbers;
mod observe;
mod operation;
mod process;
mod register;
mod report;
mod run;
mod suffer;
mod tail;
pub mod wire; // the tests of processes use it too
mod worker;

use crate::failpoints::POLL;
use std::time::Duration;

pub use report::Report;
pub use run::{Settings, run};

/// Why a round came to no good end.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The server broke a promise.
    #[error("{0}")]
    Violation(String),
    /// The torture itself could not go on: no port, no space, no program.
    #[error("{0}")]
    Setup(String),
}

impl Trouble {
    fn setup(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Setup(format!("{what}: {error}"))
    }
}

/// A promise: unless `holds`, it is broken in these words.
fn promise(holds: bool, words: impl FnOnce() -> String) -> Result<(), Trouble> {
    if holds { Ok(()) } else { Err(Trouble::Violation(words())) }
}

/// The string of a member that an answer must have.
fn text_of(value: &serde_json::Value, member: &str) -> Result<String, Trouble> {
    let text = value.get(member).and_then(serde_json::Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Trouble::Violation(format!("no {member} in {value}")))
}

/// Waits until it is so, or for that long; answers whether it came to be so.
fn wait(patience: Duration, is_so: &dyn Fn() -> bool) -> bool {
    let began = now();
    loop {
        if is_so() {
            return true;
        }
        if began.elapsed() > patience {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

#[expect(clippy::disallowed_methods, reason = "elapsed time of the torture, not a moment")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
