//! One call: what it meets, and what comes of it.

use crate::control::{Action, Change, Lost, next};
use crate::forward::real;
use crate::record::{Output, record};
use cryptoki_sys::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// Shared by calls that are inside the real module, alone for what is done underneath them:
/// C_Finalize beside another call would crash SoftHSM, which is not what is tested.
static INSIDE: RwLock<()> = RwLock::new(());
static OPEN_SESSIONS: AtomicUsize = AtomicUsize::new(0);

/// A call of the application. `forward` asks the real module.
pub fn call(
    function: &str,
    session: CK_SESSION_HANDLE,
    output: Output,
    forward: impl FnOnce() -> CK_RV,
) -> CK_RV {
    call_knowing(function, session, output, |_| forward())
}

/// As [`call`], where `forward` minds what the call meets.
pub fn call_knowing(
    function: &str,
    session: CK_SESSION_HANDLE,
    output: Output,
    forward: impl FnOnce(Option<&Action>) -> CK_RV,
) -> CK_RV {
    let action = next(function);
    let ask = || {
        let _inside = INSIDE.read().unwrap_or_else(PoisonError::into_inner);
        let rv = forward(action.as_ref());
        count_sessions(function, rv);
        rv
    };
    let rv = match &action {
        None => ask(),
        Some(Action::Return(rv)) => *rv,
        Some(Action::TooSmall(_)) => CKR_BUFFER_TOO_SMALL,
        Some(Action::Hang) => loop {
            std::thread::park();
        },
        Some(Action::Abort) => std::process::abort(),
        Some(Action::Exit(code)) => std::process::exit(*code),
        Some(Action::Segfault) => {
            // SAFETY: none. That it is a fault is the point.
            unsafe { std::ptr::null_mut::<u8>().write_volatile(0) };
            CKR_GENERAL_ERROR
        }
        Some(Action::Sleep(ms)) => {
            std::thread::sleep(Duration::from_millis(*ms));
            ask()
        }
        Some(Action::Lose(what)) => {
            lose(*what, session);
            ask()
        }
        Some(Action::Removed) => removed(function, output).unwrap_or_else(ask),
        Some(Action::Sessions(most)) if OPEN_SESSIONS.load(Ordering::SeqCst) >= *most => {
            CKR_SESSION_COUNT
        }
        Some(Action::After(rv)) => {
            ask();
            *rv
        }
        Some(_) => ask(),
    };
    record(function, session, rv, output);
    if let Some(action) = action {
        lie(&action, rv, output);
    }
    rv
}

fn count_sessions(function: &str, rv: CK_RV) {
    if rv != CKR_OK {
        return;
    }
    match function {
        "C_OpenSession" => drop(OPEN_SESSIONS.fetch_add(1, Ordering::SeqCst)),
        "C_CloseSession" => drop(OPEN_SESSIONS.fetch_sub(1, Ordering::SeqCst)),
        "C_CloseAllSessions" | "C_Finalize" => OPEN_SESSIONS.store(0, Ordering::SeqCst),
        _ => {}
    }
}

/// Takes something away underneath the application.
fn lose(what: Lost, session: CK_SESSION_HANDLE) {
    let _alone = INSIDE.write().unwrap_or_else(PoisonError::into_inner);
    let list = real();
    // SAFETY: calls of the real module as PKCS#11 has them; nobody else is inside.
    unsafe {
        match what {
            Lost::Finalize => drop(list.C_Finalize.map(|f| f(std::ptr::null_mut()))),
            Lost::Login => drop(list.C_Logout.map(|f| f(session))),
            Lost::Sessions => {
                let mut info = CK_SESSION_INFO::default();
                let known = list.C_GetSessionInfo.map(|f| f(session, &mut info));
                if known == Some(CKR_OK) {
                    list.C_CloseAllSessions.map(|f| f(info.slotID));
                }
            }
        }
    }
    if what != Lost::Login {
        OPEN_SESSIONS.store(0, Ordering::SeqCst);
    }
}

/// What is answered when the token is out of its slot; None is passed on.
fn removed(function: &str, output: Output) -> Option<CK_RV> {
    match (function, output) {
        ("C_Initialize" | "C_Finalize" | "C_GetInfo" | "C_GetSlotInfo", _) => None,
        ("C_GetSlotList", Output::Count(count)) => {
            // SAFETY: the caller gives a place for the number of slots.
            unsafe { *count = 0 };
            Some(CKR_OK)
        }
        ("C_GetTokenInfo" | "C_OpenSession" | "C_GetMechanismList" | "C_GetMechanismInfo", _) => {
            Some(CKR_TOKEN_NOT_PRESENT)
        }
        _ => Some(CKR_DEVICE_REMOVED),
    }
}

/// Changes what the call gave out.
fn lie(action: &Action, rv: CK_RV, output: Output) {
    match action {
        Action::Flip if rv == CKR_OK => output.flip(),
        Action::TooSmall(wanted) => set_lengths(output, |_| *wanted),
        Action::Length(change) => set_lengths(output, |len| match change {
            Change::To(n) => *n,
            Change::More(n) => len.saturating_add(*n),
            Change::Less(n) => len.saturating_sub(*n),
        }),
        Action::Flags(bits) => token(output, |info| info.flags |= bits),
        Action::MaxSessions(most) => token(output, |info| {
            info.ulMaxSessionCount = *most;
            info.ulMaxRwSessionCount = *most;
        }),
        Action::Serial(text) => token(output, |info| fill(&mut info.serialNumber, text)),
        Action::Clock(text) => token(output, |info| {
            info.flags |= CKF_CLOCK_ON_TOKEN;
            fill(&mut info.utcTime, text);
        }),
        _ => {}
    }
}

fn set_lengths(output: Output, change: impl Fn(CK_ULONG) -> CK_ULONG) {
    for len in output.lengths() {
        if !len.is_null() {
            // SAFETY: the caller gives a place for each length.
            unsafe { *len = change(*len) };
        }
    }
}

/// Writes text into a field of fixed length, padded with blanks.
fn fill(field: &mut [CK_BYTE], text: &str) {
    let padded = text.bytes().chain(std::iter::repeat(b' '));
    for (to, from) in field.iter_mut().zip(padded) {
        *to = from;
    }
}

fn token(output: Output, change: impl Fn(&mut CK_TOKEN_INFO)) {
    if let Output::Token(info) = output {
        // SAFETY: the caller gives a place for the token's description, or null.
        if let Some(info) = unsafe { info.as_mut() } {
            change(info);
        }
    }
}
