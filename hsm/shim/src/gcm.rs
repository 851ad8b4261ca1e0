//! Tokens that choose the IV of AES-GCM themselves, as modules in FIPS mode do, in two dialects.

use crate::control::Dialect;
use crate::forward::real;
use cryptoki_sys::*;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of an IV that is appended (Thales Luna's FIPS mode).
const APPENDED: usize = 16;
/// Bytes of an IV that is written back (AWS CloudHSM).
const WRITTEN_BACK: usize = 12;

/// An encryption that has begun with an IV of ours.
struct Begun {
    dialect: Dialect,
    iv: Vec<u8>,
    /// The caller's buffer for the IV, as a number: it must live until C_Encrypt has ended.
    caller_iv: usize,
}

static BEGUN: Mutex<BTreeMap<CK_SESSION_HANDLE, Begun>> = Mutex::new(BTreeMap::new());

fn begun() -> MutexGuard<'static, BTreeMap<CK_SESSION_HANDLE, Begun>> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// C_EncryptInit of a token of this dialect; None if the mechanism is not AES-GCM.
///
/// # Safety
/// `mechanism` is what a caller gives to C_EncryptInit.
pub unsafe fn init(
    dialect: Dialect,
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> Option<CK_RV> {
    // SAFETY: one mechanism, or null.
    let given = unsafe { mechanism.as_ref() }.filter(|m| m.mechanism == CKM_AES_GCM)?;
    // SAFETY: AES-GCM's parameter is CK_GCM_PARAMS (PKCS#11 v3.0, 2.12.3).
    let mut params = unsafe { *given.pParameter.cast::<CK_GCM_PARAMS>() };
    let len = match dialect {
        Dialect::WrittenBack | Dialect::Repeated => WRITTEN_BACK,
        Dialect::Appended => APPENDED,
    };
    if dialect != Dialect::Appended {
        let given_len = usize::try_from(params.ulIvLen).unwrap_or(0);
        if params.pIv.is_null() || given_len != len {
            return Some(CKR_MECHANISM_PARAM_INVALID);
        }
        // SAFETY: the caller says that its IV is so long.
        let given = unsafe { std::slice::from_raw_parts(params.pIv, given_len) };
        if given.iter().any(|byte| *byte != 0) {
            return Some(CKR_MECHANISM_PARAM_INVALID);
        }
    }
    let mut iv = vec![0_u8; len];
    let caller_iv = params.pIv as usize;
    params.pIv = iv.as_mut_ptr();
    params.ulIvLen = len as CK_ULONG;
    params.ulIvBits = 8 * len as CK_ULONG;
    let mut ours = CK_MECHANISM {
        mechanism: CKM_AES_GCM,
        pParameter: (&raw mut params).cast(),
        ulParameterLen: size_of::<CK_GCM_PARAMS>() as CK_ULONG,
    };
    // SAFETY: all pointers live until the calls return; the module copies what it keeps.
    let rv = unsafe {
        let random = real().C_GenerateRandom?(session, iv.as_mut_ptr(), len as CK_ULONG);
        if random != CKR_OK {
            return Some(random);
        }
        if dialect == Dialect::Repeated {
            iv.fill(7);
        }
        real().C_EncryptInit?(session, &mut ours, key)
    };
    if rv == CKR_OK {
        begun().insert(session, Begun { dialect, iv, caller_iv });
    }
    Some(rv)
}

/// C_Encrypt of an encryption that began here; None if it did not.
///
/// # Safety
/// The arguments are what a caller gives to C_Encrypt.
pub unsafe fn encrypt(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
    out: *mut CK_BYTE,
    out_len: *mut CK_ULONG,
) -> Option<CK_RV> {
    let mut all = begun();
    let this = all.get(&session)?;
    let run = real().C_Encrypt?;
    let more = if this.dialect == Dialect::Appended { APPENDED as CK_ULONG } else { 0 };
    // Ciphertext, tag, IV.
    let needed = data_len + 16 + more;
    if out.is_null() {
        // SAFETY: the caller gives a place for the length.
        unsafe { *out_len = needed };
        return Some(CKR_OK);
    }
    // SAFETY: likewise.
    if unsafe { *out_len } < needed {
        // SAFETY: likewise.
        unsafe { *out_len = needed };
        return Some(CKR_BUFFER_TOO_SMALL);
    }
    // SAFETY: the caller's buffers, whose lengths it says.
    let rv = unsafe { run(session, data, data_len, out, out_len) };
    if rv == CKR_OK {
        match this.dialect {
            // SAFETY: the buffer is as long as `needed`, of which the IV is the end.
            Dialect::Appended => unsafe {
                let end = out.add(usize::try_from(*out_len).unwrap_or(0));
                std::ptr::copy_nonoverlapping(this.iv.as_ptr(), end, this.iv.len());
                *out_len += more;
            },
            // SAFETY: the caller gave room for 12 bytes at C_EncryptInit, and must keep it until
            // the operation has ended, as for any mechanism parameter that is written.
            Dialect::WrittenBack | Dialect::Repeated => unsafe {
                let to = this.caller_iv as *mut CK_BYTE;
                std::ptr::copy_nonoverlapping(this.iv.as_ptr(), to, this.iv.len());
            },
        }
    }
    all.remove(&session);
    Some(rv)
}
