//! Calls of a module that cryptoki cannot make as we need them: one call into a buffer of known
//! length that is wiped, any mechanism, any answer. The only file of this crate with `unsafe`.
//!
//! Beside cryptoki, on the same module and the same sessions: opening a library a second time
//! gives the same library. Why not cryptoki alone (0.12.1, measured): it asks every output's
//! length first, which NSS refuses for AES-GCM; it leaves secrets in memory; it does not cut
//! C_WrapKey's output to the length that the token says; and it knows neither
//! CKM_AES_KEY_WRAP_KWP, nor mechanisms younger than itself, nor a token whose clock is no time.

#![expect(unsafe_code, reason = "PKCS#11 is a C interface, and cryptoki does not reach all of it")]

use super::fault::Fault;
use super::mechanism::RawMechanism;
use super::template::Template;
use super::token_info::{MechanismInfo, RawTokenInfo};
use super::value;
use crate::{HsmError, KeyBytes};
use cryptoki::context::Function;
use cryptoki::error::{Error, Rv};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use cryptoki_sys::*;
use std::ffi::{CStr, c_void};
use std::fmt;
use std::path::Path;
use std::ptr;
use zeroize::Zeroizing;

/// Longest output that is accepted, in bytes: what we pass in is never longer than 64 KiB.
const MAX_OUTPUT: usize = 128 * 1024;
/// Most mechanisms that a list may have; the longest known has about 200.
const MAX_MECHANISMS: CK_ULONG = 4096;
/// Most slots that a module may have, as many as any partitioned HSM.
const MAX_SLOTS: CK_ULONG = 4096;
/// Objects that are asked for in one call.
const FOUND_AT_ONCE: usize = 64;

/// The functions of a module.
pub(super) struct Raw {
    list: CK_FUNCTION_LIST,
    /// The functions are there only as long as the library is open.
    _library: cryptoki_sys::Pkcs11,
}

impl Raw {
    /// Opens a module that cryptoki has opened already.
    pub(super) fn load(path: &Path) -> Result<Self, HsmError> {
        let bad = |reason: String| HsmError::NotAModule { path: path.to_owned(), reason };
        // SAFETY: opening a library runs its initialisers. This one is open already: whoever
        // configured its path trusted it with more than that.
        let library = unsafe { cryptoki_sys::Pkcs11::new(path) }.map_err(|e| bad(e.to_string()))?;
        let get = library.C_GetFunctionList.as_ref().map_err(|e| bad(e.to_string()))?;
        let mut list = ptr::null_mut();
        // SAFETY: the argument is a place for one pointer, which outlives the call.
        let rv = unsafe { get(&mut list) };
        check(rv, Function::GetFunctionList).map_err(|e| bad(HsmError::from(e).to_string()))?;
        // SAFETY: after CKR_OK it points to the module's list, which lives as long as the module
        // (v2.40, 5.4, C_GetFunctionList); null is caught.
        let list = unsafe { list.as_ref() };
        let list = *list.ok_or_else(|| bad("C_GetFunctionList gave no list".into()))?;
        Ok(Self { list, _library: library })
    }

    /// C_Initialize, for many threads. `parameters` are passed in pReserved, which is NULL with
    /// nearly every module.
    pub(super) fn initialize(&self, parameters: Option<&CStr>) -> Result<(), Fault> {
        /// NSS has one field more than the standard: where the standard has pReserved, it has the
        /// parameters, and its own pReserved after them.
        #[repr(C)]
        struct Arguments {
            standard: CK_C_INITIALIZE_ARGS,
            beyond: *mut c_void,
        }
        let run = f(self.list.C_Initialize)?;
        let reserved = parameters.map_or(ptr::null(), CStr::as_ptr).cast_mut().cast();
        let mut arguments = Arguments {
            standard: CK_C_INITIALIZE_ARGS {
                flags: CKF_OS_LOCKING_OK,
                pReserved: reserved,
                ..CK_C_INITIALIZE_ARGS::default()
            },
            beyond: ptr::null_mut(),
        };
        // SAFETY: the arguments and the text live until the call returns; modules keep copies.
        let rv = unsafe { run(ptr::from_mut(&mut arguments).cast()) };
        check(rv, Function::Initialize)
    }

