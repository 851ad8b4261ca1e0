//! Root keys: making them, finding them, proving the auth value.

use super::device::{Device, Primary};
use super::fault::{AUTH_FAIL, BAD_AUTH, Fault, LOCKOUT};
use super::nv::NewIndex;
use super::record::{INDICES, Record};
use super::template;
use crate::{HsmError, KeyBytes, RootKeyId};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use tss_esapi::attributes::NvIndexAttributesBuilder;
use tss_esapi::constants::{NvIndexType, SessionType};
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::resource_handles::{Hierarchy, NvAuth};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Auth, MaxNvBuffer};
use zeroize::Zeroizing;

/// Longest content of an NV index that is read, in bytes: a record has at most 164.
const MAX_RECORD_LEN: usize = 512;
const AUTH_LEN: usize = 32;

/// An NV index of ours and what stands in it: a root key's record, or why it is none.
pub(super) struct Index {
    pub number: u32,
    pub content: Result<Record, String>,
}

/// What is remembered of root keys between calls. Nothing secret, and nothing that is believed
/// without the TPM: the key it makes must have the Name that is remembered.
#[derive(Default)]
pub(super) struct KnownRoots {
    records: BTreeMap<RootKeyId, (u32, Record)>,
    /// Those whose auth value was right, and those whose auth value was wrong.
    proven: BTreeSet<RootKeyId>,
    refused: BTreeSet<RootKeyId>,
}

/// A root key that is loaded and is the one that was asked for.
pub(super) struct Root<'a> {
    pub id: &'a RootKeyId,
    pub handle: KeyHandle,
    /// A salted HMAC session.
    pub session: AuthSession,
    /// The auth value, if the root key was made with one; proven to be right.
    pub auth: Option<Auth>,
    pub primary: &'a Primary,
}

impl Device {
    /// Makes a root key, reads it back, uses it, and only then is done; else it is as if it had
    /// never been.
    pub fn create_root(&mut self, id: &RootKeyId) -> Result<(), Fault> {
        let indices = self.indices()?;
        let mut records = indices.iter().filter_map(|index| index.content.as_ref().ok());
        if records.any(|record| record.id == *id) {
            return Err(HsmError::KeyExists(id.clone()).into());
        }
        let free = |number: &u32| indices.iter().all(|index| index.number != *number);
        let full = || HsmError::Refused(format!("all {} NV indices are taken", INDICES.count()));
        let number = INDICES.into_iter().find(free).ok_or_else(full)?;
        let template = template::root(id)?;
        self.with_primary(Hierarchy::Owner, template, |device, primary| {
            check_attributes(id, primary)?;
            let record = Record { auth: device.auth.is_some(), name: primary.name, id: id.clone() };
            device.with_session(primary.handle, SessionType::Hmac, |device, session| {
                device.write_record(session, number, &record)
            })
        })?;
        self.roots.forget(id);
        let Err(wrong) = self.check_root(id) else { return Ok(()) };
        self.roots.forget(id);
        let undone = self.with_salted_session(|device, session| device.undefine(session, number));
        Err(match undone {
            Ok(()) => wrong,
            Err(fault) => Fault::Hsm(HsmError::Refused(format!(
                "{}; nor could its NV index 0x{number:08x} be removed again: {}",
                HsmError::from(wrong),
                HsmError::from(fault)
            ))),
        })
    }

    /// Removes the NV indices that name a root key, then looks whether one is left.
    pub fn destroy_root(&mut self, id: &RootKeyId) -> Result<(), Fault> {
        self.roots.forget(id);
        let numbers = self.numbers_of(id)?;
        if numbers.is_empty() {
            return Ok(());
        }
        self.with_salted_session(|device, session| {
            numbers.into_iter().try_for_each(|number| device.undefine(session, number))
        })?;
        match self.numbers_of(id)?.as_slice() {
            [] => Ok(()),
            left => {
                let left: Vec<String> = left.iter().map(|n| format!("0x{n:08x}")).collect();
                let left = left.join(", ");
                let text =
                    format!("root key {id} is not destroyed: NV index {left} still names it");
                Err(HsmError::Refused(text).into())
            }
        }
    }

    fn numbers_of(&mut self, id: &RootKeyId) -> Result<Vec<u32>, Fault> {
        let named = |index: &Index| index.content.as_ref().is_ok_and(|record| record.id == *id);
        Ok(self.indices()?.into_iter().filter(named).map(|index| index.number).collect())
    }

    /// Looks the root key up anew, and seals and opens a key under it.
    pub fn check_root(&mut self, id: &RootKeyId) -> Result<(), Fault> {
        self.roots.records.remove(id);
        self.seal(id).map(drop)
    }

