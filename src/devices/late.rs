//! A device that may not be there yet: opened by the first call, and if that fails by a later one, after
//! a back-off. Once open it heals itself; that is the device's own affair.
use super::needs_operator;
use claviger_hsm::{
    Attestation, Challenge, DeviceHealth, DeviceInfo, Hsm, HsmError, KeyBytes, ResidentKeys,
    RootKeyId, WrappedKey,
};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, TryLockError};
use std::time::{Duration, Instant};

/// From a failed attempt to the next; doubled every time …
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How a device is opened, as often as need be.
pub struct Opener {
    /// Its name in the configuration.
    pub name: String,
    pub open: Box<dyn Fn() -> Result<Arc<dyn Hsm>, HsmError> + Send + Sync>,
}

/// Why a device is not open.
#[derive(Clone, Debug)]
pub struct Closed {
    pub why: HsmError,
    /// When it is tried again; none if that is for the operator to say.
    again: Option<Instant>,
    wait: Duration,
}

pub struct Late {
    opener: Opener,
    opened: OnceLock<Arc<dyn Hsm>>,
    /// The last failure. Locked while somebody opens the device.
    closed: Mutex<Option<Closed>>,
}

#[expect(clippy::disallowed_methods, reason = "elapsed time is meant; no decision rests on a date")]
fn now() -> Instant {
    Instant::now()
}

impl Late {
    pub fn new(opener: Opener) -> Self {
        Self { opener, opened: OnceLock::new(), closed: Mutex::default() }
    }

    /// Forgets the last failure, so that the next call tries.
    pub fn try_again(&self) {
        // Who opens it at this moment tries already.
        if let Ok(mut closed) = self.closed.try_lock() {
            *closed = None;
        }
    }

    /// The device, opened if it is not. One caller opens it; the others are told that it is away, so that
    /// a device which hangs while it is opened holds nobody else.
    fn device(&self) -> Result<&Arc<dyn Hsm>, HsmError> {
        if let Some(device) = self.opened.get() {
            return Ok(device);
        }
        let mut closed = match self.closed.try_lock() {
            Ok(closed) => closed,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let text = format!("device {:?} is just being opened", self.opener.name);
                return Err(HsmError::Unavailable(text));
            }
        };
        if let Some(device) = self.opened.get() {
            return Ok(device);
        }
        if let Some(Closed { why, again, .. }) = &*closed
            && again.is_none_or(|again| now() < again)
        {
            return Err(why.clone());
        }
        match (self.opener.open)() {
            Ok(device) => {
                *closed = None;
                Ok(self.opened.get_or_init(|| device))
            }
            Err(why) => {
                let last = closed.as_ref().map(|closed| closed.wait.saturating_mul(2));
                let wait = last.unwrap_or(FIRST_WAIT).min(LONGEST_WAIT);
                let again = (!needs_operator(&why)).then(|| now() + wait);
                *closed = Some(Closed { why: why.clone(), again, wait });
                Err(why)
            }
        }
    }
}

