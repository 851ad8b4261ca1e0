//! Everything known about the device, for an operator. Needs no more than the open device; a
//! part that cannot be read says so and hides no other.

use super::fault::words;
use super::kind::Kind;
use super::{Enforcement, Pkcs11Hsm, WrapChoice, attributes, mechanism, objects};
use crate::profile::Profile;
use crate::{AttributeFault, DeviceInfo, Hsm, HsmError, Mechanism, RootKeyId};
use cryptoki::object::ObjectClass;
use cryptoki_sys::*;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub module: PathBuf,
    /// The library's description, its version, and the PKCS#11 version it speaks.
    pub library: String,
    pub slot: u64,
    pub slot_description: String,
    pub device: DeviceInfo,
    /// The token's flags by their PKCS#11 names, without `CKF_`.
    pub flags: Vec<String>,
    /// Names of the mechanisms; numbers of those that nobody here knows.
    pub mechanisms: Vec<String>,
    /// What is known of the vendor.
    pub profile: Profile,
    /// How new root keys would wrap; or why in no way.
    pub wrap: Result<WrapChoice, String>,
    /// What the token enforces; None if it was not tried, because that writes to this token.
    pub enforcement: Option<Enforcement>,
    /// Whether a token that enforces too little was accepted by the configuration.
    pub accept_weak_token: bool,
    pub sessions: SessionLimits,
    /// Every AES key in the token, whether or not it can be a root key.
    pub aes_keys: Vec<RootKeyReport>,
    /// The RSA keys that were made to be root keys.
    pub rsa_keys: Vec<RootKeyReport>,
}

/// Sessions open, and the most the token allows, where it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLimits {
    pub open: Option<u64>,
    pub max: Option<u64>,
    pub open_rw: Option<u64>,
    pub max_rw: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootKeyReport {
    pub label: String,
    /// What it was made for; aes-gcm if it was not made by us.
    pub mechanism: Mechanism,
    pub attributes: Vec<Attribute>,
    /// Why it cannot be a root key; empty if it can.
    pub faults: Vec<AttributeFault>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    pub name: String,
    pub value: String,
}

impl Pkcs11Hsm {
    /// Names of the mechanisms the token offers; numbers of those that nobody here knows.
    pub fn mechanisms(&self) -> Vec<String> {
        self.token.mechanisms.iter().map(|number| mechanism::name(*number)).collect()
    }

    pub fn report(&self) -> Result<Report, HsmError> {
        // First, because it heals what can be healed.
        let (aes_keys, rsa_keys) = self.keys()?;
        let wrap = self.choice().map_err(|e| e.to_string());
        // Before the pass: who tries it holds its lock and may wait until all are out.
        let enforcement = self.enforcement();
        let _pass = self.token.module.enter()?;
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
        let slot_description = match pkcs11.get_slot_info(self.token.slot()) {
            Ok(slot) => slot.slot_description().to_owned(),
            Err(e) => format!("unreadable ({})", words(&e)),
        };
        // Read now: flags and counts change while the token is open.
        let now = self.token.module.raw.token_info(self.token.slot());
        let now = now.as_ref().unwrap_or(&self.token.info);
        Ok(Report {
            module: self.token.module.path.clone(),
            library,
            slot: self.token.slot().id(),
            slot_description,
            device: self.info(),
            flags: flags(now.flags),
            mechanisms: self.mechanisms(),
            sessions: SessionLimits {
                open: now.sessions,
                max: now.max_sessions,
                open_rw: now.rw_sessions,
                max_rw: now.max_rw_sessions,
            },
            profile: self.token.profile.as_ref().clone(),
            wrap,
            enforcement,
            accept_weak_token: self.accept_weak_token,
            aes_keys,
            rsa_keys,
        })
    }

