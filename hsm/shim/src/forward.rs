//! The functions of the module: each passes its call on, by way of [`call`].
//!
//! Functions that this project has no use for are the real module's own.

#![expect(non_snake_case, reason = "PKCS#11's names")]

use crate::actions::{call, call_knowing};
use crate::control::Action;
use crate::gcm;
use crate::record::Output;
use cryptoki_sys::*;
use std::ffi::c_void;
use std::sync::OnceLock;

struct Loaded {
    real: CK_FUNCTION_LIST,
    ours: CK_FUNCTION_LIST,
    _library: Pkcs11,
}

static LOADED: OnceLock<Loaded> = OnceLock::new();

/// The functions of the real module.
pub fn real() -> &'static CK_FUNCTION_LIST {
    &LOADED.get_or_init(load).real
}

fn load() -> Loaded {
    let stop = |what: String| -> ! {
        eprintln!("pkcs11 shim: {what}");
        std::process::abort()
    };
    let Some(path) = std::env::var_os(crate::MODULE) else {
        stop(format!("{} does not name the real module", crate::MODULE))
    };
    // SAFETY: opening a library runs its initialisers; it is a PKCS#11 module by the test's word.
    let library = match unsafe { Pkcs11::new(&path) } {
        Ok(library) => library,
        Err(e) => stop(format!("{}: {e}", path.display())),
    };
    let mut list = std::ptr::null_mut();
    let rv = match &library.C_GetFunctionList {
        // SAFETY: a place for one pointer.
        Ok(get) => unsafe { get(&mut list) },
        Err(e) => stop(e.to_string()),
    };
    if rv != CKR_OK || list.is_null() {
        stop(format!("C_GetFunctionList answered {rv:#x}"));
    }
    // SAFETY: the module's list, which lives as long as the library.
    let real = unsafe { *list };
    Loaded { ours: replace(real), real, _library: library }
}

/// The one function that is looked up by its name.
///
/// # Safety
/// As PKCS#11 has it: `list` is a place for one pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    if list.is_null() {
        return CKR_ARGUMENTS_BAD;
    }
    let ours = &raw const LOADED.get_or_init(load).ours;
    // SAFETY: checked above. The list is constant, as PKCS#11's callers know.
    unsafe { *list = ours.cast_mut() };
    CKR_OK
}

macro_rules! forwarded {
    ($($name:ident($($arg:ident: $type:ty),*), $session:expr, $output:expr;)*) => {
        $(
            unsafe extern "C" fn $name($($arg: $type),*) -> CK_RV {
                call(stringify!($name), $session, $output, || match real().$name {
                    // SAFETY: the caller's arguments as they are.
                    Some(f) => unsafe { f($($arg),*) },
                    None => CKR_FUNCTION_NOT_SUPPORTED,
                })
            }
        )*

        fn replace(real: CK_FUNCTION_LIST) -> CK_FUNCTION_LIST {
            CK_FUNCTION_LIST {
                C_EncryptInit: Some(C_EncryptInit),
                C_Encrypt: Some(C_Encrypt),
                $($name: Some($name),)*
                ..real
            }
        }
    };
}

