//! One device, asked everything. A vendor's library runs where it does while the server serves: one that
//! has a process of its own is never loaded into this one.
use crate::devices::{Pkcs11, Settings, Tpm};
use claviger_hsm::{Hsm, HsmError, TpmHsm, pkcs11, tpm};
use serde::Serialize;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// For everything that is asked of one device. Some write to the token while they try what it does.
const PATIENCE: Duration = Duration::from_secs(120);
/// Calls of which the median is told.
const CALLS: usize = 33;
/// Flags of a token that say something is wrong, or soon will be (PKCS#11 v3.1, 3.4).
const BAD_FLAGS: [(&str, &str); 5] = [
    ("USER_PIN_FINAL_TRY", "one more wrong PIN locks it: log in once by the vendor's tool"),
    ("USER_PIN_LOCKED", "the PIN is locked"),
    ("USER_PIN_TO_BE_CHANGED", "the PIN must be changed"),
    ("ERROR_STATE", "the token has failed its own tests"),
    ("WRITE_PROTECTED", "no key can be made in it"),
];

#[derive(Debug, Default, Serialize)]
pub(super) struct DeviceCheck {
    pub name: String,
    pub cluster: Option<String>,
    /// Of a token: whether its library runs in a process of its own while the server serves.
    pub helper: Option<bool>,
    /// Of a token: the sessions that are configured.
    pub sessions: Option<u64>,
    pub pkcs11: Option<pkcs11::Report>,
    pub tpm: Option<tpm::Report>,
    /// The kinds of keys of customers that it makes.
    pub resident_specs: Vec<String>,
    /// How many of them it has.
    pub resident_keys: usize,
    /// Names of root keys in it.
    pub root_keys: Vec<String>,
    /// The median of a call for 32 random bytes: without the guard, and as the server calls it.
    pub bare_us: Option<f64>,
    pub served_us: Option<f64>,
    pub notes: Vec<String>,
    pub faults: Vec<String>,
}

pub(super) fn check(section: &Settings) -> DeviceCheck {
    let check = DeviceCheck {
        name: section.name.clone(),
        cluster: section.cluster.clone(),
        ..DeviceCheck::default()
    };
    match (&section.pkcs11, &section.tpm) {
        (Some(token), _) => {
            let token = token.clone();
            patiently(check, move |check| check.token(&token))
        }
        (None, Some(chip)) => {
            let chip = chip.clone();
            patiently(check, move |check| check.chip(&chip))
        }
        (None, None) => check,
    }
}

/// Whatever the device does, there is an end.
fn patiently(
    mut check: DeviceCheck,
    work: impl FnOnce(&mut DeviceCheck) -> Result<(), HsmError> + Send + 'static,
) -> DeviceCheck {
    let (name, cluster) = (check.name.clone(), check.cluster.clone());
    let (answer, answered) = mpsc::sync_channel(1);
    thread::spawn(move || {
        if let Err(error) = work(&mut check) {
            check.faults.push(error.to_string());
        }
        // Nobody waits any more if it took too long.
        let _ = answer.send(check);
    });
    answered.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let text = format!("it did not answer within {} s", PATIENCE.as_secs());
        DeviceCheck { name, cluster, faults: vec![text], ..DeviceCheck::default() }
    })
}

impl DeviceCheck {
    /// Whether it opened: then it is asked again, as the server asks it.
    pub fn is_open(&self) -> bool {
        self.pkcs11.is_some() || self.tpm.is_some()
    }

    fn token(&mut self, section: &Pkcs11) -> Result<(), HsmError> {
        self.helper = Some(section.runs_in_helper()?);
        self.sessions = section.sessions;
        let token = section.open()?;
        let report = token.token_report()?;
        report.iter().for_each(|report| self.judge_token(report));
        self.pkcs11 = report;
        self.keys(&*token)
    }