    /// What the token says of itself and of the objects of a root key, and what it did with keys that
    /// were thrown away. Nobody signs it: PKCS#11 has no way to.
    pub(super) fn claims(&self, root: &RootKeyId) -> Result<Vec<(String, String)>, HsmError> {
        self.check_root_key(root)?;
        let report = self.report()?;
        let mut claims = vec![
            ("library", report.library),
            ("profile", report.profile.name),
            ("slot", report.slot_description),
            ("flags", report.flags.join(" ")),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<Vec<_>>();
        let keys = report.aes_keys.into_iter().chain(report.rsa_keys);
        for key in keys.filter(|key| key.label == root.as_str()) {
            claims.push(("mechanism".into(), key.mechanism.to_string()));
            claims.extend(key.attributes.into_iter().map(|one| (one.name, one.value)));
            let faults = key.faults.iter().map(|fault| ("fault".to_owned(), fault.to_string()));
            claims.extend(faults);
        }
        let kept = match report.enforcement {
            None => "not tried".into(),
            Some(enforcement) if enforcement.is_enough() => "no trial got a key out".into(),
            Some(enforcement) => enforcement.findings().join("; "),
        };
        claims.push(("trials".into(), kept));
        Ok(claims)
    }

    /// AES keys, and RSA keys of ours.
    fn keys(&self) -> Result<(Vec<RootKeyReport>, Vec<RootKeyReport>), HsmError> {
        let keys = self.run(|session| {
            let (mut aes, mut rsa) = (Vec::new(), Vec::new());
            for key in objects::keys(self.device(session))? {
                let ours = key.root().map(|(_, mechanism)| mechanism);
                let list = match (key.class, ours) {
                    (ObjectClass::SECRET_KEY, _) => &mut aes,
                    (_, Some(_)) => &mut rsa,
                    (_, None) => continue,
                };
                let mechanism = ours.unwrap_or(Mechanism::AesGcm);
                let kind = Kind::of(mechanism).unwrap_or(Kind::Gcm);
                let promises = !self.accept_weak_token;
                list.push(RootKeyReport {
                    attributes: attributes::shown(self.device(session), key.handle, kind),
                    faults: attributes::faults(self.device(session), key.handle, kind, promises)?,
                    label: key.label,
                    mechanism,
                });
            }
            Ok((aes, rsa))
        })?;
        Ok(keys)
    }
}

fn flags(set: CK_FLAGS) -> Vec<String> {
    let flags = [
        (CKF_RNG, "RNG"),
        (CKF_WRITE_PROTECTED, "WRITE_PROTECTED"),
        (CKF_LOGIN_REQUIRED, "LOGIN_REQUIRED"),
        (CKF_CLOCK_ON_TOKEN, "CLOCK_ON_TOKEN"),
        (CKF_PROTECTED_AUTHENTICATION_PATH, "PROTECTED_AUTHENTICATION_PATH"),
        (CKF_TOKEN_INITIALIZED, "TOKEN_INITIALIZED"),
        (CKF_USER_PIN_INITIALIZED, "USER_PIN_INITIALIZED"),
        (CKF_USER_PIN_COUNT_LOW, "USER_PIN_COUNT_LOW"),
        (CKF_USER_PIN_FINAL_TRY, "USER_PIN_FINAL_TRY"),
        (CKF_USER_PIN_LOCKED, "USER_PIN_LOCKED"),
        (CKF_USER_PIN_TO_BE_CHANGED, "USER_PIN_TO_BE_CHANGED"),
        (CKF_SO_PIN_COUNT_LOW, "SO_PIN_COUNT_LOW"),
        (CKF_SO_PIN_FINAL_TRY, "SO_PIN_FINAL_TRY"),
        (CKF_SO_PIN_LOCKED, "SO_PIN_LOCKED"),
        (CKF_ERROR_STATE, "ERROR_STATE"),
    ];
    flags.iter().filter(|(flag, _)| set & flag != 0).map(|(_, name)| (*name).to_owned()).collect()
}