impl Hsm for Late {
    /// Of one that was not opened yet there is only the name.
    fn info(&self) -> DeviceInfo {
        match self.opened.get() {
            Some(device) => device.info(),
            None => DeviceInfo {
                vendor: "not opened yet".into(),
                model: "unknown".into(),
                serial: "unknown".into(),
                label: self.opener.name.clone(),
                firmware: None,
                hardware: false,
            },
        }
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.device()?.random(out)
    }

    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.device()?.create_root_key(id)
    }

    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.device()?.destroy_root_key(id)
    }

    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.device()?.root_keys()
    }

    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.device()?.check_root_key(id)
    }

    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        self.device()?.wrap(root, key, aad)
    }

    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.device()?.unwrap(wrapped, aad)
    }

    fn probe(&self) -> Result<(), HsmError> {
        self.device()?.probe()
    }

    fn token_report(&self) -> Result<Option<claviger_hsm::pkcs11::Report>, HsmError> {
        self.device()?.token_report()
    }

    /// None of one that was not opened yet.
    fn health(&self) -> Option<DeviceHealth> {
        self.opened.get()?.health()
    }

    /// Opens it, if need be, and so it may block.
    fn resident(&self) -> Option<&dyn ResidentKeys> {
        self.device().ok()?.resident()
    }

    fn root_key_claims(&self, root: &RootKeyId) -> Result<Vec<(String, String)>, HsmError> {
        self.device()?.root_key_claims(root)
    }

    fn certify_root_key(
        &self,
        root: &RootKeyId,
        nonce: &[u8],
    ) -> Result<Option<Attestation>, HsmError> {
        self.device()?.certify_root_key(root, nonce)
    }

    fn answer_challenge(&self, challenge: &Challenge) -> Result<KeyBytes, HsmError> {
        self.device()?.answer_challenge(challenge)
    }
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").field("name", &self.opener.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_hsm::SoftwareHsm;
    use std::sync::PoisonError;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Fails with each of `errors` in turn, then opens. Counts its attempts.
    fn late(errors: Vec<HsmError>) -> (Late, Arc<AtomicUsize>) {
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = attempts.clone();
        let open = move || {
            let attempt = counted.fetch_add(1, Ordering::SeqCst);
            match errors.get(attempt) {
                Some(error) => Err(error.clone()),
                None => Ok(Arc::new(SoftwareHsm::seeded([1; 32])) as Arc<dyn Hsm>),
            }
        };
        (Late::new(Opener { name: "a".into(), open: Box::new(open) }), attempts)
    }

    fn again_in(late: &Late) -> Duration {
        let closed = late.closed.lock().unwrap();
        closed.as_ref().unwrap().again.unwrap().saturating_duration_since(now())
    }

    #[test]
    fn it_is_opened_once_and_when_it_is_needed() {
        let (late, attempts) = late(Vec::new());
        assert_eq!((attempts.load(Ordering::SeqCst), late.info().label), (0, "a".into()));
        late.random(&mut [0; 8]).unwrap();
        late.probe().unwrap();
        assert!(late.resident().is_some());
        assert_eq!((attempts.load(Ordering::SeqCst), late.info().label), (1, "software".into()));
    }

    #[test]
    fn one_that_is_away_is_tried_again_after_a_while_and_not_before() {
        let away = || HsmError::Unavailable("away".into());
        let (late, attempts) = late(vec![away(), away(), away()]);
        for _ in 0..50 {
            assert_eq!(late.probe(), Err(away()));
        }
        assert_eq!(attempts.load(Ordering::SeqCst), 1);
        assert!(again_in(&late) <= FIRST_WAIT);
        // As if the time had come: the pause doubles.
        late.closed.lock().unwrap().as_mut().unwrap().again = Some(now());
        assert_eq!(late.probe(), Err(away()));
        assert!(again_in(&late) > FIRST_WAIT && again_in(&late) <= 2 * FIRST_WAIT);
        late.closed.lock().unwrap().as_mut().unwrap().wait = LONGEST_WAIT;
        late.closed.lock().unwrap().as_mut().unwrap().again = Some(now());
        assert_eq!(late.probe(), Err(away()));
        assert!(again_in(&late) <= LONGEST_WAIT);
        late.try_again();
        late.probe().unwrap();
        assert_eq!(attempts.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn a_pin_that_was_refused_is_not_tried_until_somebody_says_so() {
        let wrong = HsmError::WrongPin { token: "a".into(), flags: "none".into() };
        let (late, attempts) = late(vec![wrong.clone()]);
        for _ in 0..50 {
            assert_eq!(late.probe(), Err(wrong.clone()));
        }
        assert!(late.closed.lock().unwrap().as_ref().unwrap().again.is_none());
        assert_eq!(attempts.load(Ordering::SeqCst), 1);
        late.try_again();
        late.probe().unwrap();
    }

    #[test]
    fn one_that_hangs_while_it_is_opened_holds_nobody_else() {
        let (begin, begun) = std::sync::mpsc::channel::<()>();
        let begun = Mutex::new(begun);
        let open = move || {
            begun.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
            Ok(Arc::new(SoftwareHsm::seeded([1; 32])) as Arc<dyn Hsm>)
        };
        let late = Arc::new(Late::new(Opener { name: "a".into(), open: Box::new(open) }));
        let opening = std::thread::spawn({
            let late = late.clone();
            move || late.probe()
        });
        let busy = |error: HsmError| error.to_string().contains("just being opened");
        // Until the thread has begun, this one might open it itself and wait for the message.
        while late.closed.try_lock().is_ok() {
            std::thread::yield_now();
        }
        assert!(late.probe().is_err_and(busy));
        begin.send(()).unwrap();
        opening.join().unwrap().unwrap();
        late.probe().unwrap();
    }
}