    fn judge_token(&mut self, report: &pkcs11::Report) {
        for (flag, what) in BAD_FLAGS {
            if report.flags.iter().any(|set| set == flag) {
                self.faults.push(format!("CKF_{flag}: {what}"));
            }
        }
        if report.flags.iter().any(|set| set == "USER_PIN_COUNT_LOW") {
            let text =
                "CKF_USER_PIN_COUNT_LOW: somebody has tried a wrong PIN since the last login";
            self.notes.push(text.into());
        }
        if let Err(why) = &report.wrap {
            self.faults.push(why.clone());
        }
        if let Some(enforcement) = &report.enforcement
            && !enforcement.is_enough()
        {
            let text = format!("it keeps too little: {}", enforcement.findings().join("; "));
            let list = if report.accept_weak_token { &mut self.notes } else { &mut self.faults };
            list.push(text);
        }
        match &report.enforcement {
            Some(enforcement) => {
                let untried = enforcement.untried.iter();
                self.notes
                    .extend(untried.map(|what| format!("not tried whether it keeps keys: {what}")));
            }
            None => {
                self.notes.push("whether it keeps keys was not tried: it takes its word".into())
            }
        }
        if report.profile.name == "generic" {
            let text = "nothing is known of this vendor: `profile` in the configuration names one";
            self.notes.push(text.into());
        }
        if let (Some(wanted), Some(max)) = (self.sessions, report.sessions.max)
            && wanted > max
        {
            self.notes.push(format!("sessions = {wanted} is configured; it allows {max}"));
        }
    }

    fn chip(&mut self, section: &Tpm) -> Result<(), HsmError> {
        let chip = TpmHsm::open(section.config()?)?;
        let report = chip.report()?;
        match &report.lockout {
            Ok(lockout) if lockout.locked => self.faults.push(lockout.to_string()),
            Ok(lockout) if lockout.counter > 0 => self.notes.push(lockout.to_string()),
            Ok(_) => {}
            Err(why) => self.faults.push(format!("its lockout: {why}")),
        }
        let bank = |bank: &String| bank.starts_with("sha256: ");
        if section.pcrs.is_some() && !report.pcr_banks.iter().any(bank) {
            self.faults.push("PCRs are configured, and its SHA-256 bank is not there".into());
        }
        self.notes.extend(report.advice.iter().cloned());
        self.tpm = Some(report);
        self.keys(&chip)
    }

    /// What any device tells.
    fn keys(&mut self, device: &dyn Hsm) -> Result<(), HsmError> {
        self.root_keys = device.root_keys()?.iter().map(ToString::to_string).collect();
        let (mut one, mut two) = ([0; 32], [0; 32]);
        device.random(&mut one)?;
        device.random(&mut two)?;
        if one == two || one == [0; 32] {
            self.faults.push("its random bytes repeat".into());
        }
        self.bare_us = Some(median(device)?);
        let Some(resident) = device.resident() else { return Ok(()) };
        self.resident_specs = resident.specs().iter().map(ToString::to_string).collect();
        self.resident_keys = resident.resident_keys()?.len();
        for broken in resident.broken()? {
            self.notes.push(format!("key {} cannot be used: {}", broken.id, broken.reason));
        }
        Ok(())
    }

    /// The same device as the server has it: it must open, and be the same.
    pub fn serve(&mut self, device: &dyn Hsm) {
        let asked = device.root_keys().and_then(|roots| Ok((roots, median(device)?)));
        match asked {
            Ok((roots, median)) => {
                self.served_us = Some(median);
                let roots: Vec<String> = roots.iter().map(ToString::to_string).collect();
                if roots != self.root_keys {
                    let found = roots.join(", ");
                    self.faults.push(format!("as the server opens it, it has other keys: {found}"));
                }
            }
            Err(error) => self.faults.push(format!("as the server opens it: {error}")),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "elapsed time is meant; no decision rests on a date")]
fn now() -> Instant {
    Instant::now()
}

fn median(device: &dyn Hsm) -> Result<f64, HsmError> {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = now();
        device.random(&mut [0; 32])?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let median = times.get(CALLS / 2).copied().unwrap_or_default();
    Ok(median.as_nanos() as f64 / 1000.0)
}
