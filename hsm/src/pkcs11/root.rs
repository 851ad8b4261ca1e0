//! A root key in a session, in the two formats of a wrapped key; and which ways to wrap a token has.

use super::fault::{Class, Fault};
use super::kind;
use super::mechanism;
use super::negotiate::{self, Iv, WrapChoice};
use super::objects;
use super::proof::Root;
use super::token::Token;
use super::wrap::Device;
use super::{Enforcement, Pkcs11Hsm, cipher, enforcement};
use crate::hybrid::{self, Hybrid};
use crate::profile::Profile;
use crate::wrapped::{self, IV_LEN};
use crate::{HsmError, KeyBytes, Mechanism, RootKeyId};
use std::sync::PoisonError;

/// A root key, found and checked, in a session.
pub(super) struct TokenRoot<'a> {
    pub(super) device: Device<'a>,
    pub(super) root: objects::Root,
    /// Of aes-gcm alone.
    pub(super) iv: Iv,
    pub(super) id: &'a RootKeyId,
}

impl Root for TokenRoot<'_> {
    fn id(&self) -> &RootKeyId {
        self.id
    }

    fn wrap(&self, key: &KeyBytes, aad: &[u8]) -> Result<Vec<u8>, Fault> {
        let Device { raw, session, .. } = self.device;
        let (mechanism, Iv { chooser, len }) = (self.root.mechanism, self.iv);
        if mechanism == Mechanism::AesGcm && len == IV_LEN {
            let aad = wrapped::bound(aad)?;
            let sealed = cipher::encrypt(raw, session, self.root.key, chooser, key, &aad)?;
            let Ok(iv) = <[u8; IV_LEN]>::try_from(&sealed.iv[..]) else {
                let text =
                    format!("IV: wanted {IV_LEN} bytes as before, found {}", sealed.iv.len());
                return Err(HsmError::Refused(text).into());
            };
            return Ok(wrapped::encode(&iv, &sealed.bytes));
        }
        let wrapping_key = self.device.wrapping_key()?;
        let blob = self.device.close(&self.root, chooser, &wrapping_key)?;
        Ok(hybrid::seal(mechanism, &blob, &wrapping_key, key, aad)?)
    }

    /// A root key is used by the mechanism that it was made for, whatever a wrapped key says.
    fn unwrap(&self, bytes: &[u8], aad: &[u8]) -> Result<KeyBytes, Fault> {
        let Device { raw, session, .. } = self.device;
        if bytes.first() == Some(&wrapped::FORMAT) {
            let (iv, sealed) = wrapped::decode(bytes)?;
            if self.root.mechanism != Mechanism::AesGcm {
                return Err(HsmError::Authentication.into());
            }
            return cipher::decrypt(
                raw,
                session,
                self.root.key,
                &iv,
                sealed,
                &wrapped::bound(aad)?,
            );
        }
        let parts = Hybrid::decode(bytes)?;
        if parts.mechanism != self.root.mechanism {
            return Err(HsmError::Authentication.into());
        }
        let wrapping_key = self.device.open(&self.root, parts.blob)?;
        Ok(parts.open(&wrapping_key, aad)?)
    }
}

/// Refuses what is of neither format, before the device is troubled with it.
pub(super) fn check_format(bytes: &[u8]) -> Result<(), HsmError> {
    if bytes.first() == Some(&wrapped::FORMAT) {
        return wrapped::decode(bytes).map(drop);
    }
    Hybrid::decode(bytes).map(drop)
}

/// The ways to wrap that are tried, best first.
fn candidates(profile: &Profile, only: Option<Mechanism>) -> Vec<Mechanism> {
    only.map_or_else(|| profile.wraps.clone(), |only| vec![only])
}

/// Refuses a token that has the mechanisms of no way to wrap, before anyone logs in to it.
pub(super) fn require_any(token: &Token, only: Option<Mechanism>) -> Result<(), HsmError> {
    let ways = candidates(&token.profile, only);
    let usable = |way: &Mechanism| {
        let used = kind::used_by(*way);
        !used.is_empty() && used.iter().all(|number| token.mechanisms.contains(number))
    };
    if ways.iter().any(usable) {
        return Ok(());
    }
    let wanted = ways.iter().map(|way| {
        kind::used_by(*way).into_iter().map(mechanism::name).collect::<Vec<_>>().join(" and ")
    });
    Err(HsmError::MechanismMissing {
        token: token.info.label.clone(),
        wanted: vec![wanted.collect::<Vec<_>>().join(", or ")],
        found: token.mechanisms.iter().map(|number| mechanism::name(*number)).collect(),
    })
}

/// Whether an error says something of the token, and not that it could not be asked.
fn is_finding(error: &HsmError) -> bool {
    matches!(error, HsmError::Refused(_) | HsmError::Unsupported(_) | HsmError::Authentication)
}