    /// C_Encrypt in one call; `max_len` is the most the output may be, in bytes.
    pub(super) fn encrypt(
        &self,
        session: &Session,
        mechanism: &mut RawMechanism<'_>,
        key: ObjectHandle,
        input: &[u8],
        max_len: usize,
    ) -> Result<KeyBytes, Fault> {
        let (init, run) = (f(self.list.C_EncryptInit)?, f(self.list.C_Encrypt)?);
        let input_len = ulong(input.len())?;
        mechanism.with(|mechanism| {
            // SAFETY: `mechanism` and what it points to live until `with` returns, which is after
            // the operation has ended.
            let rv = unsafe { init(session.handle(), mechanism, key.handle()) };
            check(rv, Function::EncryptInit)?;
            output(Function::Encrypt, max_len, |out, len| {
                // SAFETY: both buffers are as long as is said; C_Encrypt does not write its input.
                unsafe { run(session.handle(), input.as_ptr().cast_mut(), input_len, out, len) }
            })
        })
    }

    /// C_Decrypt in one call; `max_len` is the most the output may be, in bytes.
    pub(super) fn decrypt(
        &self,
        session: &Session,
        mechanism: &mut RawMechanism<'_>,
        key: ObjectHandle,
        input: &[u8],
        max_len: usize,
    ) -> Result<KeyBytes, Fault> {
        let (init, run) = (f(self.list.C_DecryptInit)?, f(self.list.C_Decrypt)?);
        let input_len = ulong(input.len())?;
        mechanism.with(|mechanism| {
            // SAFETY: as in `encrypt`.
            let rv = unsafe { init(session.handle(), mechanism, key.handle()) };
            check(rv, Function::DecryptInit)?;
            output(Function::Decrypt, max_len, |out, len| {
                // SAFETY: both buffers are as long as is said; C_Decrypt does not write its input.
                unsafe { run(session.handle(), input.as_ptr().cast_mut(), input_len, out, len) }
            })
        })
    }

    /// C_Sign in one call: a signature or a MAC; `max_len` is the most it may be, in bytes.
    pub(super) fn sign(
        &self,
        session: &Session,
        mechanism: &mut RawMechanism<'_>,
        key: ObjectHandle,
        input: &[u8],
        max_len: usize,
    ) -> Result<KeyBytes, Fault> {
        let (init, run) = (f(self.list.C_SignInit)?, f(self.list.C_Sign)?);
        let input_len = ulong(input.len())?;
        mechanism.with(|mechanism| {
            // SAFETY: as in `encrypt`.
            let rv = unsafe { init(session.handle(), mechanism, key.handle()) };
            check(rv, Function::SignInit)?;
            output(Function::Sign, max_len, |out, len| {
                // SAFETY: both buffers are as long as is said; C_Sign does not write its input.
                unsafe { run(session.handle(), input.as_ptr().cast_mut(), input_len, out, len) }
            })
        })
    }

    /// C_WrapKey in one call, cut to the length that the token says it wrote.
    pub(super) fn wrap_key(
        &self,
        session: &Session,
        mechanism: &mut RawMechanism<'_>,
        wrapping_key: ObjectHandle,
        key: ObjectHandle,
        max_len: usize,
    ) -> Result<KeyBytes, Fault> {
        let run = f(self.list.C_WrapKey)?;
        mechanism.with(|mechanism| {
            output(Function::WrapKey, max_len, |out, len| {
                // SAFETY: `mechanism` lives until `with` returns; `out` is as long as `len` says.
                unsafe {
                    run(session.handle(), mechanism, wrapping_key.handle(), key.handle(), out, len)
                }
            })
        })
    }

    /// C_UnwrapKey: a new object.
    pub(super) fn unwrap_key(
        &self,
        session: &Session,
        mechanism: &mut RawMechanism<'_>,
        unwrapping_key: ObjectHandle,
        wrapped: &[u8],
        template: Template<'_>,
    ) -> Result<ObjectHandle, Fault> {
        let run = f(self.list.C_UnwrapKey)?;
        let wrapped_len = ulong(wrapped.len())?;
        mechanism.with(|mechanism| {
            template.with(|attributes, count| {
                object(Function::UnwrapKey, |new| {
                    // SAFETY: all pointers live until the closures return; C_UnwrapKey does not
                    // write the wrapped key, and writes one handle.
                    unsafe {
                        run(
                            session.handle(),
                            mechanism,
                            unwrapping_key.handle(),
                            wrapped.as_ptr().cast_mut(),
                            wrapped_len,
                            attributes,
                            count,
                            new,
                        )
                    }
                })
            })
        })
    }

