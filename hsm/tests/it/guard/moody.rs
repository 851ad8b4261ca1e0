//! A device that hangs, fails, panics and recovers on command.
use super::root;
use claviger_hsm::{DeviceInfo, Hsm, HsmError, KeyBytes, RootKeyId, SoftwareHsm, WrappedKey};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    Works,
    /// Every call waits until the mood changes, then works.
    Hangs,
    /// Calls with the associated data "hang" do, and the making of keys.
    HangsAtTimes,
    Fails,
    /// It answers probes, and fails at everything else.
    Pretends,
    Panics,
    Slow(Duration),
}

#[derive(Debug)]
pub struct Moody {
    inner: SoftwareHsm,
    mood: Mutex<Mood>,
    changed: Condvar,
    pub calls: AtomicUsize,
    pub probes: AtomicUsize,
}

impl Moody {
    pub fn new() -> Arc<Self> {
        let inner = SoftwareHsm::seeded([7; 32]);
        inner.create_root_key(&root()).unwrap();
        let (calls, probes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (mood, changed) = (Mutex::new(Mood::Works), Condvar::new());
        Arc::new(Self { inner, mood, changed, calls, probes })
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.changed.notify_all();
    }

    fn suffer(&self, hangs: bool) -> Result<(), HsmError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mood = self.mood.lock().unwrap();
        let waits =
            |mood: &mut Mood| *mood == Mood::Hangs || (*mood == Mood::HangsAtTimes && hangs);
        let mood = *self.changed.wait_while(mood, waits).unwrap();
        match mood {
            Mood::Fails | Mood::Pretends => Err(HsmError::Unavailable("no cable".into())),
            Mood::Panics => panic!("a bug in the driver"),
            Mood::Slow(time) => {
                thread::sleep(time);
                Ok(())
            }
            Mood::Works | Mood::Hangs | Mood::HangsAtTimes => Ok(()),
        }
    }
}

impl Hsm for Moody {
    fn info(&self) -> DeviceInfo {
        self.inner.info()
    }
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.suffer(false)?;
        self.inner.random(out)
    }
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.suffer(true)?;
        self.inner.create_root_key(id)
    }
    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.suffer(true)?;
        self.inner.destroy_root_key(id)
    }
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.suffer(false)?;
        self.inner.root_keys()
    }
    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.suffer(false)?;
        self.inner.check_root_key(id)
    }
    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        self.suffer(aad == b"hang")?;
        self.inner.wrap(root, key, aad)
    }
    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.suffer(false)?;
        self.inner.unwrap(wrapped, aad)
    }
    fn probe(&self) -> Result<(), HsmError> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        if *self.mood.lock().unwrap() == Mood::Pretends {
            return Ok(());
        }
        self.suffer(false)
    }
}
