//! The helper process of this crate's tests. The server is its own helper.

use std::process::ExitCode;

fn main() -> ExitCode {
    claviger_hsm::worker::run_child()
}