    /// C_DeriveKey: a new object.
    pub(super) fn derive_key(
        &self,
        session: &Session,
        mechanism: &mut RawMechanism<'_>,
        base_key: ObjectHandle,
        template: Template<'_>,
    ) -> Result<ObjectHandle, Fault> {
        let run = f(self.list.C_DeriveKey)?;
        mechanism.with(|mechanism| {
            template.with(|attributes, count| {
                object(Function::DeriveKey, |new| {
                    // SAFETY: all pointers live until the closures return; one handle is written.
                    unsafe {
                        let session = session.handle();
                        run(session, mechanism, base_key.handle(), attributes, count, new)
                    }
                })
            })
        })
    }

    /// C_GenerateKey by a mechanism without parameters: a new object.
    pub(super) fn generate_key(
        &self,
        session: &Session,
        mechanism: CK_MECHANISM_TYPE,
        template: Template<'_>,
    ) -> Result<ObjectHandle, Fault> {
        let run = f(self.list.C_GenerateKey)?;
        let mut mechanism =
            CK_MECHANISM { mechanism, pParameter: ptr::null_mut(), ulParameterLen: 0 };
        template.with(|attributes, count| {
            object(Function::GenerateKey, |new| {
                // SAFETY: all pointers live until the closure returns; one handle is written.
                unsafe { run(session.handle(), &mut mechanism, attributes, count, new) }
            })
        })
    }

    /// C_CreateObject: a new object with a value of ours.
    pub(super) fn create_object(
        &self,
        session: &Session,
        template: Template<'_>,
    ) -> Result<ObjectHandle, Fault> {
        let run = f(self.list.C_CreateObject)?;
        template.with(|attributes, count| {
            object(Function::CreateObject, |new| {
                // SAFETY: all pointers live until the closure returns; one handle is written.
                unsafe { run(session.handle(), attributes, count, new) }
            })
        })
    }

    /// C_GetAttributeValue of one attribute as it is, of at most `max_len` bytes: also one that
    /// cryptoki cannot read, and CKA_VALUE without a copy that is not wiped. In two calls: NSS
    /// does not mind how long the buffer is, and writes beyond it.
    pub(super) fn attribute(
        &self,
        session: &Session,
        key: ObjectHandle,
        attribute: CK_ATTRIBUTE_TYPE,
        max_len: usize,
    ) -> Result<KeyBytes, Fault> {
        let run = f(self.list.C_GetAttributeValue)?;
        let mut one = CK_ATTRIBUTE { type_: attribute, pValue: ptr::null_mut(), ulValueLen: 0 };
        // SAFETY: one attribute, without a buffer: the token only says how long the value is.
        let rv = unsafe { run(session.handle(), key.handle(), &mut one, 1) };
        check(rv, Function::GetAttributeValue)?;
        let len = usize::try_from(one.ulValueLen).ok().filter(|len| *len <= max_len);
        let len = len.ok_or_else(|| {
            value::wrong_len(attribute, &format!("at most {max_len}"), one.ulValueLen)
        })?;
        output(Function::GetAttributeValue, len, |out, len| {
            // SAFETY: `len` is `output`'s own variable: it is there to be read and written.
            let (room, len) = unsafe { (*len, &mut *len) };
            let mut one = CK_ATTRIBUTE { type_: attribute, pValue: out.cast(), ulValueLen: room };
            // SAFETY: one attribute, whose buffer is as long as it says and as the value is.
            let rv = unsafe { run(session.handle(), key.handle(), &mut one, 1) };
            *len = one.ulValueLen;
            rv
        })
    }

