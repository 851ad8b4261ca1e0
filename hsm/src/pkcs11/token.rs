//! Finding the one token with our label, seeing what it can do, logging in once.

use super::fault::{Class, Fault, words};
use super::module::Module;
use super::pin::{Pin, PinSource};
use super::token_info::RawTokenInfo;
use crate::profile::Profile;
use crate::{DeviceInfo, HsmError, TokenSeen, TokenState};
use cryptoki::error::RvError;
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki_sys::{
    CK_FLAGS, CK_MECHANISM_TYPE, CKF_TOKEN_INITIALIZED, CKF_USER_PIN_COUNT_LOW,
    CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_INITIALIZED, CKF_USER_PIN_LOCKED,
    CKF_USER_PIN_TO_BE_CHANGED,
};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// A token as it was when it was opened. Which slot it is in can change.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) module: Arc<Module>,
    slot: Arc<Mutex<Slot>>,
    pub(super) info: RawTokenInfo,
    /// By their numbers, those that nobody here knows included.
    pub(super) mechanisms: Vec<CK_MECHANISM_TYPE>,
    /// What is known of its vendor.
    pub(super) profile: Arc<Profile>,
    hardware: bool,
}

impl Token {
    /// The one token with this label. Two with one label are refused: they cannot be told apart.
    ///
    /// Some modules look for tokens only when they start. One that was started long ago is
    /// started again before its answer "no such token" is believed.
    /// Its profile is the one given, else the one that it is recognised by.
    pub(super) fn find(
        module: &Arc<Module>,
        label: &str,
        profile: Option<Profile>,
    ) -> Result<Self, HsmError> {
        let alone = module.enter_alone()?;
        let is_new = alone.is_first_use();
        match Self::find_now(Arc::clone(module), label, profile.clone()) {
            Err(fault) if !is_new && is_helped_by_restart(&fault) => {
                module.restart(&alone)?;
                Ok(Self::find_now(Arc::clone(module), label, profile)?)
            }
            other => Ok(other?),
        }
    }

    fn find_now(module: Arc<Module>, label: &str, profile: Option<Profile>) -> Result<Self, Fault> {
        let slot = slot_of(&module, label)?;
        let info = module.raw.token_info(slot)?;
        let mechanisms = module.raw.mechanisms(slot)?;
        let profile = match profile {
            Some(profile) => profile,
            None => Profile::recognise(&module.path, &info.manufacturer, &info.model)?,
        };
        // The slot says so, and we do not know better.
        let hardware = !profile.software
            && module.pkcs11.get_slot_info(slot).is_ok_and(|slot| slot.hardware_slot());
        let (slot, profile) = (Arc::new(Mutex::new(slot)), Arc::new(profile));
        Ok(Self { module, slot, info, mechanisms, profile, hardware })
    }

    /// Finds it again after its module was restarted or its sessions were lost: the token that
    /// has our label now must be the one that had it before.
    pub(super) fn find_again(&self) -> Result<(), Fault> {
        let label = &self.info.label;
        let slot = slot_of(&self.module, label)?;
        let found = self.module.raw.token_info(slot)?;
        let name = |serial: &str, model: &str| format!("serial number {serial:?} ({model})");
        let (serial, model) = (self.info.serial.trim(), self.info.model.trim());
        if (found.serial.trim(), found.model.trim()) != (serial, model) {
            return Err(Fault::Hsm(HsmError::WrongToken {
                token: label.clone(),
                wanted: name(serial, model),
                found: name(&found.serial, &found.model),
            }));
        }
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = slot;
        Ok(())
    }

