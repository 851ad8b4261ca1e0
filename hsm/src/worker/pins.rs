//! Which PIN a new helper may try. What a helper has learnt ends with it; this stays.
//!
//! A PIN that the token refused is not tried by another helper while its source gives the same.
//! Nor is one that was never accepted and with which a helper ended before it could say what the
//! token thought of it: a module that crashes on a wrong PIN must not be let lock the token.

use super::message::{OpenRequest, Request};
use crate::HsmError;
use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// A PIN by its keyed hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct PinHash([u8; 32]);

/// What is known of a device's PINs. It outlives the attempts to open the device: whoever makes
/// several gives all of them one rule.
pub struct PinRule {
    /// Of this process alone, so that the hashes serve nobody who reads them.
    key: Zeroizing<[u8; 32]>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    accepted: Option<PinHash>,
    refused: Option<(PinHash, HsmError)>,
}

impl fmt::Debug for PinRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinRule").finish_non_exhaustive()
    }
}

impl PinRule {
    pub fn new() -> Result<Self, HsmError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)
            .map_err(|e| HsmError::Unavailable(format!("the system's random generator: {e}")))?;
        Ok(Self { key, known: Mutex::default() })
    }

    /// The PIN that a helper would try now; the error of the one that must not be tried.
    pub(super) fn ask(&self, open: &Request) -> Result<Option<PinHash>, HsmError> {
        let Some(hash) = self.hash(open)? else { return Ok(None) };
        match &self.known().refused {
            Some((refused, error)) if *refused == hash => Err(error.clone()),
            _ => Ok(Some(hash)),
        }
    }

    pub(super) fn accepted(&self, pin: Option<PinHash>) {
        let mut known = self.known();
        known.accepted = pin.or(known.accepted);
        known.refused = None;
    }

    /// The token refused a PIN: that one, or if it is not known which, the one of now.
    pub(super) fn refused(&self, pin: Option<PinHash>, open: &Request, error: &HsmError) {
        let pin = pin.or_else(|| self.hash(open).ok().flatten());
        if let Some(pin) = pin {
            self.known().refused = Some((pin, error.clone()));
        }
    }

    /// A helper ended while it tried a PIN.
    pub(super) fn ended(&self, pin: Option<PinHash>, open: &Request) {
        let Request::Open { device: OpenRequest::Pkcs11(config), .. } = open else { return };
        let (token, source_name) = (config.token_label.clone(), config.pin.to_string());
        let mut known = self.known();
        if let Some(pin) = pin.filter(|_| known.accepted != pin) {
            known.refused = Some((pin, HsmError::PinNotTried { token, source_name }));
        }
    }

    /// Whether a PIN was tried and refused. Where it was not tried (locked, final try) the next
    /// helper looks again, and does not try it either.
    pub(super) fn is_refusal(error: &HsmError) -> bool {
        matches!(error, HsmError::WrongPin { .. })
    }

    /// Whether an operator must do something about the PIN.
    pub(super) fn concerns_pin(error: &HsmError) -> bool {
        matches!(
            error,
            HsmError::WrongPin { .. }
                | HsmError::PinNotTried { .. }
                | HsmError::PinExpired { .. }
                | HsmError::PinLocked { .. }
                | HsmError::PinFinalTry { .. }
                | HsmError::PinUnreadable { .. }
                | HsmError::UserPinNotSet { .. }
        )
    }

    /// HMAC-SHA-256, which is what HKDF's first half is. None for a device without a PIN.
    fn hash(&self, open: &Request) -> Result<Option<PinHash>, HsmError> {
        let Request::Open { device: OpenRequest::Pkcs11(config), .. } = open else {
            return Ok(None);
        };
        let pin = config.pin.ask()?;
        let hash = Hkdf::<Sha256>::extract(Some(self.key.as_slice()), pin.expose().as_bytes()).0;
        Ok(Some(PinHash(hash.into())))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change is one assignment.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pkcs11::{Pin, Pkcs11Config};

    fn request(pin: &str) -> Request {
        let config = Pkcs11Config::new("/lib/module.so", "t", Pin::new(pin.into()));
        Request::Open { threads: 1, device: OpenRequest::Pkcs11(config) }
    }

    fn wrong() -> HsmError {
        HsmError::WrongPin { token: "t".into(), flags: "none".into() }
    }

    #[test]
    fn a_refused_pin_is_not_tried_again_until_another_is_configured() {
        let rule = PinRule::new().unwrap();
        let (old, new) = (request("1234"), request("5678"));
        let pin = rule.ask(&old).unwrap();
        rule.refused(pin, &old, &wrong());
        assert_eq!(rule.ask(&old).err(), Some(wrong()));
        let pin = rule.ask(&new).unwrap();
        rule.accepted(pin);
        // Made the right one again meanwhile: whoever accepted another has forgotten its count.
        assert!(rule.ask(&old).is_ok());
    }

    #[test]
    fn a_pin_that_a_helper_ended_on_is_tried_again_only_if_it_was_ever_accepted() {
        let rule = PinRule::new().unwrap();
        let good = request("1234");
        let pin = rule.ask(&good).unwrap();
        rule.accepted(pin);
        rule.ended(pin, &good);
        assert!(rule.ask(&good).is_ok());
        let other = request("5678");
        let pin = rule.ask(&other).unwrap();
        rule.ended(pin, &other);
        let (token, source_name) = ("t".into(), "the configuration".into());
        assert_eq!(rule.ask(&other).err(), Some(HsmError::PinNotTried { token, source_name }));
        assert!(rule.ask(&good).is_ok());
    }

    #[test]
    fn a_refusal_of_a_login_that_a_helper_made_later_counts_too() {
        let rule = PinRule::new().unwrap();
        rule.refused(None, &request("1234"), &wrong());
        assert_eq!(rule.ask(&request("1234")).err(), Some(wrong()));
        let device = OpenRequest::Software { seed: crate::KeyBytes::new(vec![0; 32]) };
        let none = Request::Open { threads: 1, device };
        rule.refused(None, &none, &wrong());
        assert!(rule.ask(&none).is_ok());
    }
}