forwarded! {
    C_Initialize(args: *mut c_void), 0, Output::None;
    C_Finalize(reserved: *mut c_void), 0, Output::None;
    C_GetInfo(info: *mut CK_INFO), 0, Output::None;
    C_GetSlotList(with_token: CK_BBOOL, slots: *mut CK_SLOT_ID, count: *mut CK_ULONG), 0, Output::Count(count);
    C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO), 0, Output::None;
    C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO), 0, Output::Token(info);
    C_GetMechanismList(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG), 0, Output::Count(count);
    C_GetMechanismInfo(slot: CK_SLOT_ID, mechanism: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO), 0, Output::None;
    C_InitToken(slot: CK_SLOT_ID, pin: *mut CK_UTF8CHAR, len: CK_ULONG, label: *mut CK_UTF8CHAR), 0, Output::None;
    C_InitPIN(session: CK_SESSION_HANDLE, pin: *mut CK_UTF8CHAR, len: CK_ULONG), session, Output::None;
    C_SetPIN(session: CK_SESSION_HANDLE, old: *mut CK_UTF8CHAR, old_len: CK_ULONG, new: *mut CK_UTF8CHAR, new_len: CK_ULONG), session, Output::None;
    C_OpenSession(slot: CK_SLOT_ID, flags: CK_FLAGS, application: *mut c_void, notify: CK_NOTIFY, session: *mut CK_SESSION_HANDLE), 0, Output::None;
    C_CloseSession(session: CK_SESSION_HANDLE), session, Output::None;
    C_CloseAllSessions(slot: CK_SLOT_ID), 0, Output::None;
    C_GetSessionInfo(session: CK_SESSION_HANDLE, info: *mut CK_SESSION_INFO), session, Output::None;
    C_Login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, len: CK_ULONG), session, Output::None;
    C_Logout(session: CK_SESSION_HANDLE), session, Output::None;
    C_CreateObject(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut CK_OBJECT_HANDLE), session, Output::None;
    C_CopyObject(session: CK_SESSION_HANDLE, from: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut CK_OBJECT_HANDLE), session, Output::None;
    C_DestroyObject(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE), session, Output::None;
    C_GetAttributeValue(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG), session, Output::Attributes(template, count);
    C_SetAttributeValue(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG), session, Output::None;
    C_FindObjectsInit(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG), session, Output::None;
    C_FindObjects(session: CK_SESSION_HANDLE, objects: *mut CK_OBJECT_HANDLE, most: CK_ULONG, count: *mut CK_ULONG), session, Output::Count(count);
    C_FindObjectsFinal(session: CK_SESSION_HANDLE), session, Output::None;
    C_DecryptInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE), session, Output::None;
    C_Decrypt(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, out: *mut CK_BYTE, out_len: *mut CK_ULONG), session, Output::Bytes(out, out_len);
    C_DecryptUpdate(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, out: *mut CK_BYTE, out_len: *mut CK_ULONG), session, Output::Bytes(out, out_len);
    C_DecryptFinal(session: CK_SESSION_HANDLE, out: *mut CK_BYTE, out_len: *mut CK_ULONG), session, Output::Bytes(out, out_len);
    C_EncryptUpdate(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, out: *mut CK_BYTE, out_len: *mut CK_ULONG), session, Output::Bytes(out, out_len);
    C_EncryptFinal(session: CK_SESSION_HANDLE, out: *mut CK_BYTE, out_len: *mut CK_ULONG), session, Output::Bytes(out, out_len);
    C_SignInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE), session, Output::None;
    C_Sign(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, out: *mut CK_BYTE, out_len: *mut CK_ULONG), session, Output::Bytes(out, out_len);
    C_VerifyInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE), session, Output::None;
    C_Verify(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: CK_ULONG), session, Output::None;
    C_GenerateKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE), session, Output::None;
    C_GenerateKeyPair(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, public: *mut CK_ATTRIBUTE, public_count: CK_ULONG, private: *mut CK_ATTRIBUTE, private_count: CK_ULONG, public_key: *mut CK_OBJECT_HANDLE, private_key: *mut CK_OBJECT_HANDLE), session, Output::None;
    C_WrapKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, wrapping_key: CK_OBJECT_HANDLE, key: CK_OBJECT_HANDLE, out: *mut CK_BYTE, out_len: *mut CK_ULONG), session, Output::Bytes(out, out_len);
    C_UnwrapKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, unwrapping_key: CK_OBJECT_HANDLE, wrapped: *mut CK_BYTE, wrapped_len: CK_ULONG, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE), session, Output::None;
    C_DeriveKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, base: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE), session, Output::None;
    C_SeedRandom(session: CK_SESSION_HANDLE, seed: *mut CK_BYTE, len: CK_ULONG), session, Output::None;
    C_GenerateRandom(session: CK_SESSION_HANDLE, out: *mut CK_BYTE, len: CK_ULONG), session, Output::None;
}

unsafe extern "C" fn C_EncryptInit(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    call_knowing("C_EncryptInit", session, Output::None, |action| {
        if let Some(Action::GcmIv(dialect)) = action {
            // SAFETY: the caller's arguments as they are.
            if let Some(rv) = unsafe { gcm::init(*dialect, session, mechanism, key) } {
                return rv;
            }
        }
        match real().C_EncryptInit {
            // SAFETY: the caller's arguments as they are.
            Some(f) => unsafe { f(session, mechanism, key) },
            None => CKR_FUNCTION_NOT_SUPPORTED,
        }
    })
}

unsafe extern "C" fn C_Encrypt(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
    out: *mut CK_BYTE,
    out_len: *mut CK_ULONG,
) -> CK_RV {
    call("C_Encrypt", session, Output::Bytes(out, out_len), || {
        // SAFETY: the caller's arguments as they are.
        if let Some(rv) = unsafe { gcm::encrypt(session, data, data_len, out, out_len) } {
            return rv;
        }
        match real().C_Encrypt {
            // SAFETY: the caller's arguments as they are.
            Some(f) => unsafe { f(session, data, data_len, out, out_len) },
            None => CKR_FUNCTION_NOT_SUPPORTED,
        }
    })
}