    pub(super) fn slot(&self) -> Slot {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees that this process is logged in: one C_Login or none. The caller is alone in the
    /// module.
    pub(super) fn log_in(&self, session: &Session, source: &PinSource) -> Result<(), Fault> {
        if is_logged_in(session)? {
            return Ok(());
        }
        let token = self.info.label.clone();
        // Read again: what was read before may be old by now, and one try too many locks a token.
        let before = self.pin_flags()?;
        before.allow_attempt(&token, self.slot().id())?;
        let pin = source.ask()?;
        if self.module.refused_pins.contains(&self.pin_scope(), &pin) {
            let source_name = source.to_string();
            return Err(Fault::Hsm(HsmError::PinNotTried { token, source_name }));
        }
        self.module.logins.fetch_add(1, Ordering::Relaxed);
        let Err(error) = session.login(UserType::User, Some(&pin.to_auth())) else {
            self.module.refused_pins.forget(&self.pin_scope());
            return Ok(());
        };
        self.refused(&pin, before, error.into())
    }

    /// What a C_Login that failed means. A PIN that was refused is remembered.
    fn refused(&self, pin: &Pin, before: PinFlags, fault: Fault) -> Result<(), Fault> {
        let token = self.info.label.clone();
        let after = self.pin_flags();
        // A token that does not say that it was the PIN, but has counted it.
        let counted = after.as_ref().is_ok_and(|after| after.is_worse_than(before));
        let flags = match after {
            Ok(flags) => flags.to_string(),
            Err(fault) => format!("unreadable ({})", HsmError::from(fault)),
        };
        match fault.rv() {
            Some(RvError::UserAlreadyLoggedIn) => return Ok(()),
            Some(RvError::UserPinNotInitialized) => {
                let slot = self.slot().id();
                return Err(Fault::Hsm(HsmError::UserPinNotSet { token, slot }));
            }
            _ if fault.class() != Class::Pin && !counted => return Err(fault),
            _ => self.module.refused_pins.remember(&self.pin_scope(), pin),
        }
        Err(Fault::Hsm(match fault.rv() {
            Some(RvError::PinLocked) => HsmError::PinLocked { token, flags },
            Some(RvError::PinExpired) => HsmError::PinExpired { token, flags },
            _ => HsmError::WrongPin { token, flags },
        }))
    }

    /// Whose PINs are remembered together.
    fn pin_scope(&self) -> String {
        format!("{}/{}", self.info.serial, self.info.label)
    }

    fn pin_flags(&self) -> Result<PinFlags, Fault> {
        Ok(PinFlags::of(self.module.raw.token_info(self.slot())?.flags))
    }

    /// A session that is not closed when it is dropped: after a restart of the module its number
    /// may be that of another session.
    pub(super) fn open_ro(&self) -> Result<Session, Fault> {
        if !self.profile.read_only_sessions {
            return self.open_rw();
        }
        Ok(self.module.pkcs11.open_ro_session_no_drop(self.slot())?)
    }

    /// Likewise, and one that may make and destroy token objects.
    pub(super) fn open_rw(&self) -> Result<Session, Fault> {
        Ok(self.module.pkcs11.open_rw_session_no_drop(self.slot())?)
    }

    pub(super) fn device_info(&self) -> DeviceInfo {
        let info = self.info.clone();
        DeviceInfo {
            vendor: info.manufacturer,
            model: info.model,
            serial: info.serial,
            label: info.label,
            firmware: Some(info.firmware),
            hardware: self.hardware,
        }
    }
}

/// The slot of the one token with this label.
fn slot_of(module: &Module, label: &str) -> Result<Slot, Fault> {
    let seen = seen(module)?;
    let labelled = |token: &&TokenSeen| token.state == TokenState::Labelled(label.into());
    let matching: Vec<TokenSeen> = seen.iter().filter(labelled).cloned().collect();
    let wanted = label.to_owned();
    let slot = match matching.as_slice() {
        [one] => one.slot,
        [] if seen.iter().all(|token| token.state == TokenState::NotInitialised)
            && !seen.is_empty() =>
        {
            return Err(Fault::Hsm(HsmError::TokenNotInitialised { wanted, found: seen }));
        }
        [] => return Err(Fault::Hsm(HsmError::NoSuchToken { wanted, found: seen })),
        _ => return Err(Fault::Hsm(HsmError::DuplicateToken { wanted, found: matching })),
    };
    Ok(Slot::try_from(slot)?)
}

/// Whether the module or the token is at fault, not the PIN or the request.
pub(super) fn is_helped_by_restart(fault: &Fault) -> bool {
    match fault {
        Fault::Hsm(HsmError::NoSuchToken { .. } | HsmError::TokenNotInitialised { .. }) => true,
        Fault::Hsm(_) => false,
        Fault::Device(_) => !matches!(fault.class(), Class::Request | Class::Pin | Class::Busy),
    }
}

/// Whether this process is logged in to the token of a session.
pub(super) fn is_logged_in(session: &Session) -> Result<bool, Fault> {
    let state = session.get_session_info()?.session_state();
    Ok(matches!(state, SessionState::RoUser | SessionState::RwUser))
}

/// All tokens of a module. One that cannot be read hides no other.
pub(super) fn seen(module: &Module) -> Result<Vec<TokenSeen>, Fault> {
    let slots = module.raw.slots()?;
    let state = |slot| match module.raw.token_info(slot) {
        Ok(info) if info.flags & CKF_TOKEN_INITIALIZED != 0 => TokenState::Labelled(info.label),
        Ok(_) => TokenState::NotInitialised,
        Err(Fault::Device(e)) => TokenState::Unreadable(words(&e)),
        Err(Fault::Hsm(e)) => TokenState::Unreadable(e.to_string()),
    };
    Ok(slots.into_iter().map(|slot| TokenSeen { slot: slot.id(), state: state(slot) }).collect())
}

/// What a token says of its user PIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PinFlags {
    pub(super) initialised: bool,
    pub(super) count_low: bool,
    pub(super) final_try: bool,
    pub(super) locked: bool,
    pub(super) to_be_changed: bool,
}

impl PinFlags {
    /// From the flags of CK_TOKEN_INFO.
    pub(super) fn of(flags: CK_FLAGS) -> Self {
        let has = |flag: CK_FLAGS| flags & flag != 0;
        Self {
            initialised: has(CKF_USER_PIN_INITIALIZED),
            count_low: has(CKF_USER_PIN_COUNT_LOW),
            final_try: has(CKF_USER_PIN_FINAL_TRY),
            locked: has(CKF_USER_PIN_LOCKED),
            to_be_changed: has(CKF_USER_PIN_TO_BE_CHANGED),
        }
    }

    /// Whether the token has counted a wrong PIN meanwhile.
    fn is_worse_than(self, before: Self) -> bool {
        (self.locked, self.final_try, self.count_low)
            > (before.locked, before.final_try, before.count_low)
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
