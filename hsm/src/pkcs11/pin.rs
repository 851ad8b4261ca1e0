//! PINs: where they come from, and which were refused.
//!
//! A token counts wrong PINs and locks itself for good. So a PIN is tried once for each login
//! that is needed, and one that was refused is not tried again while its source gives the same.

use crate::HsmError;
use cryptoki::types::AuthPin;
use hkdf::Hkdf;
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// More than any vendor's PIN ("user:password" at the longest), so that a wrong file is noticed.
const MAX_FILE_LEN: u64 = 1024;

/// A PIN: wiped on drop, never printed.
#[derive(Clone)]
pub struct Pin(Zeroizing<String>);

impl Pin {
    pub fn new(pin: String) -> Self {
        Self(Zeroizing::new(pin))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The copy that cryptoki wants, which wipes itself too.
    pub(super) fn to_auth(&self) -> AuthPin {
        AuthPin::new(Box::from(self.0.as_str()))
    }
}

impl From<String> for Pin {
    fn from(pin: String) -> Self {
        Self::new(pin)
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

/// Where the PIN comes from. Asked whenever a login is needed: when the device is opened, and
/// later if the token has logged us out or its module was restarted.
#[derive(Clone, Debug)]
pub enum PinSource {
    /// The same for as long as the process lives.
    Fixed(Pin),
    /// The contents of a file without the newline at its end, read anew every time. So a PIN that
    /// was changed in the token is followed by changing the file. Nobody but its owner may have
    /// access to it.
    File(PathBuf),
    /// As another; whoever must know that it is asked, which is right before it is tried, is told.
    Watched(Box<PinSource>, Watcher),
}

/// Is told that a PIN is asked for.
#[derive(Clone)]
pub struct Watcher(pub(crate) Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

impl PinSource {
    pub(crate) fn ask(&self) -> Result<Pin, HsmError> {
        match self {
            Self::Fixed(pin) => Ok(pin.clone()),
            Self::File(path) => {
                read(path).map_err(|reason| HsmError::PinUnreadable { path: path.clone(), reason })
            }
            Self::Watched(source, watcher) => {
                (watcher.0)();
                source.ask()
            }
        }
    }
}

impl From<Pin> for PinSource {
    fn from(pin: Pin) -> Self {
        Self::Fixed(pin)
    }
}

impl fmt::Display for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("the configuration"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Watched(source, _) => source.fmt(f),
        }
    }
}

fn read(path: &Path) -> Result<Pin, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let metadata = file.metadata().map_err(|e| e.to_string())?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("has mode {mode:o}; a PIN file must be 600"));
    }
    // Room for all of it at once: a buffer that grew would leave pieces of the PIN behind.
    let capacity = usize::try_from(MAX_FILE_LEN + 1).unwrap_or(usize::MAX);
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    file.take(MAX_FILE_LEN + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() >= capacity {
        return Err(format!("is longer than {MAX_FILE_LEN} bytes, which no PIN is"));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(Pin(text))
}

/// The PINs that tokens have refused since this process started: their keyed hashes, by token.
pub(super) struct RefusedPins {
    /// Of this process alone, so that the hashes serve nobody who reads them.
    key: Zeroizing<[u8; 32]>,
    refused: Mutex<BTreeMap<String, BTreeSet<[u8; 32]>>>,
}

impl RefusedPins {
    pub(super) fn new() -> Result<Self, HsmError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)
            .map_err(|e| HsmError::Unavailable(format!("the system's random generator: {e}")))?;
        Ok(Self { key, refused: Mutex::default() })
    }

    pub(super) fn contains(&self, token: &str, pin: &Pin) -> bool {
        self.refused().get(token).is_some_and(|refused| refused.contains(&self.hash(pin)))
    }

    pub(super) fn remember(&self, token: &str, pin: &Pin) {
        let hash = self.hash(pin);
        self.refused().entry(token.to_owned()).or_default().insert(hash);
    }

    /// A PIN was accepted: the token has forgotten its count, and a PIN refused once may have
    /// been made the right one meanwhile.
    pub(super) fn forget(&self, token: &str) {
        self.refused().remove(token);
    }

    /// HMAC-SHA-256, which is what HKDF's first half is.
    fn hash(&self, pin: &Pin) -> [u8; 32] {
        Hkdf::<Sha256>::extract(Some(self.key.as_slice()), pin.0.as_bytes()).0.into()
    }

    fn refused(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<[u8; 32]>>> {
        // Every change is one insert or remove.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RefusedPins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefusedPins(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PinSource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, PinSource::File(path))
    }

    #[test]
    fn a_file_is_read_anew_every_time() {
        let (dir, source) = file("one\r\n", 0o600);
        assert_eq!(source.ask().unwrap().0.as_str(), "one");
        std::fs::write(dir.path().join("pin"), " two \n").unwrap();
        assert_eq!(source.ask().unwrap().0.as_str(), " two ");
    }

    #[test]
    fn a_file_that_will_not_do_is_refused_with_its_name_and_the_reason() {
        let long = "9".repeat(2000);
        for (text, mode, reason) in
            [("1234", 0o640, "mode 640"), (&long, 0o600, "longer than 1024"), ("", 0o604, "604")]
        {
            let (_dir, source) = file(text, mode);
            let error = source.ask().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("/pin"), "{error}");
            assert!(!error.contains("999") && !error.contains("1234"), "{error}");
        }
        let error = PinSource::File("/nowhere/pin".into()).ask().unwrap_err();
        assert!(matches!(error, HsmError::PinUnreadable { .. }), "{error:?}");
    }

    #[test]
    fn refused_pins_are_known_by_token_and_hashes_by_process() {
        let (one, two) = (RefusedPins::new().unwrap(), RefusedPins::new().unwrap());
        let pin = Pin::new("1234".into());
        one.remember("a", &pin);
        assert!(one.contains("a", &pin) && !one.contains("b", &pin));
        assert!(!one.contains("a", &Pin::new("12345".into())));
        assert_ne!(one.hash(&pin), two.hash(&pin));
        one.forget("a");
        assert!(!one.contains("a", &pin));
        assert_eq!(format!("{one:?} {pin:?}"), "RefusedPins(..) Pin(..)");
    }
}
