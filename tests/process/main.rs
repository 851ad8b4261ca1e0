//! Black-box tests of the program: real processes, real SoftHSM tokens, real sockets, kill -9.
//!
//! | module | shows |
//! |---|---|
//! | `dev` | `claviger dev`: first try, restart, reset, clock |
//! | `deployment` | `init`, `serve`, `doctor`, their exit codes, a graceful stop |
//! | `tls` | TLS with X25519MLKEM768, and that the audit log says so |
//! | `leaks` | no plaintext, secret or PIN in any file or output |
//! | `kill` | acknowledged effects and their events outlive 200 kills |
//! | `tamper` | edited stores, logs, deployments and foreign tokens are refused or noticed |
//! | `slow` | deadlines, and ten thousand idle connections |
//! | `export` | the root key of a real run does not leave its token |
//!
//! They need SoftHSM (softhsm-setup/install.sh) and fail without it.
#![cfg(test)]

mod client;
mod deployment;
mod dev;
mod events;
mod export;
mod harness;
mod kill;
mod leaks;
mod setup;
mod slow;
mod tamper;
mod tls;
