//! Black-box tests of the program: real processes, real SoftHSM tokens, real sockets, kill -9.
//!
//! | module | shows |
//! |---|---|
//! | `attest` | bundles of keys, a token and a TPM, up to the TPM's maker, and that every change of one is noticed |
//! | `bench_device` | `claviger bench device` on a token and a TPM; it leaves nothing in them |
//! | `dev` | `claviger dev`: first try, restart, reset, clock |
//! | `deployment` | `init`, `serve`, `doctor`, their exit codes, a graceful stop |
//! | `doctor` | `claviger doctor` with several devices, and with one that is wrong |
//! | `endpoints` | several listeners, as VPC endpoints with policies of their own |
//! | `control` | `account` and `explain`, with the server running and without; the control socket |
//! | `drain` | `secret drain`: readers of an old version are shown and waited for |
//! | `tls` | TLS with X25519MLKEM768, and that the audit log says so |
//! | `watched` | keys in a token: what the library gives out, a helper that ends, a section that is gone |
//! | `leaks` | no plaintext, secret or PIN in any file or output |
//! | `kill` | `claviger torture`: acknowledged effects and their events outlive kills, on one server and on two; losses are noticed; secrets are linearizable |
//! | `tamper` | edited stores, logs, deployments and foreign tokens are refused or noticed |
//! | `slow` | deadlines, and ten thousand idle connections |
//! | `services` | a registered service acts for its user, once for each request, as long as it is registered |
//! | `policy` | `claviger policy check`: findings with their places, exit codes |
//! | `quiet` | what the libraries of TPMs write to standard error |
//! | `unread` | commands whose output nobody reads |
//! | `resident` | keys that live in a token: used over HTTP, never out of it, a token that goes away, kills |
//! | `rotation` | rotations on a real PostgreSQL and a real MariaDB outlive kills at every step and at any moment |
//! | `roots` | the root of trust moves between devices under load and kills; recovery by shares; a sealed start |
//! | `xks` | the XKS proxy is served, asked by curl, its credentials exchanged while it runs |
//! | `external` | two deployments: AES keys in a token behind the XKS proxy of one, an external key store in the other |
//! | `nodes` | two and three servers on one PostgreSQL: staleness, rivals, cut-offs, joining and leaving, turns at work |
//! | `export` | the root key of a real run does not leave its token |
//! | `backup` | backups under load, broken ones, killed ones; restores, also of an older store |
//! | `faults` | devices that go away, fail, hang, crash, lie: what clients see and how it ends |
//!
//! They need SoftHSM (softhsm-setup/install.sh) and fail without it.
#![cfg(test)]

mod attest;
mod backup;
mod bench_device;
mod client;
mod control;
#[expect(dead_code, unused_imports, reason = "the tests of built-in functions use the rest")]
#[path = "../databases/mod.rs"]
mod databases;
mod deployment;
mod dev;
mod doctor;
mod drain;
mod endpoints;
mod events;
mod export;
mod external;
mod faults;
mod harness;
mod kill;
mod leaks;
mod nodes;
mod policy;
mod quiet;
mod resident;
mod roots;
mod rotation;
mod services;
mod setup;
mod slow;
mod tamper;
mod tls;
mod unread;
mod watched;
mod xks;
