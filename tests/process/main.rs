//! Black-box tests of the program: real processes, real SoftHSM tokens, real sockets, kill -9.
//!
//! | module | shows |
//! |---|---|
//! | `dev` | `claviger dev`: first try, restart, reset, clock |
//! | `deployment` | `init`, `serve`, `doctor`, their exit codes, a graceful stop |
//! | `endpoints` | several listeners, as VPC endpoints with policies of their own |
//! | `control` | `account` and `explain`, with the server running and without; the control socket |
//! | `drain` | `secret drain`: readers of an old version are shown and waited for |
//! | `tls` | TLS with X25519MLKEM768, and that the audit log says so |
//! | `leaks` | no plaintext, secret or PIN in any file or output |
//! | `kill` | acknowledged effects and their events outlive 200 kills |
//! | `tamper` | edited stores, logs, deployments and foreign tokens are refused or noticed |
//! | `slow` | deadlines, and ten thousand idle connections |
//! | `services` | a registered service acts for its user, once for each request, as long as it is registered |
//! | `policy` | `claviger policy check`: findings with their places, exit codes |
//! | `rotation` | rotations on a real PostgreSQL and a real MariaDB outlive kills at every step and at any moment |
//! | `export` | the root key of a real run does not leave its token |
//!
//! They need SoftHSM (softhsm-setup/install.sh) and fail without it.
#![cfg(test)]

mod client;
mod control;
#[expect(dead_code, unused_imports, reason = "the tests of built-in functions use the rest")]
#[path = "../databases/mod.rs"]
mod databases;
mod deployment;
mod dev;
mod drain;
mod endpoints;
mod events;
mod export;
mod harness;
mod kill;
mod leaks;
mod policy;
mod rotation;
mod services;
mod setup;
mod slow;
mod tamper;
mod tls;
