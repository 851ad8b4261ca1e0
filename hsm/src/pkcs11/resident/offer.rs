//! Which kinds of resident keys a token can do: by its list of mechanisms, and where that says too
//! little by a trial with keys that are thrown away.

use super::super::Pkcs11Hsm;
use super::super::fault::{Class, Fault};
use super::super::negotiate::{Iv, LABEL};
use super::super::wrap::Device;
use super::create::Wish;
use super::key::{Found, Key, Route, Routes, no_oaep};
use super::plan;
use crate::{Hash, HsmError, ResidentId, ResidentSpec};
use cryptoki_sys::{CK_MECHANISM_TYPE, CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_X_509};
use std::sync::Arc;

/// The RSA keys of a trial: the shortest there are.
const TRIAL_BITS: u16 = 2048;

impl Pkcs11Hsm {
    /// The kinds that the token offers. What was tried stays.
    pub(super) fn offered(&self) -> Vec<ResidentSpec> {
        if let Some(offered) = self.residents.offered.get() {
            return offered.clone();
        }
        let listed = self.listed();
        let mut tried = self.tried(&listed, Class::Request);
        // Some tokens say of a curve that they lack what others say when they are broken.
        if matches!(&tried, Err(fault) if fault.class() == Class::Suspect) && self.pool.is_healthy()
        {
            tried = self.tried(&listed, Class::Suspect);
        }
        match tried {
            Ok(offered) => self.residents.offered.get_or_init(|| offered).clone(),
            // A token that is away at the moment: what it has said is still so.
            Err(_) => listed,
        }
    }

    /// What the token's lists say.
    fn listed(&self) -> Vec<ResidentSpec> {
        let has = &self.token.mechanisms;
        let rsa =
            self.token.module.raw.mechanism_info(self.token.slot(), CKM_RSA_PKCS_KEY_PAIR_GEN);
        let is_listed = |spec: &ResidentSpec| {
            let mut needs = plan::serves(*spec);
            needs.push(plan::made_by(*spec));
            let fits = match (spec, &rsa) {
                (ResidentSpec::RsaSign(bits) | ResidentSpec::RsaDecrypt(bits), Ok(rsa)) => {
                    (rsa.min_key_size..=rsa.max_key_size).contains(&u64::from(*bits))
                }
                // The shared secret is a session object for a moment.
                (ResidentSpec::EcAgree(_), _) => self.token.profile.session_objects,
                _ => true,
            };
            fits && needs.iter().all(|number| has.contains(number))
        };
        ResidentSpec::ALL.into_iter().filter(is_listed).collect()
    }

    /// Curves are in no list: a key is made on each and thrown away. Not where that would write
    /// into the token. `no` is the class of answers that mean "I cannot", besides those about the
    /// request.
    fn tried(&self, listed: &[ResidentSpec], no: Class) -> Result<Vec<ResidentSpec>, Fault> {
        if !self.token.profile.session_objects {
            return Ok(listed.to_vec());
        }
        let seals = is_done(self.run(|session| self.iv(self.device(session))), no)?;
        self.pool.once(|session| {
            let mut offered = Vec::new();
            for spec in listed {
                let is_made = match spec {
                    ResidentSpec::EcSign(_) | ResidentSpec::EcAgree(_) => {
                        is_done(make_and_destroy(self.device(session), *spec), no)?
                    }
                    ResidentSpec::Aes256 => seals,
                    _ => true,
                };
                offered.extend(is_made.then_some(*spec));
            }
            Ok(offered)
        })
    }

    /// The mechanisms that a new key shall serve. CKM_RSA_X_509 only where the token cannot take
    /// off the padding itself.
    pub(super) fn serves(&self, spec: ResidentSpec) -> Result<Vec<CK_MECHANISM_TYPE>, HsmError> {
        let mut serves = plan::serves(spec);
        if let ResidentSpec::RsaDecrypt(_) = spec {
            let routes = self.routes()?;
            // What is not known is found out by the key itself.
            let needs_raw = routes
                .is_none_or(|routes| [routes.sha1, routes.sha256].contains(&Some(Route::Raw)));
            if needs_raw && self.token.mechanisms.contains(&CKM_RSA_X_509) {
                serves.push(CKM_RSA_X_509);
            }
        }
        Ok(serves)
    }

    /// How the token decrypts RSA-OAEP; None where no key can be made for a trial. It must do so
    /// with SHA-256, as every RSA key of KMS does.
    fn routes(&self) -> Result<Option<Routes>, HsmError> {
        if !self.token.profile.session_objects {
            return Ok(None);
        }
        let routes = match self.residents.routes.get() {
            Some(routes) => *routes,
            None => {
                let tried = self.pool.once(|session| {
                    let (id, spec) = (ResidentId::new(LABEL), ResidentSpec::RsaDecrypt(TRIAL_BITS));
                    let serves = plan::may_serve(spec);
                    let device = self.device(session);
                    let wish = Wish { id: &id, spec, serves: &serves, in_token: false };
                    let new = wish.make(device)?;
                    let routes = Routes::default();
                    let found = Arc::new(Found { key: new.key, spec, rsa: None, routes });
                    let iv = Iv::usual(device.profile.gcm_iv);
                    let key = Key { device, id: &id, iv, found };
                    let routes = key.routes(&new.public.unwrap_or_default());
                    session.destroy_object(new.key)?;
                    routes
                });
                *self.residents.routes.get_or_init({
                    let tried = tried?;
                    move || tried
                })
            }
        };
        if routes.sha256.is_none() { Err(no_oaep(Hash::Sha256)) } else { Ok(Some(routes)) }
    }
}

fn make_and_destroy(device: Device<'_>, spec: ResidentSpec) -> Result<(), Fault> {
    let (id, serves) = (ResidentId::new(LABEL), plan::serves(spec));
    let wish = Wish { id: &id, spec, serves: &serves, in_token: false };
    Ok(device.session.destroy_object(wish.make(device)?.key)?)
}

fn is_done<T>(answer: Result<T, Fault>, no: Class) -> Result<bool, Fault> {
    match answer {
        Ok(_) => Ok(true),
        Err(fault) if [Class::Request, no].contains(&fault.class()) => Ok(false),
        Err(fault) => Err(fault),
    }
}