    /// Runs `op` with the root key loaded, its attributes and its Name checked, and its auth value
    /// proven once.
    pub fn with_root<T>(
        &mut self,
        id: &RootKeyId,
        op: impl FnOnce(&mut Self, &Root) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let (number, record) = match self.roots.records.get(id) {
            Some(known) => known.clone(),
            None => self.find(id)?,
        };
        self.with_primary(Hierarchy::Owner, template::root(id)?, |device, primary| {
            check_attributes(id, primary)?;
            if primary.name != record.name {
                return Err(device.not_the_key(id, &record, primary));
            }
            device.with_session(primary.handle, SessionType::Hmac, |device, session| {
                let auth = match record.auth {
                    true => Some(device.prove_auth(id, session, number)?),
                    false => None,
                };
                device.roots.records.insert(id.clone(), (number, record));
                op(device, &Root { id, handle: primary.handle, session, auth, primary })
            })
        })
    }

    /// The one NV index that names this root key.
    fn find(&mut self, id: &RootKeyId) -> Result<(u32, Record), Fault> {
        let mut found = Vec::new();
        let mut others = Vec::new();
        for index in self.indices()? {
            match index.content {
                Ok(record) if record.id == *id => found.push((index.number, record)),
                Ok(record) => others.push(record.id.to_string()),
                Err(_) => {}
            }
        }
        match (found.pop(), found.len()) {
            (Some(one), 0) => Ok(one),
            (Some(_), more) => {
                Err(HsmError::DuplicateKey { id: id.clone(), count: more + 1 }.into())
            }
            (None, _) => {
                if others.is_empty() {
                    others.push(format!(
                        "none in the TPM at {} (it was cleared, it is another one, or no root key \
                         was ever made in it)",
                        self.tcti
                    ));
                }
                Err(HsmError::NoSuchKey { wanted: id.clone(), found: others }.into())
            }
        }
    }

    /// The TPM makes another key of the name than it did. If it knows no such root key any more, it
    /// was cleared meanwhile.
    fn not_the_key(&mut self, id: &RootKeyId, record: &Record, primary: &Primary) -> Fault {
        self.roots.forget(id);
        let attribute = "Name".to_owned();
        let (wanted, found) = (hex(&record.name), hex(&primary.name));
        let fault = crate::AttributeFault { attribute, wanted, found };
        match self.find(id) {
            Err(fault) => fault,
            Ok(_) => HsmError::BadAttributes { id: id.clone(), faults: vec![fault] }.into(),
        }
    }

    /// All NV indices of ours that are for root keys.
    pub fn indices(&mut self) -> Result<Vec<Index>, Fault> {
        let numbers = self.nv_numbers(INDICES)?;
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        self.with_salted_session(|device, session| {
            let read = |number| match device.read_record(session, number) {
                Ok(content) => Ok(Index { number, content }),
                // An index that cannot be read hides no other.
                Err(fault) if fault.is_about_this_one() => {
                    Ok(Index { number, content: Err(HsmError::from(fault).to_string()) })
                }
                Err(fault) => Err(fault),
            };
            numbers.into_iter().map(read).collect()
        })
    }

    /// Reads an NV index by the owner's right; the answer is authenticated and encrypted.
    fn read_record(
        &mut self,
        session: AuthSession,
        number: u32,
    ) -> Result<Result<Record, String>, Fault> {
        self.with_index(number, |device, handle| {
            let (public, _) =
                device.command("TPM2_NV_ReadPublic", |context| context.nv_read_public(handle))?;
            if !public.attributes().written() {
                return Ok(Err("it was never written: making a root key was cut short".into()));
            }
            let Some(len) = u16::try_from(public.data_size())
                .ok()
                .filter(|_| public.data_size() <= MAX_RECORD_LEN)
            else {
                return Ok(Err(format!("it has {} bytes: none of ours", public.data_size())));
            };
            let content = device.command_in(session, "TPM2_NV_Read", |context| {
                context.nv_read(NvAuth::Owner, handle, len, 0)
            })?;
            let none = || "it does not hold the record of a root key".to_owned();
            Ok(Record::decode(content.value()).ok_or_else(none))
        })
    }

    /// Defines an NV index and writes the record; removes it again if that fails half way.
    fn write_record(
        &mut self,
        session: AuthSession,
        number: u32,
        record: &Record,
    ) -> Result<(), Fault> {
        let content = record.encode();
        let auth = match record.auth {
            true => Some(self.auth_value(&record.id)?),
            false => None,
        };
        // AUTHREAD: who reads by the index's own auth value proves to have it. Not noDA, so that it
        // cannot be guessed; without one there is nothing to guess.
        let attributes = NvIndexAttributesBuilder::new()
            .with_nv_index_type(NvIndexType::Ordinary)
            .with_owner_write(true)
            .with_owner_read(true)
            .with_auth_read(true)
            .with_no_da(!record.auth);
        let new = NewIndex { number, attributes, len: content.len() };
        let buffer = MaxNvBuffer::try_from(&content[..]);
        let buffer = buffer.map_err(Fault::of("making an NV index"))?;
        self.define(session, auth, new, |device, handle| {
            device.command_in(session, "TPM2_NV_Write", |context| {
                context.nv_write(NvAuth::Owner, handle, buffer, 0)
            })
        })
    }

