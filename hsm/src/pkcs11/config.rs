//! Which module, which token, which PIN.

use super::pin::PinSource;
use crate::Mechanism;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Pkcs11Config {
    /// The vendor's library, as a path: a bare name would be searched for, and who can put a
    /// file where it is searched gets the PIN.
    pub module: PathBuf,
    /// The label of the token, not its slot: slots are numbered anew when tokens come and go.
    pub token_label: String,
    /// Kept as long as the device is open, for when a new login is needed.
    pub pin: PinSource,
    /// The profile (`profiles.toml`) of a token that is not recognised by itself.
    pub profile: Option<String>,
    /// How new root keys wrap; the best way that the token can do if it is not said.
    pub wrap: Option<Mechanism>,
    /// Whether a token will do that hands out keys which it must keep. Who has its PIN then has
    /// the root keys.
    pub accept_weak_token: bool,
    /// How many sessions are worked with at once, at most; 16 if it is not said. Never more than
    /// the token allows, less one that keeps the login and one that makes keys.
    pub sessions: Option<u64>,
    /// What C_Initialize is given in pReserved. NSS wants
    /// `configDir='sql:DIRECTORY' certPrefix='' keyPrefix='' secmod='' flags=`.
    pub parameters: Option<String>,
}

impl Pkcs11Config {
    /// What has to be said; the rest as it is best for most tokens.
    pub fn new(
        module: impl AsRef<Path>,
        token_label: impl Into<String>,
        pin: impl Into<PinSource>,
    ) -> Self {
        Self {
            module: module.as_ref().to_owned(),
            token_label: token_label.into(),
            pin: pin.into(),
            profile: None,
            wrap: None,
            accept_weak_token: false,
            sessions: None,
            parameters: None,
        }
    }
}
