//! Which program the helper is, what is expected of it, and what is known of it.

use super::message::Request;
use crate::HsmError;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// More threads than any device has use for.
pub(super) const MAX_THREADS: usize = 256;

/// Which program the helper is, and what is expected of it.
#[derive(Clone, Debug)]
pub struct HelperConfig {
    /// A program that calls [`run_child`](super::run_child), by an absolute path.
    /// `/proc/self/exe` is this very program, even if its file was replaced meanwhile.
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// The whole environment of the helper: what the vendor's module needs, and nothing that it
    /// should not see.
    pub env: Vec<(OsString, OsString)>,
    /// Requests in the helper at once, 1 to 256; others wait outside.
    pub threads: usize,
    /// From a request to its answer. If it takes longer and nothing else is answered either, the
    /// helper is killed.
    pub deadline: Duration,
    /// The same for making and destroying keys.
    pub slow_deadline: Duration,
    /// The same for starting: loading the module, opening the device, logging in.
    pub start_deadline: Duration,
}

impl HelperConfig {
    /// 16 threads; 4 s for a request, 60 s for making keys, 30 s for a start. The deadline is
    /// shorter than a guard's, so that the helper is killed before a thread of the guard is lost.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            threads: 16,
            deadline: Duration::from_secs(4),
            slow_deadline: Duration::from_secs(60),
            start_deadline: Duration::from_secs(30),
        }
    }

    pub(super) fn check(&self) -> Result<(), HsmError> {
        if self.program.is_absolute() {
            return Ok(());
        }
        // It would be searched for, and who can put a file where it is searched gets the PIN.
        Err(HsmError::Refused(format!(
            "the helper's program: wanted an absolute path, found {}",
            self.program.display()
        )))
    }

    pub(super) fn deadline_of(&self, request: &Request) -> Duration {
        if request.is_slow() { self.slow_deadline } else { self.deadline }
    }
}

/// What is known of the helpers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HelperStatus {
    /// The process, while one runs.
    pub pid: Option<u32>,
    /// Helpers that were started and had opened the device.
    pub starts: u64,
    /// How the last one ended, or why the last one could not be started.
    pub last_end: Option<String>,
}
