//! Which module, which token, which PIN.

use cryptoki::types::AuthPin;
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(Debug)]
pub struct Pkcs11Config {
    /// The vendor's library, as a path: a bare name would be searched for, and who can put a
    /// file where it is searched gets the PIN.
    pub module: PathBuf,
    /// The label of the token, not its slot: slots are numbered anew when tokens come and go.
    pub token_label: String,
    pub pin: Pin,
}

/// A PIN: wiped on drop, never printed. It is kept only until the login.
pub struct Pin(Zeroizing<String>);

impl Pin {
    pub fn new(pin: String) -> Self {
        Self(Zeroizing::new(pin))
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
