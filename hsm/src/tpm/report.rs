//! Everything known about the device, for an operator. A part that cannot be read says so and
//! hides no other.

use super::QUIET;
use super::device::Device;
use super::fault::Fault;
use super::lockout::Lockout;
use super::root::hex;
use crate::{DeviceInfo, HsmError, RootKeyId};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use tss_esapi::constants::{CapabilityType, PropertyTag};
use tss_esapi::handles::TpmHandle;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::structures::CapabilityData;

/// TPMs that are known to be software, by manufacturer and the beginning of the vendor string.
const SOFTWARE: [(&str, &str); 2] = [("IBM", "SW"), ("MSFT", "xCG")];
/// First handles of a kind (TPM 2.0 part 2, 7.2).
const LOADED_SESSIONS: u32 = 0x0200_0000;
const TRANSIENT_OBJECTS: u32 = 0x8000_0000;
const MANY: u32 = 254;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub tcti: String,
    pub device: DeviceInfo,
    /// Of the TPM 2.0 library specification, as in "1.59".
    pub revision: String,
    /// Properties by their names (TPM 2.0 part 2, 6.13); what the TPM lacks is missing.
    pub properties: BTreeMap<String, u32>,
    /// The banks that the TPM keeps PCRs in, and which, as in "sha256: 0-23".
    pub pcr_banks: Vec<String>,
    pub algorithms: Vec<String>,
    pub lockout: Result<Lockout, String>,
    /// Objects and sessions that are loaded at this moment, of everyone who can be seen from here:
    /// ours are gone after each call.
    pub transient_objects: Vec<String>,
    pub loaded_sessions: Vec<String>,
    /// The PCRs that keys are bound to from now on.
    pub pcrs: Option<String>,
    /// Whether an auth value is configured.
    pub auth: bool,
    /// NV indices of ours.
    pub roots: Vec<RootReport>,
    /// What the operator should change.
    pub advice: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RootReport {
    pub nv_index: String,
    /// None if the index does not hold a root key's record.
    pub id: Option<String>,
    /// The Name of the primary key, in hexadecimal.
    pub name: Option<String>,
    /// Whether it was made with an auth value.
    pub auth: Option<bool>,
    /// Why it is no root key.
    pub fault: Option<String>,
}

/// The claim that is the maker's certificate of the endorsement key, DER in hexadecimal.
pub const ENDORSEMENT_CERTIFICATE: &str = "EK certificate";

