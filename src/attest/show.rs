//! A verdict as a person reads it: who says what, and what that is worth.
use super::bundle::{Claim, DomainKey, Holds, KeyStatement, Statement};
use super::verify::{DeviceVerdict, Verdict};
use std::fmt::{self, Formatter};

/// A longer value is shown by its beginning; `--json` has all of it.
const MAX_SHOWN: usize = 130;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "grade: {}", self.grade)?;
        writeln!(f, "\nthe server says")?;
        said(f, &self.said)?;
        for device in &self.devices {
            show(f, device)?;
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {}", plain(note)))
    }
}

/// Labels, devices and keys of others may be called anything: nothing that makes a terminal do something.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line(f: &mut Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    let (name, value) = (plain(name), plain(value));
    match value.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => {
            writeln!(
                f,
                "  {name:24}{}… ({} characters)",
                value.get(..at).unwrap_or_default(),
                value.len()
            )
        }
        None => writeln!(f, "  {name:24}{value}"),
    }
}

fn said(f: &mut Formatter<'_>, said: &Statement) -> fmt::Result {
    if let Some(key) = &said.key {
        of_key(f, key)?;
    }
    line(f, "deployment", &hex::encode(&said.cluster.0))?;
    for DomainKey { generation, roots, recovery_keys } in &said.domain_keys {
        line(f, &format!("domain key {generation}"), "opened by any of these:")?;
        for root in roots.iter().chain(recovery_keys) {
            line(f, "", root)?;
        }
    }
    line(f, "time", &said.time)?;
    line(f, "nonce", &hex::encode(&said.nonce.0))?;
    line(f, "made by", &said.program)
}

fn of_key(f: &mut Formatter<'_>, key: &KeyStatement) -> fmt::Result {
    let what = format!("{} for {}, origin {}", key.spec, key.usage, key.origin);
    line(f, "key", &key.arn)?;
    line(f, "it is", &what)?;
    line(f, "made", &key.created)?;
    for (name, value) in
        [("custom key store", &key.custom_key_store), ("external key", &key.external_key)]
    {
        if let Some(value) = value {
            line(f, name, value)?;
        }
    }
    match &key.public_key {
        Some(public) => line(f, "public key", &hex::encode(&public.0)),
        None => Ok(()),
    }
}

fn show(f: &mut Formatter<'_>, device: &DeviceVerdict) -> fmt::Result {
    let words = &device.claimed;
    let (what, name) = match &words.holds {
        Holds::RootKey(name) => ("root key", name),
        Holds::KmsKey(name) => ("the KMS key", name),
    };
    writeln!(f, "\ndevice {}: {}", plain(&words.device), device.grade)?;
    line(f, what, name)?;
    if let Some(info) = &words.info {
        line(f, "it is", &format!("{} {}, serial {}", info.vendor, info.model, info.serial))?;
    }
    if let Some(fault) = &words.fault {
        line(f, "could not be asked", fault)?;
    }
    for (who, claims) in
        [("the device claims", &words.claims), ("the TPM signed, or its maker", &device.proven)]
    {
        if !claims.is_empty() {
            writeln!(f, " {who}")?;
        }
        for Claim { name, value } in claims {
            line(f, name, value)?;
        }
    }
    device.notes.iter().try_for_each(|note| writeln!(f, " note: {}", plain(note)))
}
