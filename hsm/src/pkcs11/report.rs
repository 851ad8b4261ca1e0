//! Everything known about the device, for an operator. Needs no more than the open device; a
//! part that cannot be read says so and hides no other.

use super::fault::words;
use super::token::PinFlags;
use super::{Pkcs11Hsm, attributes, objects};
use crate::{AttributeFault, DeviceInfo, Hsm, HsmError};
use cryptoki::mechanism::MechanismType;
use cryptoki::slot::{Limit, TokenInfo};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub module: PathBuf,
    /// The library's description, its version, and the PKCS#11 version it speaks.
    pub library: String,
    pub slot: u64,
    pub slot_description: String,
    pub device: DeviceInfo,
    /// The token's flags by their PKCS#11 names, without `CKF_`.
    pub flags: Vec<String>,
    /// Names of the mechanisms. Those that PKCS#11 has but cryptoki does not know are missing.
    pub mechanisms: Vec<String>,
    pub sessions: SessionLimits,
    /// Every AES key in the token, whether or not it can be a root key.
    pub aes_keys: Vec<RootKeyReport>,
}

/// Sessions open, and the most the token allows, where it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionLimits {
    pub open: Option<u64>,
    pub max: Option<u64>,
    pub open_rw: Option<u64>,
    pub max_rw: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RootKeyReport {
    pub label: String,
    pub attributes: Vec<Attribute>,
    /// Why it cannot be a root key; empty if it can.
    pub faults: Vec<AttributeFault>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attribute {
    pub name: String,
    pub value: String,
}

impl Pkcs11Hsm {
    /// Names of the mechanisms the token offers, as far as cryptoki knows them.
    pub fn mechanisms(&self) -> Vec<String> {
        self.token.mechanisms.iter().map(MechanismType::to_string).collect()
    }

    pub fn report(&self) -> Result<Report, HsmError> {
        let pkcs11 = &self.token.module.pkcs11;
        let library = match pkcs11.get_library_info() {
            Ok(info) => format!(
                "{} {} (PKCS#11 {})",
                info.library_description(),
                info.library_version(),
                info.cryptoki_version()
            ),
            Err(e) => format!("unreadable ({})", words(&e)),
        };
        let slot_description = match pkcs11.get_slot_info(self.token.slot) {
            Ok(slot) => slot.slot_description().to_owned(),
            Err(e) => format!("unreadable ({})", words(&e)),
        };
        // Read now: flags and counts change while the token is open.
        let now = pkcs11.get_token_info(self.token.slot);
        let now = now.as_ref().unwrap_or(&self.token.info);
        Ok(Report {
            module: self.token.module.path.clone(),
            library,
            slot: self.token.slot.id(),
            slot_description,
            device: self.info(),
            flags: flags(now),
            mechanisms: self.mechanisms(),
            sessions: SessionLimits {
                open: now.session_count(),
                max: max(now.max_session_count()),
                open_rw: now.rw_session_count(),
                max_rw: max(now.max_rw_session_count()),
            },
            aes_keys: self.aes_keys()?,
        })
    }

    fn aes_keys(&self) -> Result<Vec<RootKeyReport>, HsmError> {
        let keys = self.run(|session| {
            let mut keys = Vec::new();
            for key in objects::aes_keys(session)? {
                keys.push(RootKeyReport {
                    attributes: attributes::shown(session, key.handle),
                    faults: attributes::faults(session, key.handle)?,
                    label: key.label,
                });
            }
            Ok(keys)
        })?;
        Ok(keys)
    }
}

fn max(limit: Limit) -> Option<u64> {
    match limit {
        Limit::Max(max) => Some(max),
        Limit::Unavailable | Limit::Infinite => None,
    }
}

fn flags(info: &TokenInfo) -> Vec<String> {
    let pin = PinFlags::of(info);
    let flags = [
        (info.rng(), "RNG"),
        (info.write_protected(), "WRITE_PROTECTED"),
        (info.login_required(), "LOGIN_REQUIRED"),
        (info.clock_on_token(), "CLOCK_ON_TOKEN"),
        (info.protected_authentication_path(), "PROTECTED_AUTHENTICATION_PATH"),
        (info.token_initialized(), "TOKEN_INITIALIZED"),
        (pin.initialised, "USER_PIN_INITIALIZED"),
        (pin.count_low, "USER_PIN_COUNT_LOW"),
        (pin.final_try, "USER_PIN_FINAL_TRY"),
        (pin.locked, "USER_PIN_LOCKED"),
        (pin.to_be_changed, "USER_PIN_TO_BE_CHANGED"),
        (info.so_pin_count_low(), "SO_PIN_COUNT_LOW"),
        (info.so_pin_final_try(), "SO_PIN_FINAL_TRY"),
        (info.so_pin_locked(), "SO_PIN_LOCKED"),
        (info.error_state(), "ERROR_STATE"),
    ];
    flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| (*name).to_owned()).collect()
}
