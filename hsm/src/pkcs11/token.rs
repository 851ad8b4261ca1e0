//! Finding the one token with our label, seeing what it can do, logging in once.

use super::config::Pin;
use super::fault::{Fault, words};
use super::module::Module;
use crate::{DeviceInfo, HsmError, TokenSeen, TokenState};
use cryptoki::error::RvError;
use cryptoki::mechanism::MechanismType;
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Manufacturers and models of tokens that are software, in lower case.
const SOFTWARE: [&str; 5] = ["softhsm", "kryoptic", "nss", "opencryptoki", "software"];

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) module: Arc<Module>,
    pub(super) slot: Slot,
    pub(super) info: TokenInfo,
    pub(super) mechanisms: Vec<MechanismType>,
}

impl Token {
    /// The one token with this label. Two with one label are refused: they cannot be told apart.
    pub(super) fn find(module: Arc<Module>, label: &str) -> Result<Self, HsmError> {
        let seen = seen(&module)?;
        let labelled = |token: &&TokenSeen| token.state == TokenState::Labelled(label.into());
        let matching: Vec<TokenSeen> = seen.iter().filter(labelled).cloned().collect();
        let wanted = label.to_owned();
        let slot = match matching.as_slice() {
            [one] => one.slot,
            [] if seen.iter().all(|token| token.state == TokenState::NotInitialised)
                && !seen.is_empty() =>
            {
                return Err(HsmError::TokenNotInitialised { wanted, found: seen });
            }
            [] => return Err(HsmError::NoSuchToken { wanted, found: seen }),
            _ => return Err(HsmError::DuplicateToken { wanted, found: matching }),
        };
        let slot = Slot::try_from(slot).map_err(Fault::from)?;
        let info = module.pkcs11.get_token_info(slot).map_err(Fault::from)?;
        let mechanisms = module.pkcs11.get_mechanism_list(slot).map_err(Fault::from)?;
        Ok(Self { module, slot, info, mechanisms })
    }

    /// Refuses a token that lacks a mechanism we cannot do without.
    pub(super) fn require(&self, wanted: &[MechanismType]) -> Result<(), HsmError> {
        let missing: Vec<String> = wanted
            .iter()
            .filter(|mechanism| !self.mechanisms.contains(mechanism))
            .map(MechanismType::to_string)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(HsmError::MechanismMissing {
            token: self.info.label().into(),
            wanted: missing,
            found: self.mechanisms.iter().map(MechanismType::to_string).collect(),
        })
    }

    /// Opens the session that stays logged in, and logs in: one C_Login or none.
    pub(super) fn log_in(&self, pin: &Pin) -> Result<Session, HsmError> {
        let token = self.info.label().to_owned();
        // Read again: what `find` saw may be old by now, and one try too many locks a token.
        let info = self.module.pkcs11.get_token_info(self.slot).map_err(Fault::from)?;
        PinFlags::of(&info).allow_attempt(&token, self.slot.id())?;
        let session = self.open_ro()?;
        if is_logged_in(&session)? {
            return Ok(session);
        }
        self.module.logins.fetch_add(1, Ordering::Relaxed);
        let Err(error) = session.login(UserType::User, Some(&pin.to_auth())) else {
            return Ok(session);
        };
        let flags = || match self.module.pkcs11.get_token_info(self.slot) {
            Ok(info) => PinFlags::of(&info).to_string(),
            Err(e) => format!("unreadable ({})", words(&e)),
        };
        let fault = Fault::from(error);
        match fault.rv() {
            Some(RvError::UserAlreadyLoggedIn) => Ok(session),
            Some(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange) => {
                Err(HsmError::WrongPin { token, flags: flags() })
            }
            Some(RvError::PinLocked) => Err(HsmError::PinLocked { token, flags: flags() }),
            Some(RvError::UserPinNotInitialized) => {
                Err(HsmError::UserPinNotSet { token, slot: self.slot.id() })
            }
            _ => Err(fault.into()),
        }
    }

    pub(super) fn open_ro(&self) -> Result<Session, Fault> {
        Ok(self.module.pkcs11.open_ro_session(self.slot)?)
    }

    /// A session that may make and destroy token objects.
    pub(super) fn open_rw(&self) -> Result<Session, Fault> {
        Ok(self.module.pkcs11.open_rw_session(self.slot)?)
    }

