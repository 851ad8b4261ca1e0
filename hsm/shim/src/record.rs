//! What a call gives out, for the log and for lying about it.

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BYTE, CK_RV, CK_SESSION_HANDLE, CK_TOKEN_INFO, CK_ULONG,
    CK_UNAVAILABLE_INFORMATION, CKR_OK,
};
use std::fmt::Write;
use std::fs::OpenOptions;
use std::io::Write as _;

/// How the log calls the moment at which the process runs its libraries' exit handlers.
const AT_EXIT_NAME: &str = "exit-handlers";

/// Where a call writes. The pointers are the caller's own, good as long as the call.
#[derive(Clone, Copy, Debug)]
pub enum Output {
    None,
    /// So many bytes, or so many of something.
    Bytes(*mut CK_BYTE, *mut CK_ULONG),
    Count(*mut CK_ULONG),
    Attributes(*mut CK_ATTRIBUTE, CK_ULONG),
    Token(*mut CK_TOKEN_INFO),
}

impl Output {
    /// The lengths that the call has said.
    pub fn lengths(self) -> Vec<*mut CK_ULONG> {
        match self {
            Output::None | Output::Token(_) => Vec::new(),
            Output::Bytes(_, len) | Output::Count(len) => vec![len],
            Output::Attributes(first, count) => {
                let count = usize::try_from(count).unwrap_or(0);
                // SAFETY: the caller has said that there are `count` attributes.
                let attribute = |n| unsafe { &raw mut (*first.add(n)).ulValueLen };
                (0..count).map(attribute).collect()
            }
        }
    }

    /// The buffers that were written, with their lengths.
    fn buffers(self) -> Vec<(CK_ULONG, *mut CK_BYTE, CK_ULONG)> {
        let all = match self {
            // SAFETY: whoever calls for bytes gives a place for their length.
            Output::Bytes(out, len) if !len.is_null() => vec![(0, out, unsafe { *len })],
            Output::Attributes(first, count) => {
                let count = usize::try_from(count).unwrap_or(0);
                // SAFETY: as in `lengths`.
                let attribute = |n| unsafe { *first.add(n) };
                let attributes = (0..count).map(attribute);
                attributes.map(|a| (a.type_, a.pValue.cast(), a.ulValueLen)).collect()
            }
            _ => Vec::new(),
        };
        let is_written = |one: &(_, *mut CK_BYTE, CK_ULONG)| {
            !one.1.is_null() && one.2 != CK_UNAVAILABLE_INFORMATION && one.2 > 0
        };
        all.into_iter().filter(is_written).collect()
    }

    /// Changes the first bit of what was written.
    pub fn flip(self) {
        for (_, out, _) in self.buffers() {
            // SAFETY: the call has just written at least one byte there.
            unsafe { *out ^= 0x80 };
        }
    }
}

/// Appends a line to the log, if one is kept.
pub fn record(function: &str, session: CK_SESSION_HANDLE, rv: CK_RV, output: Output) {
    let Some(path) = std::env::var_os(crate::LOG) else { return };
    let mut line = format!("{function} session={session} rv={rv:#x}");
    let buffers = if rv == CKR_OK { output.buffers() } else { Vec::new() };
    for (attribute, out, len) in buffers {
        line.push(' ');
        match output {
            Output::Attributes(..) => drop(write!(line, "{attribute:#x}=")),
            _ => line.push_str("out="),
        }
        let len = usize::try_from(len).unwrap_or(0).min(4096);
        // SAFETY: the real module answered CKR_OK, so it has written so many bytes there. (Lengths
        // are lied about only after this.)
        for byte in unsafe { std::slice::from_raw_parts(out, len) } {
            let _ = write!(line, "{byte:02x}");
        }
    }
    line.push('\n');
    // One write, so that lines of several threads and processes do not mix.
    let written = OpenOptions::new().append(true).create(true).open(path);
    if let Err(e) = written.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!("pkcs11 shim: the log: {e}");
        std::process::abort();
    }
}

/// Runs when the process calls its exit handlers.
#[used]
// SAFETY: a function without arguments that returns, as the linker's table of them wants.
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = at_exit;

extern "C" fn at_exit() {
    record(AT_EXIT_NAME, 0, CKR_OK, Output::None);
}
