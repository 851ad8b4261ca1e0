//! From a section of the configuration to a device: in this process or in one of its own, behind a guard
//! that ends every call.
use super::late::Opener;
use super::settings::{DeviceError, Pkcs11, Settings, Tpm};
use claviger_hsm::profile::Profile;
use claviger_hsm::tpm::AuthSource;
use claviger_hsm::worker::{OpenRequest, PinRule};
use claviger_hsm::{
    GuardConfig, Guarded, HelperConfig, HelperHsm, Hsm, HsmError, KeyBytes, Pkcs11Hsm, TpmConfig,
    TpmHsm,
};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The hidden command of this program that is the helper process.
pub const HELPER_COMMAND: &str = "device-helper";
/// What vendors' libraries read from the environment; a helper gets nothing else of ours.
const ENVIRONMENT: [&str; 13] = [
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "SOFTHSM2_CONF",
    "KRYOPTIC_CONF",
    "OPENSC_CONF",
    "PKCS11_PROXY_SOCKET",
    "YUBIHSM_PKCS11_CONF",
    "ChrystokiConfigurationPath",
    "CS_PKCS11_R3_CFG",
    "CKNFAST_LOADSHARING",
    "NFAST_HOME",
];
/// A chip does one thing at a time, and takes a second for some.
const TPM_THREADS: usize = 2;
/// The same as the TPM's own, and a little: it is the TPM that says what went wrong.
const TPM_DEADLINE: Duration = Duration::from_secs(32);
/// More than any auth value that a TPM takes.
const MAX_AUTH_LEN: u64 = 64;

/// How a section's device is opened.
pub fn opener(section: &Settings) -> Result<Opener, DeviceError> {
    let name = section.name.clone();
    let bad = |what: String| DeviceError { name: name.clone(), what };
    match (&section.pkcs11, &section.tpm) {
        (Some(pkcs11), _) => {
            let helper = pkcs11.runs_in_helper().map_err(|e| bad(e.to_string()))?;
            let pkcs11 = pkcs11.clone();
            // For all attempts: each makes a helper of its own.
            let pins = Arc::new(PinRule::new().map_err(|e| bad(e.to_string()))?);
            let open = move || -> Result<Arc<dyn Hsm>, HsmError> {
                let device = open_token(&pkcs11, helper, &pins)?;
                Ok(Arc::new(Guarded::new(device, guard(&pkcs11))?))
            };
            Ok(Opener { name, open: Box::new(open) })
        }
        (None, Some(tpm)) => {
            let tpm = tpm.clone();
            Ok(Opener { name, open: Box::new(move || open_tpm(&tpm)) })
        }
        (None, None) => Err(bad("is neither a token nor a TPM".into())),
    }
}

impl Pkcs11 {
    /// Whether the library runs in a process of its own.
    pub fn runs_in_helper(&self) -> Result<bool, HsmError> {
        Ok(match (self.helper, &self.profile) {
            (Some(helper), _) => helper,
            (None, Some(profile)) => Profile::named(profile)?.helper,
            (None, None) => Profile::of_module(&self.module)?.helper,
        })
    }

    /// Opens the token, its library where it is to run, with no guard before it: for a command
    /// that asks it everything.
    pub fn open(&self) -> Result<Arc<dyn Hsm>, HsmError> {
        open_token(self, self.runs_in_helper()?, &Arc::new(PinRule::new()?))
    }
}

impl Tpm {
    /// What the device is opened with; its auth value is read now.
    pub fn config(&self) -> Result<TpmConfig, HsmError> {
        let mut config = TpmConfig::new(self.tcti()?);
        config.pcrs = self.pcrs()?;
        config.auth = self.auth_file.as_deref().map(read_auth).transpose()?;
        config.auth_source =
            self.auth_file.clone().map(|path| AuthSource::new(move || read_auth(&path)));
        Ok(config)
    }
}

/// A token, with no guard before it.
fn open_token(
    section: &Pkcs11,
    helper: bool,
    pins: &Arc<PinRule>,
) -> Result<Arc<dyn Hsm>, HsmError> {
    if !helper {
        return Ok(Arc::new(Pkcs11Hsm::open(section.config())?));
    }
    let mut config = HelperConfig::new("/proc/self/exe");
    config.args = vec![OsString::from(HELPER_COMMAND)];
    let named = |name: &&str| std::env::var_os(name).map(|value| (OsString::from(name), value));
    config.env = ENVIRONMENT.iter().filter_map(named).collect();
    config.threads = guard(section).threads;
    let device = OpenRequest::Pkcs11(section.config());
    Ok(Arc::new(HelperHsm::start_by(config, device, Arc::clone(pins))?))
}

/// A thread for each session.
fn guard(section: &Pkcs11) -> GuardConfig {
    let mut config = GuardConfig::default();
    if let Some(sessions) = section.sessions {
        config.threads = usize::try_from(sessions).unwrap_or(config.threads);
    }
    config
}

fn open_tpm(section: &Tpm) -> Result<Arc<dyn Hsm>, HsmError> {
    let config = section.config()?;
    let guard = GuardConfig {
        threads: TPM_THREADS,
        deadline: TPM_DEADLINE,
        slow_deadline: TPM_DEADLINE,
        ..GuardConfig::default()
    };
    let device = Arc::new(TpmHsm::open(config)?);
    Ok(Arc::new(Guarded::new(device, guard)?))
}

/// An auth value, without the newline at its end.
fn read_auth(path: &Path) -> Result<KeyBytes, HsmError> {
    let bad = |reason: String| HsmError::PinUnreadable { path: path.to_owned(), reason };
    let file = File::open(path).map_err(|e| bad(e.to_string()))?;
    let mode = file.metadata().map_err(|e| bad(e.to_string()))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(bad(format!("has mode {mode:o}; it must be 600")));
    }
    // Room for all of it at once: a buffer that grew would leave pieces behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(128));
    file.take(MAX_AUTH_LEN + 2).read_to_end(&mut bytes).map_err(|e| bad(e.to_string()))?;
    let end = bytes.trim_ascii_end();
    match end.len() as u64 {
        0 => Err(bad("is empty".into())),
        1..=MAX_AUTH_LEN => Ok(KeyBytes::new(end.to_vec())),
        _ => Err(bad(format!("is longer than {MAX_AUTH_LEN} bytes"))),
    }
}