impl Device {
    /// What the TPM says of itself and of a root key, unsigned.
    pub fn claims(&mut self, root: &RootKeyId) -> Result<Vec<(String, String)>, Fault> {
        self.check_root(root)?;
        let revision = self.property(PropertyTag::Revision)?.unwrap_or(0);
        let mut claims =
            vec![("TPM revision", revision_text(revision)), ("lockout", self.lockout_words())];
        claims.extend(self.pcr_banks()?.into_iter().map(|bank| ("PCR bank", bank)));
        for index in self.indices()? {
            if let Ok(record) = index.content
                && record.id == *root
            {
                claims.push(("NV index", format!("0x{:08x}", index.number)));
                claims.push(("auth value needed", record.auth.to_string()));
            }
        }
        // One that cannot be read is one that there is not: the rest stands without it.
        match self.endorsement_certificate() {
            Ok(Some(certificate)) => claims.push((ENDORSEMENT_CERTIFICATE, hex(&certificate))),
            Ok(None) => {}
            Err(fault) if fault.is_about_this_one() => {
                claims.push(("EK certificate unreadable", words(fault)));
            }
            Err(fault) => return Err(fault),
        }
        Ok(claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// What the TPM says it is. Its name in messages becomes what it says.
    pub fn open(&mut self) -> Result<DeviceInfo, Fault> {
        let vendor = self.text(&[PropertyTag::Manufacturer])?;
        let model = self.text(&[
            PropertyTag::VendorString1,
            PropertyTag::VendorString2,
            PropertyTag::VendorString3,
            PropertyTag::VendorString4,
        ])?;
        let family = self.text(&[PropertyTag::FamilyIndicator])?;
        let one = self.property(PropertyTag::FirmwareVersion1)?;
        let two = self.property(PropertyTag::FirmwareVersion2)?;
        let firmware = one.map(|one| {
            let two = two.unwrap_or(0);
            format!("{}.{}.{}.{}", one >> 16, one & 0xffff, two >> 16, two & 0xffff)
        });
        // A TPM has no serial number to read. A key of its owner seed stands for it: another one
        // after TPM2_Clear, when nothing that was wrapped opens any more.
        let salt = super::template::salt()?;
        let name = self.with_primary(Hierarchy::Owner, salt, |_, primary| Ok(primary.name))?;
        let serial = Sha256::digest(name).iter().take(8).map(|b| format!("{b:02x}")).collect();
        let software =
            SOFTWARE.iter().any(|(maker, start)| vendor == *maker && model.starts_with(start));
        self.token = format!("{vendor} {model} at {}", self.tcti);
        let label = self.tcti.to_string();
        let model = format!("{model} (TPM {family})");
        Ok(DeviceInfo { vendor, model, serial, label, firmware, hardware: !software })
    }

    /// Properties that are four characters each, one after the other.
    fn text(&mut self, tags: &[PropertyTag]) -> Result<String, Fault> {
        let mut text = String::new();
        for tag in tags {
            let bytes = self.property(*tag)?.unwrap_or(0).to_be_bytes();
            let shown = bytes.into_iter().filter(|b| *b != 0).map(char::from);
            text.extend(shown.filter(|c| c.is_ascii_graphic() || *c == ' '));
        }
        Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    pub fn report(&mut self, device: DeviceInfo) -> Result<Report, Fault> {
        let revision = self.property(PropertyTag::Revision)?.unwrap_or(0);
        let mut properties = BTreeMap::new();
        for tag in PROPERTIES {
            if let Some(value) = self.property(tag)? {
                properties.insert(format!("{tag:?}"), value);
            }
        }
        let lockout = self.lockout().map_err(words);
        let mut report = Report {
            tcti: self.tcti.to_string(),
            device,
            revision: revision_text(revision),
            properties,
            pcr_banks: self.pcr_banks().unwrap_or_else(unreadable),
            algorithms: self.algorithms().unwrap_or_else(unreadable),
            lockout,
            transient_objects: self.handles(TRANSIENT_OBJECTS).unwrap_or_else(unreadable),
            loaded_sessions: self.handles(LOADED_SESSIONS).unwrap_or_else(unreadable),
            pcrs: self.pcrs.as_ref().map(ToString::to_string),
            auth: self.auth.is_some(),
            roots: self.root_reports()?,
            advice: Vec::new(),
        };
        report.advice = advice(&report);
        Ok(report)
    }

    fn pcr_banks(&mut self) -> Result<Vec<String>, Fault> {
        let (found, _) = self.command("TPM2_GetCapability", |context| {
            context.get_capability(CapabilityType::AssignedPcr, 0, MANY)
        })?;
        let CapabilityData::AssignedPcr(list) = found else { return Ok(Vec::new()) };
        let banks = list.get_selections().iter().filter(|bank| !bank.is_empty()).map(|bank| {
            let numbers = bank.selected().into_iter().map(|slot| u32::from(slot).trailing_zeros());
            let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
            format!("{:?}: {}", bank.hashing_algorithm(), numbers.join(" ")).to_lowercase()
        });
        Ok(banks.collect())
    }

    fn algorithms(&mut self) -> Result<Vec<String>, Fault> {
        let (found, _) = self.command("TPM2_GetCapability", |context| {
            context.get_capability(CapabilityType::Algorithms, 0, MANY)
        })?;
        let CapabilityData::Algorithms(list) = found else { return Ok(Vec::new()) };
        let name = |property: &tss_esapi::structures::AlgorithmProperty| {
            format!("{:?}", property.algorithm_identifier())
        };
        Ok(list.as_ref().iter().map(name).collect())
    }

    fn handles(&mut self, first: u32) -> Result<Vec<String>, Fault> {
        let (found, _) = self.command("TPM2_GetCapability", |context| {
            context.get_capability(CapabilityType::Handles, first, MANY)
        })?;
        let CapabilityData::Handles(list) = found else { return Ok(Vec::new()) };
        let numbers = list.into_inner().into_iter().map(|handle: TpmHandle| u32::from(handle));
        // The list goes on with the next kind.
        let same_kind = numbers.filter(|number| number >> 24 == first >> 24);
        Ok(same_kind.map(|number| format!("0x{number:08x}")).collect())
    }

    fn root_reports(&mut self) -> Result<Vec<RootReport>, Fault> {
        let roots = self.indices()?.into_iter().map(|index| {
            let nv_index = format!("0x{:08x}", index.number);
            match index.content {
                Ok(record) => RootReport {
                    nv_index,
                    id: Some(record.id.to_string()),
                    name: Some(hex(&record.name)),
                    auth: Some(record.auth),
                    fault: None,
                },
                Err(fault) => {
                    RootReport { nv_index, id: None, name: None, auth: None, fault: Some(fault) }
                }
            }
        });
        Ok(roots.collect())
    }
}

/// What an operator compares TPMs by.
const PROPERTIES: [PropertyTag; 22] = [
    PropertyTag::DayOfYear,
    PropertyTag::Year,
    PropertyTag::HrTransientMin,
    PropertyTag::HrPersistentMin,
    PropertyTag::HrLoadedMin,
    PropertyTag::HrTransientAvail,
    PropertyTag::HrLoadedAvail,
    PropertyTag::HrActiveAvail,
    PropertyTag::HrPersistentAvail,
    PropertyTag::HrNvIndex,
    PropertyTag::ActiveSessionsMax,
    PropertyTag::PcrCount,
    PropertyTag::NvCountersMax,
    PropertyTag::NvCounters,
    PropertyTag::NvIndexMax,
    PropertyTag::NvBufferMax,
    PropertyTag::OrderlyCount,
    PropertyTag::MaxCommandSize,
    PropertyTag::MaxDigest,
    PropertyTag::Permanent,
    PropertyTag::StartupClear,
    PropertyTag::LockoutRecovery,
];

fn advice(report: &Report) -> Vec<String> {
    let mut advice = Vec::new();
    let mut say = |is_so: bool, text: &str| {
        if is_so {
            advice.push(text.to_owned());
        }
    };
    let (variable, value) = QUIET;
    let noisy = std::env::var(variable).is_err();
    say(noisy, &format!("libtss2 writes to standard error: set {variable}={value} in the unit"));
    say(
        report.tcti == "device:/dev/tpm0",
        "/dev/tpm0 serves one process alone and makes no room for others: use device:/dev/tpmrm0",
    );
    say(
        report.pcrs.is_none() && !report.auth,
        "neither PCRs nor an auth value: who may use the TPM and has a wrapped key opens it",
    );
    say(
        report.roots.iter().any(|root| root.fault.is_some()),
        "an NV index of ours holds no root key: tpm2_nvundefine removes it",
    );
    say(!report.device.hardware, "a software TPM: its keys can be copied with its state");
    advice
}

/// As in "1.59".
fn revision_text(revision: u32) -> String {
    format!("{}.{:02}", revision / 100, revision % 100)
}

fn words(fault: Fault) -> String {
    HsmError::from(fault).to_string()
}

fn unreadable(fault: Fault) -> Vec<String> {
    vec![format!("unreadable ({})", words(fault))]
}
