//! The check-up for a terminal: one fact a line, its name in front.
use super::CheckUp;
use super::device::DeviceCheck;
use claviger_hsm::{pkcs11, tpm};
use std::fmt::{self, Display};

/// Where the facts begin.
const NAME: usize = 15;

struct Lines<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Lines<'_, '_> {
    fn say(&mut self, name: &str, what: impl Display) -> fmt::Result {
        writeln!(self.0, "{name:NAME$}{what}")
    }

    fn list(&mut self, name: &str, all: &[String]) -> fmt::Result {
        all.iter().try_for_each(|one| self.say(name, one))
    }
}

impl Display for CheckUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines(f);
        let path = self.configuration.display();
        lines.say("configuration", format!("{path} is good"))?;
        if self.tls {
            lines.say("tls", "the certificate and its key belong together")?;
        }
        lines.say("memory", format!("keys are {}", self.memory))?;
        for device in &self.devices {
            show(&mut lines, device)?;
        }
        writeln!(lines.0)?;
        for wrap in self.deployment.iter().flat_map(|d| &d.domain_keys).flat_map(|k| &k.wraps) {
            let what = match (&wrap.fault, &wrap.opened) {
                (Some(fault), _) => fault.as_str(),
                (None, Some(_)) => "one object, attributes as wanted, opens the domain key",
                (None, None) if wrap.recovery => "the recovery key: shares open it",
                (None, None) => "was not tried: no device that can be reached has it",
            };
            lines.say("root key", format!("{}: {what}", wrap.root))?;
        }
        lines.list("note", &self.notes)?;
        lines.list("WRONG", &self.faults)?;
        if self.faults.is_empty() {
            writeln!(lines.0, "all is well")?;
        }
        Ok(())
    }
}

fn show(lines: &mut Lines<'_, '_>, check: &DeviceCheck) -> fmt::Result {
    writeln!(lines.0)?;
    let cluster = check.cluster.as_ref().map(|cluster| format!(" ({cluster})"));
    lines.say("device", format!("{}{}", check.name, cluster.unwrap_or_default()))?;
    if let Some(report) = &check.pkcs11 {
        token(lines, check, report)?;
    }
    if let Some(report) = &check.tpm {
        chip(lines, report)?;
    }
    if check.is_open() {
        if !check.resident_specs.is_empty() {
            let specs = check.resident_specs.join(", ");
            lines.say("keys inside", format!("{} of: {specs}", check.resident_keys))?;
        }
        lines.list("root in it", &check.root_keys)?;
        let time = |us: Option<f64>| us.map_or("not told".into(), |us| format!("{us:.1} µs"));
        lines.say(
            "32 random B",
            format!("{}; as served: {}", time(check.bare_us), time(check.served_us)),
        )?;
    }
    lines.list("note", &check.notes)?;
    lines.list("WRONG", &check.faults)
}

fn kind(hardware: bool) -> &'static str {
    match hardware {
        true => "says it is hardware",
        false => "software: its keys can be copied with its files",
    }
}

