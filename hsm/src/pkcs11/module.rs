//! A vendor's library, loaded and initialised once a process, restarted when it has to be.
//!
//! The one global of this crate, because the thing itself is global: C_Initialize and C_Finalize
//! act on the whole process, whoever calls them. All users of a module pass its gate.

use super::fault::{Fault, words};
use super::gate::{Alone, Gate, Pass};
use super::pin::RefusedPins;
use super::raw::Raw;
use crate::HsmError;
use cryptoki::context::Pkcs11;
use cryptoki::error::RvError;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

static LOADED: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

#[derive(Debug)]
pub(super) struct Module {
    pub(super) path: PathBuf,
    /// To be called by who holds a [`Pass`], or is [`Alone`].
    pub(super) pkcs11: Pkcs11,
    pub(super) raw: Raw,
    /// What C_Initialize is given in pReserved.
    parameters: Option<CString>,
    gate: Gate,
    pub(super) refused_pins: RefusedPins,
    /// How often C_Login was called: a wrong PIN may cost one attempt, never two.
    pub(super) logins: AtomicU64,
    /// How often it was finalised and initialised again.
    restarts: AtomicU64,
}

/// Loads a module, or finds it loaded. By its canonical path: two names of one file are one.
/// `parameters` are for C_Initialize, so they cannot be others than those of who came first.
pub(super) fn load(path: &Path, parameters: Option<&str>) -> Result<Arc<Module>, HsmError> {
    let parameters = parameters.map(CString::new).transpose().map_err(|e| {
        HsmError::Refused(format!("parameters of PKCS#11 module {}: {e}", path.display()))
    })?;
    let canonical = checked(path)?;
    let mut loaded = loaded();
    if let Some(module) = loaded.get(&canonical) {
        if parameters.is_some() && parameters != module.parameters {
            return Err(HsmError::Refused(format!(
                "PKCS#11 module {} was started with other parameters: wanted {parameters:?}, \
                 found {:?}",
                path.display(),
                module.parameters
            )));
        }
        return Ok(Arc::clone(module));
    }
    let pkcs11 = Pkcs11::new(&canonical)
        .map_err(|e| HsmError::NotAModule { path: path.to_owned(), reason: words(&e) })?;
    let module = Module {
        path: canonical.clone(),
        raw: Raw::load(&canonical)?,
        parameters,
        pkcs11,
        gate: Gate::default(),
        refused_pins: RefusedPins::new()?,
        logins: AtomicU64::new(0),
        restarts: AtomicU64::new(0),
    };
    module.initialize()?;
    let module = Arc::new(module);
    loaded.insert(canonical, Arc::clone(&module));
    Ok(module)
}

/// Where the module really is. Who can change its file gets the PIN.
fn checked(path: &Path) -> Result<PathBuf, HsmError> {
    let missing = |reason: String| HsmError::ModuleMissing { path: path.to_owned(), reason };
    if !path.is_absolute() {
        return Err(missing("an absolute path is wanted, so that it is found where it is".into()));
    }
    let canonical = path.canonicalize().map_err(|e| missing(e.to_string()))?;
    let file = canonical.metadata().map_err(|e| missing(e.to_string()))?;
    let (owner, ours) = (file.uid(), rustix::process::geteuid().as_raw());
    let reason = if owner != 0 && owner != ours {
        format!("it belongs to user {owner}, who is neither root nor the user of this process")
    } else if file.mode() & 0o002 != 0 {
        format!("everyone may write to it (mode {:o})", file.mode() & 0o777)
    } else {
        return Ok(canonical);
    };
    Err(HsmError::NotAModule { path: path.to_owned(), reason })
}

impl Module {
    /// Leave to make calls; never asked for by who has one already.
    pub(super) fn enter(&self) -> Result<Pass<'_>, HsmError> {
        self.gate.enter()
    }

    /// Leave to log in and to restart: waits until nobody is inside a call.
    pub(super) fn enter_alone(&self) -> Result<Alone<'_>, HsmError> {
        self.gate.enter_alone()
    }

    /// C_Finalize, C_Initialize. All sessions and handles of all users are void afterwards, also
    /// when it fails.
    pub(super) fn restart(&self, alone: &Alone<'_>) -> Result<(), HsmError> {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.finalize(alone);
        self.initialize()
    }

    /// Whatever it answers: C_Initialize is the judge.
    fn finalize(&self, alone: &Alone<'_>) {
        alone.sessions_are_void();
        let _ = self.pkcs11.clone().finalize();
    }

    fn initialize(&self) -> Result<(), HsmError> {
        match self.raw.initialize(self.parameters.as_deref()) {
            // Someone else in this process has initialised it, which serves as well.
            Err(fault) if fault.rv() == Some(RvError::CryptokiAlreadyInitialized) => Ok(()),
            other => other.map_err(|fault| {
                let reason = match fault {
                    Fault::Device(error) => words(&error),
                    Fault::Hsm(error) => error.to_string(),
                };
                HsmError::ModuleInitialize { path: self.path.clone(), reason }
            }),
        }
    }
}

/// Finalises every module, when the process is about to end: some crash if their own exit handlers
/// find them working. Waits for calls that are inside; one that hangs is left behind. Nobody comes in
/// any more, and nothing is loaded: threads may be at work until the very end.
pub fn end_modules() {
    let loaded = loaded();
    for module in loaded.values() {
        if let Ok(alone) = module.enter_alone() {
            module.finalize(&alone);
            std::mem::forget(alone);
        }
    }
    std::mem::forget(loaded);
}

/// Finalises every module underneath its users, who start it again when they use it: for tests.
#[cfg(feature = "suite")]
pub fn finalize_modules() {
    let modules: Vec<Arc<Module>> = loaded().values().cloned().collect();
    for module in modules {
        if let Ok(alone) = module.enter_alone() {
            module.finalize(&alone);
        }
    }
}

/// How often this process has called C_Login on a user's PIN through a module: for tests.
#[cfg(feature = "suite")]
pub fn login_attempts(module: &Path) -> u64 {
    count(module, |module| &module.logins)
}

/// How often this process has finalised a module and initialised it again: for tests.
#[cfg(feature = "suite")]
pub fn restarts(module: &Path) -> u64 {
    count(module, |module| &module.restarts)
}

#[cfg(feature = "suite")]
fn count(module: &Path, counter: impl Fn(&Module) -> &AtomicU64) -> u64 {
    let Ok(canonical) = module.canonicalize() else { return 0 };
    loaded().get(&canonical).map_or(0, |m| counter(m).load(Ordering::Relaxed))
}

fn loaded() -> MutexGuard<'static, BTreeMap<PathBuf, Arc<Module>>> {
    // Every change to the map is one insert: a panic elsewhere cannot leave it half done.
    LOADED.lock().unwrap_or_else(PoisonError::into_inner)
}
