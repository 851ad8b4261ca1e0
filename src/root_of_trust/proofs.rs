//! Which wraps were opened by which device since the start, and which did not open. Kept in memory: a
//! proof is worth something for the devices as they are now. It ends when its device is away, and nothing
//! is destroyed or taken out on the strength of one: `retire` makes its own.
use crate::types::Timestamp;
use claviger_hsm::RootKeyId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a recovery key is opened by, in place of a device's name.
pub(super) const CUSTODIANS: &str = "";

/// What became of the last attempt to open a wrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// When; none: at the start.
    Opened(Option<Timestamp>),
    Failed(String),
}

/// A wrap, and the device that it is opened with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tried {
    pub generation: u32,
    pub root: RootKeyId,
    pub device: String,
}

#[derive(Debug, Default)]
pub(super) struct Proofs(Mutex<BTreeMap<Tried, Proof>>);

impl Tried {
    pub fn new(generation: u32, root: &RootKeyId, device: &str) -> Self {
        Self { generation, root: root.clone(), device: device.to_owned() }
    }

    pub(super) fn tell(&self, why: &str) {
        let Self { generation, root, device } = self;
        tracing::error!(%root, device, generation, why, "a wrap of the domain key does not open");
    }
}

impl Proofs {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Tried, Proof>> {
        // Every change is one insert or removal: a panic elsewhere cannot leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn good(&self, tried: Tried, at: Option<Timestamp>) {
        self.all().insert(tried, Proof::Opened(at));
    }

    /// Answers whether that is news.
    #[must_use]
    pub(super) fn bad(&self, tried: Tried, why: String) -> bool {
        let failed = Proof::Failed(why);
        self.all().insert(tried, failed.clone()) != Some(failed)
    }

    /// Says in the log which wraps did not open: one that does not is none.
    pub(super) fn tell(&self) {
        for (tried, proof) in self.all().iter() {
            if let Proof::Failed(why) = proof {
                tried.tell(why);
            }
        }
    }

    /// What is known of a wrap, by device.
    pub(super) fn of(&self, generation: u32, root: &RootKeyId) -> Vec<(String, Proof)> {
        let all = self.all();
        let of =
            all.iter().filter(|(tried, _)| tried.generation == generation && tried.root == *root);
        of.map(|(tried, proof)| (tried.device.clone(), proof.clone())).collect()
    }

    /// Whether some device has opened this wrap, and has not been away since.
    pub(super) fn holds(&self, generation: u32, root: &RootKeyId) -> bool {
        self.of(generation, root).iter().any(|(_, proof)| matches!(proof, Proof::Opened(_)))
    }

    /// Likewise, this device.
    pub(super) fn holds_for(&self, tried: &Tried) -> bool {
        matches!(self.all().get(tried), Some(Proof::Opened(_)))
    }

    /// What a device opened before it was away says nothing of it when it is back.
    pub(super) fn away(&self, device: &str) {
        self.all().retain(|tried, _| tried.device != device);
    }

    /// The root keys that a device has had and that are not among these.
    pub(super) fn missing(&self, device: &str, roots: &[RootKeyId]) -> Vec<RootKeyId> {
        let all = self.all();
        let had = all.keys().filter(|tried| tried.device == device).map(|tried| &tried.root);
        had.filter(|root| !roots.contains(root)).cloned().collect()
    }

    /// Notes which roots a device has now: an error names one that it had before.
    pub(super) fn has(&self, device: &str, roots: &[RootKeyId]) -> Result<(), String> {
        let mut outcome = Ok(());
        let mut all = self.all();
        for (tried, proof) in all.iter_mut().filter(|(tried, _)| tried.device == device) {
            if !roots.contains(&tried.root) {
                let why = format!("device {device} does not have root key {} any more", tried.root);
                *proof = Proof::Failed(why.clone());
                outcome = Err(why);
            }
        }
        outcome
    }

    /// Forgets those of roots that wrap nothing any more.
    pub(super) fn keep(&self, named: &BTreeSet<&RootKeyId>) {
        self.all().retain(|tried, _| named.contains(&tried.root));
    }

    pub(super) fn forget(&self, root: &RootKeyId) {
        self.all().retain(|tried, _| tried.root != *root);
    }
}