fn token(lines: &mut Lines<'_, '_>, check: &DeviceCheck, report: &pkcs11::Report) -> fmt::Result {
    let device = &report.device;
    lines.say("module", format!("{} ({})", report.module.display(), report.library))?;
    let process = match check.helper {
        Some(true) => "its own: a crash of the library is not the server's",
        _ => "the server's",
    };
    lines.say("process", process)?;
    let (label, slot) = (&device.label, report.slot);
    lines.say("token", format!("{label:?} in slot {slot} ({})", report.slot_description))?;
    let (vendor, model, serial) = (&device.vendor, &device.model, &device.serial);
    lines.say("is", format!("{vendor} {model}, serial {serial}"))?;
    lines.say("kind", kind(device.hardware))?;
    lines.say("flags", report.flags.join(" "))?;
    let most = |n: Option<u64>| n.map_or("no limit told".to_owned(), |n| n.to_string());
    let configured = check.sessions.map_or("16 by default".into(), |n| format!("{n} configured"));
    lines.say("sessions", format!("{configured}; at most {}", most(report.sessions.max)))?;
    lines.say("mechanisms", report.mechanisms.join(" "))?;
    let profile = &report.profile;
    lines.say("profile", format!("{} ({})", profile.name, profile.vendor))?;
    if let Some(notes) = &profile.notes {
        lines.say("", notes)?;
    }
    ways(lines, report)?;
    for (name, keys) in [("AES key", &report.aes_keys), ("RSA key", &report.rsa_keys)] {
        for key in keys {
            let faults: Vec<String> = key.faults.iter().map(ToString::to_string).collect();
            let fit = faults.is_empty();
            let verdict = if fit { "fit to be a root".into() } else { faults.join("; ") };
            lines.say(name, format!("{:?}: {verdict}", key.label))?;
        }
    }
    Ok(())
}

/// How the token wraps keys, and whether it keeps them.
fn ways(lines: &mut Lines<'_, '_>, report: &pkcs11::Report) -> fmt::Result {
    match &report.wrap {
        Ok(choice) => {
            lines.say("wraps by", choice.mechanism)?;
            for (mechanism, why) in &choice.passed_over {
                lines.say("", format!("not by {mechanism}: {why}"))?;
            }
        }
        Err(_) => lines.say("wraps", "in no way that we know")?,
    }
    let Some(enforcement) = &report.enforcement else {
        return lines.say("enforces", "not tried: a trial would write to this token");
    };
    if enforcement.is_enough() {
        lines.say("enforces", "what root keys need: no trial got a key out")?;
    } else {
        let accepted = if report.accept_weak_token { " (accepted)" } else { "" };
        let findings = enforcement.findings().join("; ");
        lines.say("enforces", format!("too little{accepted}: {findings}"))?;
    }
    let ignored = &enforcement.ignored_allowed_mechanisms;
    if !ignored.is_empty() {
        lines.say("", format!("ignores CKA_ALLOWED_MECHANISMS: {}", ignored.join(" ")))?;
    }
    if !enforcement.short_tags.is_empty() {
        lines.say("", format!("opens with short tags, in bits: {:?}", enforcement.short_tags))?;
    }
    enforcement.untried.iter().try_for_each(|what| lines.say("", format!("not tried: {what}")))
}

fn chip(lines: &mut Lines<'_, '_>, report: &tpm::Report) -> fmt::Result {
    let device = &report.device;
    lines.say("tpm", &report.tcti)?;
    let (vendor, model, revision) = (&device.vendor, &device.model, &report.revision);
    let firmware = device.firmware.as_deref().unwrap_or("not told");
    lines.say("is", format!("{vendor} {model}, revision {revision}, firmware {firmware}"))?;
    lines.say("kind", kind(device.hardware))?;
    lines.say("wraps by", claviger_hsm::Mechanism::TpmSeal)?;
    let lockout = match &report.lockout {
        Ok(lockout) => lockout.to_string(),
        Err(why) => why.clone(),
    };
    lines.say("lockout", lockout)?;
    lines.list("pcr bank", &report.pcr_banks)?;
    lines.say("bound to", report.pcrs.as_deref().unwrap_or("no PCRs"))?;
    lines.say("auth value", if report.auth { "configured" } else { "none" })?;
    lines.say("algorithms", report.algorithms.join(" "))?;
    let limits: Vec<String> =
        report.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.say("limits", limits.join(" "))?;
    lines.say(
        "loaded now",
        format!(
            "{} objects, {} sessions, of everyone",
            report.transient_objects.len(),
            report.loaded_sessions.len()
        ),
    )?;
    for root in &report.roots {
        let name = root.id.as_deref().unwrap_or("no root key");
        let fault = root.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
        lines.say("nv index", format!("{} {name}{fault}", root.nv_index))?;
    }
    Ok(())
}