    /// The slots that have a token.
    pub(super) fn slots(&self) -> Result<Vec<Slot>, Fault> {
        let run = f(self.list.C_GetSlotList)?;
        let mut count = 0;
        // SAFETY: without a buffer the module only says how many there are.
        let rv = unsafe { run(CK_TRUE, ptr::null_mut(), &mut count) };
        check(rv, Function::GetSlotList)?;
        if count > MAX_SLOTS {
            return Err(lied(Function::GetSlotList, MAX_SLOTS as usize, count));
        }
        // Room for some that are put in meanwhile.
        let mut list = vec![0; usize::try_from(count).map_err(Error::from)? + 8];
        let mut count = ulong(list.len())?;
        // SAFETY: the list has room for `count` numbers.
        let rv = unsafe { run(CK_TRUE, list.as_mut_ptr(), &mut count) };
        check(rv, Function::GetSlotList)?;
        let found = list.get(..usize::try_from(count).map_err(Error::from)?);
        let found = found.ok_or_else(|| lied(Function::GetSlotList, list.len(), count))?;
        Ok(found.iter().map(|slot| Slot::try_from(*slot)).collect::<Result<_, _>>()?)
    }

    /// The objects that have these attributes: C_FindObjects until there are no more.
    pub(super) fn find(
        &self,
        session: &Session,
        wanted: &[Attribute],
    ) -> Result<Vec<ObjectHandle>, Fault> {
        let (init, next) = (f(self.list.C_FindObjectsInit)?, f(self.list.C_FindObjects)?);
        let end = f(self.list.C_FindObjectsFinal)?;
        let template = Template { attributes: wanted, ..Template::default() };
        template.with(|attributes, count| {
            // SAFETY: the attributes live until the closure returns; the module copies them.
            let rv = unsafe { init(session.handle(), attributes, count) };
            check(rv, Function::FindObjectsInit)
        })?;
        let more = || {
            let (mut list, mut count) = ([CK_INVALID_HANDLE; FOUND_AT_ONCE], 0);
            // SAFETY: the list has room for so many handles.
            let rv = unsafe {
                next(session.handle(), list.as_mut_ptr(), FOUND_AT_ONCE as CK_ULONG, &mut count)
            };
            check(rv, Function::FindObjects)?;
            let found = list.get(..usize::try_from(count).map_err(Error::from)?);
            found
                .map(<[_]>::to_vec)
                .ok_or_else(|| lied(Function::FindObjects, FOUND_AT_ONCE, count))
        };
        let found = value::collect(more);
        // SAFETY: no pointers. Whatever it answers: the search is over.
        let _ = unsafe { end(session.handle()) };
        // SAFETY: the module has just given these handles for objects that the session sees.
        let handle = |handle| unsafe { ObjectHandle::new_from_raw(handle) };
        Ok(found?.into_iter().map(handle).collect())
    }

    /// C_GetAttributeValue of one attribute that has `N` bytes: one call.
    pub(super) fn attribute_of_len<const N: usize>(
        &self,
        session: &Session,
        key: ObjectHandle,
        attribute: CK_ATTRIBUTE_TYPE,
    ) -> Result<[u8; N], Fault> {
        let run = f(self.list.C_GetAttributeValue)?;
        let mut value = [0; N];
        let mut one = CK_ATTRIBUTE {
            type_: attribute,
            pValue: value.as_mut_ptr().cast(),
            ulValueLen: N as CK_ULONG,
        };
        // SAFETY: one attribute, whose buffer is as long as it says.
        let rv = unsafe { run(session.handle(), key.handle(), &mut one, 1) };
        check(rv, Function::GetAttributeValue)?;
        match one.ulValueLen {
            len if len == N as CK_ULONG => Ok(value),
            len => Err(value::wrong_len(attribute, &N.to_string(), len)),
        }
    }

    /// The mechanisms of a token by their numbers, those that nobody here knows included.
    pub(super) fn mechanisms(&self, slot: Slot) -> Result<Vec<CK_MECHANISM_TYPE>, Fault> {
        let run = f(self.list.C_GetMechanismList)?;
        let mut count = 0;
        // SAFETY: without a buffer the token only says how many there are.
        let rv = unsafe { run(slot.id(), ptr::null_mut(), &mut count) };
        check(rv, Function::GetMechanismList)?;
        if count > MAX_MECHANISMS {
            return Err(lied(Function::GetMechanismList, MAX_MECHANISMS as usize, count));
        }
        let mut list = vec![0; usize::try_from(count).map_err(Error::from)?];
        // SAFETY: the list has room for `count` numbers.
        let rv = unsafe { run(slot.id(), list.as_mut_ptr(), &mut count) };
        check(rv, Function::GetMechanismList)?;
        list.truncate(usize::try_from(count).map_err(Error::from)?);
        Ok(list)
    }