    /// Proves once that the auth value is the root key's, by reading its NV index with it: one
    /// attempt, where one may be made; never another with a value that was refused.
    fn prove_auth(
        &mut self,
        id: &RootKeyId,
        session: AuthSession,
        number: u32,
    ) -> Result<Auth, Fault> {
        if self.roots.proven.contains(id) {
            return self.auth_value(id);
        }
        let token = self.token.clone();
        if self.roots.is_refused(id) && !self.has_another_auth()? {
            let flags = self.lockout_words();
            return Err(HsmError::WrongPin { token, flags }.into());
        }
        let auth = self.auth_value(id)?;
        self.lockout()?.allow_attempt(&token)?;
        let value = auth.clone();
        let read = self.with_index(number, |device, handle| {
            device.command("Esys_TR_SetAuth", |c| c.tr_set_auth(handle.into(), value))?;
            device.command_in(session, "TPM2_NV_Read", |context| {
                context.nv_read(NvAuth::NvIndex(handle), handle, 1, 0)
            })
        });
        match read {
            Ok(_) => {
                self.roots.proven.insert(id.clone());
                Ok(auth)
            }
            Err(fault) if matches!(fault.tpm_code(), Some(AUTH_FAIL | BAD_AUTH)) => {
                self.roots.refused.insert(id.clone());
                let flags = self.lockout_words();
                Err(HsmError::WrongPin { token, flags }.into())
            }
            Err(fault) => Err(self.of_attempt(fault)),
        }
    }

    /// After a refusal: whether the operator has put another auth value where it is configured. From then
    /// on that one is meant, and nothing is known of it.
    fn has_another_auth(&mut self) -> Result<bool, HsmError> {
        let Some(source) = &self.auth_source else { return Ok(false) };
        let found = source.read()?;
        if self.auth.as_ref() == Some(&found) {
            return Ok(false);
        }
        self.auth = Some(found);
        self.roots.refused.clear();
        self.roots.proven.clear();
        Ok(true)
    }

    /// What an attempt failed with, where it was not the auth value.
    pub fn of_attempt(&mut self, fault: Fault) -> Fault {
        match fault.tpm_code() {
            Some(LOCKOUT) => {
                let (token, flags) = (self.token.clone(), self.lockout_words());
                HsmError::PinLocked { token, flags }.into()
            }
            _ => fault,
        }
    }

    /// HKDF-SHA-256(ikm = the configured value, info = "claviger/tpm/auth\0" ‖ the root key's
    /// name): 32 bytes for values of every length, and one root key's does not open another's.
    fn auth_value(&self, id: &RootKeyId) -> Result<Auth, Fault> {
        let Some(secret) = self.auth.as_ref().map(KeyBytes::expose) else {
            let text = format!("root key {id} was made with an auth value: none is configured");
            return Err(HsmError::Refused(text).into());
        };
        let info = [&b"claviger/tpm/auth\0"[..], id.as_str().as_bytes()].concat();
        let mut value = Zeroizing::new(vec![0; AUTH_LEN]);
        hkdf::Hkdf::<Sha256>::new(None, secret)
            .expand(&info, &mut value)
            .map_err(|e| HsmError::Refused(e.to_string()))?;
        // A TPM cuts zeros off the end of an auth value (TPM 2.0 part 1, Authorization Values); there are none.
        if let Some(last) = value.last_mut() {
            *last |= 1;
        }
        Auth::try_from(&value[..]).map_err(Fault::of("making an auth value"))
    }
}

impl KnownRoots {
    /// Whether trying the configured value for this root key would be to guess: it was refused here,
    /// or somewhere else and nowhere right.
    fn is_refused(&self, id: &RootKeyId) -> bool {
        self.refused.contains(id) || (self.proven.is_empty() && !self.refused.is_empty())
    }

    fn forget(&mut self, id: &RootKeyId) {
        self.records.remove(id);
        self.proven.remove(id);
    }
}

fn check_attributes(id: &RootKeyId, primary: &Primary) -> Result<(), Fault> {
    let faults = template::faults(&template::root(id)?, &primary.public);
    if faults.is_empty() {
        return Ok(());
    }
    Err(HsmError::BadAttributes { id: id.clone(), faults }.into())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_auth_value_is_not_tried_elsewhere_unless_it_was_right_somewhere() {
        let [one, two, three] = ["1", "2", "3"].map(RootKeyId::new);
        let mut roots = KnownRoots::default();
        assert!(!roots.is_refused(&one));
        roots.refused.insert(one.clone());
        assert!(roots.is_refused(&one) && roots.is_refused(&two));
        roots.proven.insert(two);
        assert!(roots.is_refused(&one) && !roots.is_refused(&three));
    }
}