impl Pkcs11Hsm {
    /// How new root keys wrap: for tests.
    #[cfg(feature = "suite")]
    pub fn wrap_mechanism(&self) -> Result<Mechanism, HsmError> {
        Ok(self.choice()?.mechanism)
    }

    /// What the token enforces; None where it was not tried yet, because that writes to it.
    pub fn enforcement(&self) -> Option<Enforcement> {
        // Replaced as a whole.
        self.enforcement.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How new root keys wrap. Tried with keys that are thrown away; the first answer stays.
    pub(super) fn choice(&self) -> Result<WrapChoice, HsmError> {
        // Held meanwhile, so that a trial is not run twice. Replaced as a whole.
        let mut known = self.choice.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(choice) = &*known {
            return Ok(choice.clone());
        }
        let mut passed_over = Vec::new();
        for mechanism in candidates(&self.token.profile, self.wrap) {
            match self.try_one(mechanism)? {
                Ok(iv) => {
                    let gcm_iv = iv.map(|iv| iv.chooser);
                    return Ok(known.insert(WrapChoice { mechanism, gcm_iv, passed_over }).clone());
                }
                Err(why) => passed_over.push((mechanism, why)),
            }
        }
        let way = |(mechanism, why): &(Mechanism, String)| format!("{mechanism}: {why}");
        Err(HsmError::NoWrap {
            token: self.token.info.label.clone(),
            tried: passed_over.iter().map(way).collect(),
        })
    }

    /// `Err` within says why the token does not wrap in this way.
    fn try_one(&self, mechanism: Mechanism) -> Result<Result<Option<Iv>, String>, HsmError> {
        let lacks = negotiate::lacks(mechanism, &self.token.mechanisms);
        if !lacks.is_empty() {
            return Ok(Err(format!("lacks {}", lacks.join(", "))));
        }
        let tried = self.pool.once(|session| negotiate::try_one(self.device(session), mechanism));
        match tried {
            Ok(answer) => {
                if let Ok(Some(iv)) = answer {
                    // Whoever came first has found the same.
                    let _ = self.iv.set(iv);
                }
                Ok(answer)
            }
            Err(fault) if self.is_its_answer(&fault) => Ok(Err(HsmError::from(fault).to_string())),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Whether a token that works has answered so, and not one that is busy or gone.
    fn is_its_answer(&self, fault: &Fault) -> bool {
        match fault.class() {
            _ if matches!(fault, Fault::Hsm(error) if !is_finding(error)) => false,
            Class::Request => true,
            Class::Suspect => self.pool.is_healthy(),
            Class::Pin | Class::Busy | Class::Session | Class::Login | Class::Restart => false,
        }
    }

    /// Who chooses the IVs of AES-GCM, and how long they are.
    pub(super) fn iv(&self, device: Device<'_>) -> Result<Iv, Fault> {
        if let Some(iv) = self.iv.get() {
            return Ok(*iv);
        }
        let usual = Iv::usual(device.profile.gcm_iv);
        let can_try = device.profile.session_objects
            && negotiate::lacks(Mechanism::AesGcm, &self.token.mechanisms).is_empty();
        // Where no key can be made for a trial, the self-test of the root key will show.
        let iv = if can_try { negotiate::iv(device)?.map_err(HsmError::Refused)? } else { usual };
        Ok(*self.iv.get_or_init(|| iv))
    }

    /// Refuses a token that hands out keys which it must keep, unless the operator has accepted
    /// it. `mechanism` is that of the keys to try it with.
    pub(super) fn require_enforcement(&self, mechanism: Mechanism) -> Result<(), HsmError> {
        // Held meanwhile, so that the trial is not run twice. Replaced as a whole.
        let mut known = self.enforcement.lock().unwrap_or_else(PoisonError::into_inner);
        let has = &self.token.mechanisms;
        if known.is_none() {
            let can_try = negotiate::lacks(mechanism, has).is_empty();
            let aes = [Mechanism::AesGcm, Mechanism::AesCbcHmac, Mechanism::AesKw];
            let other = aes.into_iter().find(|aes| negotiate::lacks(*aes, has).is_empty());
            let Some(mechanism) = Some(mechanism).filter(|_| can_try).or(other) else {
                return Ok(());
            };
            let tested =
                self.pool.once(|session| enforcement::test(self.device(session), mechanism));
            *known = Some(match tested {
                Ok(found) => found,
                Err(fault) if self.is_its_answer(&fault) => Enforcement {
                    untried: vec![format!("everything: {}", HsmError::from(fault))],
                    ..Enforcement::default()
                },
                Err(fault) => return Err(fault.into()),
            });
        }
        let findings = known.as_ref().map(Enforcement::findings).unwrap_or_default();
        if findings.is_empty() || self.accept_weak_token {
            return Ok(());
        }
        Err(HsmError::WeakToken { token: self.token.info.label.clone(), findings })
    }
}
