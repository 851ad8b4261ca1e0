//! A vendor's library, loaded and initialised once a process.
//!
//! The one global of this crate, because the thing itself is global: C_Initialize and C_Finalize
//! act on the whole process, whoever calls them. A module is therefore never finalised here:
//! another user of it might be inside a call, which crashes (measured on SoftHSM).

use super::fault::words;
use crate::HsmError;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Modules = BTreeMap<PathBuf, Arc<Module>>;

static LOADED: Mutex<Modules> = Mutex::new(BTreeMap::new());

#[derive(Debug)]
pub(super) struct Module {
    pub(super) path: PathBuf,
    pub(super) pkcs11: Pkcs11,
    /// How often C_Login was called: a wrong PIN may cost one attempt, never two.
    pub(super) logins: AtomicU64,
}

/// Loads a module, or finds it loaded. By its canonical path: two names of one file are one.
pub(super) fn load(path: &Path) -> Result<Arc<Module>, HsmError> {
    let canonical = path
        .canonicalize()
        .map_err(|e| HsmError::ModuleMissing { path: path.to_owned(), reason: e.to_string() })?;
    let mut loaded = loaded();
    if let Some(module) = loaded.get(&canonical) {
        return Ok(Arc::clone(module));
    }
    let pkcs11 = Pkcs11::new(&canonical)
        .map_err(|e| HsmError::NotAModule { path: path.to_owned(), reason: words(&e) })?;
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Someone else in this process has initialised it, which serves as well.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(e) => {
            let (path, reason) = (path.to_owned(), words(&e));
            return Err(HsmError::ModuleInitialize { path, reason });
        }
    }
    let module = Module { path: canonical.clone(), pkcs11, logins: AtomicU64::new(0) };
    let module = Arc::new(module);
    loaded.insert(canonical, Arc::clone(&module));
    Ok(module)
}

/// How often this process has called C_Login on a user's PIN through a module.
pub fn login_attempts(module: &Path) -> u64 {
    let Ok(canonical) = module.canonicalize() else { return 0 };
    loaded().get(&canonical).map_or(0, |m| m.logins.load(Ordering::Relaxed))
}

fn loaded() -> MutexGuard<'static, Modules> {
    // Every change to the map is one insert: a panic elsewhere cannot leave it half done.
    LOADED.lock().unwrap_or_else(PoisonError::into_inner)
}
