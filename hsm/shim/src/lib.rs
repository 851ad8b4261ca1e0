//! A PKCS#11 module for tests. It passes every call to a real module and injects faults on the
//! way: wrong answers, hanging calls, crashes, lost sessions, lying lengths, IV dialects.
//!
//! # How a test finds it
//!
//! A crate whose tests need it has it as a dev-dependency. Cargo then builds both of its forms
//! with the tests, whether by `cargo test`, `cargo nextest` or for one package: the library that
//! the tests link, whose [`path`] says where the shared object is, and that object.
//!
//! # What it is told
//!
//! | environment variable | |
//! |---|---|
//! | `CLAVIGER_SHIM_MODULE` | path of the real module |
//! | `CLAVIGER_SHIM_CONTROL` | path of a file of rules, read anew at every call; none if it is not there |
//! | `CLAVIGER_SHIM_LOG` | path of a file to which a line is appended after every call; may be missing |
//!
//! A rule is a line: a function or `*`, which calls, an action. Calls are counted for each rule,
//! from 1, since the file last changed. The first rule that has a call of its own decides; lines
//! beginning with `#` say nothing. [`set_rules`] replaces the file in one step.
//!
//! ```text
//! C_Decrypt  3     return 0x30      the third C_Decrypt answers CKR_DEVICE_ERROR, unasked
//! C_Encrypt  2-4   after 0x5        the second to fourth are done, and answer CKR_GENERAL_ERROR
//! C_Sign     5-    sleep 1500       from the fifth on each takes 1.5 s longer
//! C_Decrypt  %10   hang             every tenth never comes back
//! *          *     return 0x190     nothing works
//! ```
//!
//! | action | |
//! |---|---|
//! | `return RV` | answers this, without asking the module |
//! | `after RV` | asks the module, then answers this |
//! | `sleep MS`, `hang` | takes longer; takes for ever |
//! | `abort`, `exit CODE`, `segfault` | ends the process |
//! | `lose finalize` | C_Finalize underneath, before the call, when no other call is inside |
//! | `lose sessions` | C_CloseAllSessions underneath, likewise |
//! | `lose login` | C_Logout underneath, likewise |
//! | `removed` | the token is not there: no slot has one, sessions answer CKR_DEVICE_REMOVED |
//! | `length N`, `length +N`, `length -N` | the length of the output is said to be other than it is |
//! | `too-small N` | CKR_BUFFER_TOO_SMALL, with this length wanted |
//! | `flip` | the first bit of the output is changed |
//! | `sessions N` | for C_OpenSession: CKR_SESSION_COUNT if N are open already |
//! | `max-sessions N` | for C_GetTokenInfo: the most sessions that the token allows |
//! | `flags BITS` | for C_GetTokenInfo: these flags besides |
//! | `serial TEXT` | for C_GetTokenInfo: another serial number |
//! | `clock TEXT` | for C_GetTokenInfo: a clock on the token, and this for its time |
//! | `gcm-iv written-back` | for C_EncryptInit: AES-GCM wants an IV of 12 zeros, takes one of its own and writes it there during C_Encrypt |
//! | `gcm-iv appended` | for C_EncryptInit: AES-GCM takes a 16-byte IV of its own and appends it to the output |
//! | `gcm-iv repeated` | likewise `written-back`, with the same IV every time |
//!
//! # What it logs
//!
//! `C_Decrypt session=3 rv=0x0 out=00ff`: the bytes of an output in hex; for C_GetAttributeValue
//! `0x3=6b6579` for each attribute that has a value. PINs are inputs and are not logged. A test can
//! so assert what never came out of the module. [`log`] reads it. A line `exit-handlers` says that the
//! process has come to those of its libraries.

mod actions;
mod control;
mod forward;
mod gcm;
mod record;

use std::path::{Path, PathBuf};

pub const MODULE: &str = "CLAVIGER_SHIM_MODULE";
pub const CONTROL: &str = "CLAVIGER_SHIM_CONTROL";
pub const LOG: &str = "CLAVIGER_SHIM_LOG";

/// Where the shared object is.
pub fn path() -> PathBuf {
    let name = "libclaviger_pkcs11_shim.so";
    let beside = |exe: PathBuf| exe.parent().map(|dir| dir.join(name));
    let beside = std::env::current_exe().ok().and_then(beside).filter(|path| path.exists());
    beside.unwrap_or_else(|| Path::new(env!("CLAVIGER_SHIM_DEPS")).join(name))
}

/// Replaces the rules in one step; [`path`]'s module follows them from its next call on.
///
/// # Errors
/// If the file cannot be written.
pub fn set_rules(control: &Path, rules: &str) -> std::io::Result<()> {
    let next = control.with_extension("next");
    std::fs::write(&next, rules)?;
    std::fs::rename(next, control)
}

/// The calls that were made so far, one a line, oldest first; none if there is no log.
pub fn log(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