    pub(super) fn device_info(&self) -> DeviceInfo {
        let info = &self.info;
        DeviceInfo {
            vendor: info.manufacturer_id().into(),
            model: info.model().into(),
            serial: info.serial_number().into(),
            label: info.label().into(),
            firmware: Some(info.firmware_version().to_string()),
            hardware: self.claims_hardware(),
        }
    }

    /// The slot says so, and we do not know better.
    fn claims_hardware(&self) -> bool {
        let names = format!("{} {}", self.info.manufacturer_id(), self.info.model());
        let names = names.to_lowercase();
        let slot = self.module.pkcs11.get_slot_info(self.slot);
        slot.is_ok_and(|slot| slot.hardware_slot())
            && !SOFTWARE.iter().any(|name| names.contains(name))
    }
}

/// Whether this process is logged in to the token of a session.
pub(super) fn is_logged_in(session: &Session) -> Result<bool, Fault> {
    let state = session.get_session_info()?.session_state();
    Ok(matches!(state, SessionState::RoUser | SessionState::RwUser))
}

/// All tokens of a module. One that cannot be read hides no other.
pub(super) fn seen(module: &Module) -> Result<Vec<TokenSeen>, HsmError> {
    let slots = module.pkcs11.get_slots_with_token().map_err(Fault::from)?;
    let state = |slot| match module.pkcs11.get_token_info(slot) {
        Ok(info) if info.token_initialized() => TokenState::Labelled(info.label().into()),
        Ok(_) => TokenState::NotInitialised,
        Err(e) => TokenState::Unreadable(words(&e)),
    };
    Ok(slots.into_iter().map(|slot| TokenSeen { slot: slot.id(), state: state(slot) }).collect())
}

/// What a token says of its user PIN.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PinFlags {
    pub(super) initialised: bool,
    pub(super) count_low: bool,
    pub(super) final_try: bool,
    pub(super) locked: bool,
    pub(super) to_be_changed: bool,
}

impl PinFlags {
    pub(super) fn of(info: &TokenInfo) -> Self {
        Self {
            initialised: info.user_pin_initialized(),
            count_low: info.user_pin_count_low(),
            final_try: info.user_pin_final_try(),
            locked: info.user_pin_locked(),
            to_be_changed: info.user_pin_to_be_changed(),
        }
    }

    /// Refuses to try a PIN where trying is useless or could lock the token.
    fn allow_attempt(self, token: &str, slot: u64) -> Result<(), HsmError> {
        let (token, flags) = (token.to_owned(), self.to_string());
        if self.locked {
            Err(HsmError::PinLocked { token, flags })
        } else if !self.initialised {
            Err(HsmError::UserPinNotSet { token, slot })
        } else if self.final_try {
            Err(HsmError::PinFinalTry { token, flags })
        } else {
            Ok(())
        }
    }
}

impl std::fmt::Display for PinFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let flags = [
            (self.initialised, "USER_PIN_INITIALIZED"),
            (self.count_low, "USER_PIN_COUNT_LOW"),
            (self.final_try, "USER_PIN_FINAL_TRY"),
            (self.locked, "USER_PIN_LOCKED"),
            (self.to_be_changed, "USER_PIN_TO_BE_CHANGED"),
        ];
        let set: Vec<&str> = flags.iter().filter(|(is_set, _)| *is_set).map(|f| f.1).collect();
        f.write_str(if set.is_empty() { "none".into() } else { set.join(" ") }.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: PinFlags = PinFlags {
        initialised: true,
        count_low: false,
        final_try: false,
        locked: false,
        to_be_changed: false,
    };

    // SoftHSM never locks a PIN, so the decision is tested here, without a token.
    #[test]
    fn a_pin_is_tried_only_where_trying_is_safe() {
        let ask = |flags: PinFlags| flags.allow_attempt("t", 3);
        assert_eq!(ask(READY), Ok(()));
        assert_eq!(ask(PinFlags { count_low: true, ..READY }), Ok(()));
        let refused = ask(PinFlags { count_low: true, final_try: true, ..READY }).unwrap_err();
        assert!(matches!(refused, HsmError::PinFinalTry { .. }));
        assert!(refused.to_string().contains("USER_PIN_COUNT_LOW USER_PIN_FINAL_TRY"));
        let refused = ask(PinFlags { locked: true, final_try: true, ..READY }).unwrap_err();
        assert!(matches!(refused, HsmError::PinLocked { .. }));
        let refused = ask(PinFlags::default()).unwrap_err();
        assert_eq!(refused, HsmError::UserPinNotSet { token: "t".into(), slot: 3 });
    }
}
