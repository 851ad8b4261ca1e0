//! The devices of the configuration, by name: HSMs, tokens, TPMs. One that is away is remembered and
//! used when it comes back.
//!
//! | module | role |
//! |---|---|
//! | `settings` | the `[pkcs11]` and `[[device]]` sections |
//! | `late` | a device that may not be there yet |
//! | `open` | from a section to a device |
mod late;
mod open;
mod settings;

pub use settings::{DeviceError, Pkcs11, Settings, Tpm, all};

use claviger_hsm::{Hsm, HsmError};
use late::Late;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The name of the device that the `[pkcs11]` section is.
pub const PKCS11: &str = "pkcs11";

/// A device of the configuration. Its calls block, the first one perhaps for as long as it takes to open
/// it; if it is away, each fails at once until it is time to look again.
#[derive(Clone, Debug)]
pub struct Device {
    pub name: String,
    /// What custom key stores name it by: `cluster-…`.
    pub cluster: Option<String>,
    /// The accounts that may have custom key stores in it; every one if none is said.
    pub accounts: Vec<String>,
    pub hsm: Arc<dyn Hsm>,
    /// Turns at it for those who call it while a request waits: one that hangs must hold neither all
    /// the places for requests nor all the threads that may block.
    pub turns: Arc<Semaphore>,
    /// Whether its root keys are used no more often than they must be: a TPM counts a loss of power after
    /// the use of a key with an auth value as a wrong attempt (TPM 2.0 Part 1, 19.8).
    pub sparing: bool,
}

/// Calls of requests at one device at once, those that wait for it included. Each holds a thread that may
/// block.
pub const TURNS: usize = 128;

impl Device {
    pub fn new(name: impl Into<String>, cluster: Option<String>, hsm: Arc<dyn Hsm>) -> Self {
        Self {
            name: name.into(),
            cluster,
            accounts: Vec::new(),
            hsm,
            turns: Arc::new(Semaphore::new(TURNS)),
            sparing: false,
        }
    }

    /// The device in words, as it calls itself: what to look for when it is not there.
    pub fn words(&self) -> String {
        let info = self.hsm.info();
        format!("token {:?} ({} {}, serial {})", info.label, info.vendor, info.model, info.serial)
    }
}

/// All devices, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Devices {
    all: Vec<Device>,
    /// Those of them that are opened when they are needed.
    late: Vec<Arc<Late>>,
}

impl Devices {
    pub fn new(all: Vec<Device>) -> Self {
        Self { all, late: Vec::new() }
    }

    /// One that is open: the software root, a device of a test.
    pub fn only(name: &str, hsm: Arc<dyn Hsm>) -> Self {
        Self::new(vec![Device::new(name, None, hsm)])
    }

    /// Those of the configuration, none of them opened yet. What is wrong with a section itself is
    /// said at once.
    pub fn configured(sections: &[Settings]) -> Result<Self, DeviceError> {
        let mut devices = Self::default();
        for section in sections {
            let late = Arc::new(Late::new(open::opener(section)?));
            let hsm = late.clone() as Arc<dyn Hsm>;
            devices.late.push(late);
            let sparing = section.tpm.as_ref().is_some_and(|tpm| tpm.auth_file.is_some());
            let device = Device::new(section.name.clone(), section.cluster.clone(), hsm);
            let accounts = section.accounts.clone();
            devices.all.push(Device { accounts, sparing, ..device });
        }
        Ok(devices)
    }

    pub fn all(&self) -> &[Device] {
        &self.all
    }

    pub fn named(&self, name: &str) -> Option<&Device> {
        self.all.iter().find(|device| device.name == name)
    }

    pub fn of_cluster(&self, cluster: &str) -> Option<&Device> {
        self.all.iter().find(|device| device.cluster.as_deref() == Some(cluster))
    }

    /// The same for the custom key stores of an account: what is others' is not there for it.
    pub fn of_cluster_for(&self, cluster: &str, account: &str) -> Option<&Device> {
        let may = |device: &&Device| {
            device.accounts.is_empty() || device.accounts.iter().any(|one| one == account)
        };
        self.of_cluster(cluster).filter(may)
    }

    /// Looks again at the next call, also after a PIN that was refused: somebody has done something
    /// about it.
    pub fn try_again(&self) {
        for late in &self.late {
            late.try_again();
        }
    }
}

/// Whether nobody but an operator can do something about it: another attempt could lock the token.
pub fn needs_operator(error: &HsmError) -> bool {
    use HsmError as E;
    matches!(
        error,
        E::WrongPin { .. }
            | E::PinNotTried { .. }
            | E::PinExpired { .. }
            | E::PinLocked { .. }
            | E::PinFinalTry { .. }
            | E::PinUnreadable { .. }
    )
}

/// Whether the device, as far as it can be told, is merely away: it may come back by itself, or an
/// operator brings it back. What is wrong otherwise stays wrong however long one waits.
pub fn is_away(error: &HsmError) -> bool {
    use HsmError as E;
    needs_operator(error)
        || matches!(
            error,
            E::ModuleInitialize { .. }
                | E::NoSuchToken { .. }
                | E::TokenNotInitialised { .. }
                | E::UserPinNotSet { .. }
                | E::NoFreeSlot { .. }
                | E::Unavailable(_)
                | E::PcrMismatch { .. }
        )
}