    pub(super) fn mechanism_info(
        &self,
        slot: Slot,
        mechanism: CK_MECHANISM_TYPE,
    ) -> Result<MechanismInfo, Fault> {
        let run = f(self.list.C_GetMechanismInfo)?;
        let mut info = CK_MECHANISM_INFO::default();
        // SAFETY: a place for one CK_MECHANISM_INFO, which outlives the call.
        let rv = unsafe { run(slot.id(), mechanism, &mut info) };
        check(rv, Function::GetMechanismInfo)?;
        Ok(info.into())
    }

    pub(super) fn token_info(&self, slot: Slot) -> Result<RawTokenInfo, Fault> {
        let run = f(self.list.C_GetTokenInfo)?;
        let mut info = CK_TOKEN_INFO::default();
        // SAFETY: a place for one CK_TOKEN_INFO, which outlives the call.
        let rv = unsafe { run(slot.id(), &mut info) };
        check(rv, Function::GetTokenInfo)?;
        Ok(RawTokenInfo::from(&info))
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").finish_non_exhaustive()
    }
}

/// Runs a call that writes up to `max_len` bytes and says how many. A token that wants a longer
/// buffer gets it, once: the operation stays active meanwhile (v2.40, 5.2).
fn output(
    function: Function,
    max_len: usize,
    call: impl Fn(*mut CK_BYTE, *mut CK_ULONG) -> CK_RV,
) -> Result<KeyBytes, Fault> {
    let mut out = Zeroizing::new(vec![0_u8; max_len]);
    let mut len = ulong(max_len)?;
    let mut rv = call(out.as_mut_ptr(), &mut len);
    if rv == CKR_BUFFER_TOO_SMALL {
        let wanted = usize::try_from(len).map_err(Error::from)?;
        // A token that refuses a buffer and wants none longer would refuse for ever.
        if wanted > max_len && wanted <= MAX_OUTPUT {
            out = Zeroizing::new(vec![0; wanted]);
            rv = call(out.as_mut_ptr(), &mut len);
        }
    }
    check(rv, function)?;
    let written = usize::try_from(len).map_err(Error::from)?;
    if written > out.len() {
        return Err(lied(function, out.len(), len));
    }
    // What is cut off stays in the buffer's spare room, which is wiped with it.
    out.truncate(written);
    Ok(KeyBytes::new(std::mem::take(&mut *out)))
}

/// Runs a call that makes an object.
fn object(
    function: Function,
    call: impl FnOnce(*mut CK_OBJECT_HANDLE) -> CK_RV,
) -> Result<ObjectHandle, Fault> {
    let mut handle = CK_INVALID_HANDLE;
    check(call(&mut handle), function)?;
    if handle == CK_INVALID_HANDLE {
        let text = format!("C_{function:?} answered CKR_OK, but made no object");
        return Err(Fault::Hsm(HsmError::Refused(text)));
    }
    // SAFETY: the module has just given this handle for an object of the session. (A handle that
    // is wrong is answered with CKR_OBJECT_HANDLE_INVALID; memory is not reached through it.)
    Ok(unsafe { ObjectHandle::new_from_raw(handle) })
}

fn check(rv: CK_RV, function: Function) -> Result<(), Fault> {
    Ok(Rv::from(rv).into_result(function)?)
}

/// A function of the module's list: an entry may be empty.
fn f<F>(function: Option<F>) -> Result<F, Fault> {
    Ok(function.ok_or(Error::NullFunctionPointer)?)
}

fn ulong(len: usize) -> Result<CK_ULONG, Fault> {
    Ok(CK_ULONG::try_from(len).map_err(Error::from)?)
}

fn lied(function: Function, room: usize, said: CK_ULONG) -> Fault {
    let text = format!("C_{function:?} had room for {room}, and says that it wrote {said}");
    Fault::Hsm(HsmError::Refused(text))
}
