//! GetHealthStatus: whether what a request needs works, tried out and not older than a few seconds.
//!
//! A device takes as long as it takes, and KMS gives up after 250 ms. So what was found out is kept for a
//! while, and one probe of a device at a time is under way.
use super::gate::{Gate, now};
use super::job::Context;
use super::stores::ExternalKey;
use super::{SOURCE, XksError, target};
use crate::call::{Call, Unmodelled};
use crate::devices::Device;
use crate::external::{FleetMember, HealthAnswer};
use crate::keys::KeyError;
use crate::types::Arn;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a finding counts; the protocol allows a minute.
const FRESH: Duration = Duration::from_secs(10);
/// For as long an old one stands in while a new one is made.
const STALE: Duration = Duration::from_secs(50);
/// What a request of health waits for devices.
const WAIT: Duration = Duration::from_millis(120);
/// A device that takes longer serves, but not well.
const SLOW: Duration = Duration::from_millis(100);
/// The protocol's limit of members.
const MOST_MEMBERS: usize = 10;

const VENDOR: &str = "claviger";
const MODEL: &str = concat!("claviger ", env!("CARGO_PKG_VERSION"));

/// The worse, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Active,
    Degraded,
    Unavailable,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Degraded => "DEGRADED",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// What the keys of a store depend on: the store of this deployment, and the devices that some live in.
#[derive(Debug)]
pub(super) struct Fleet {
    keys: Vec<(Arn, Arc<Gate>)>,
    /// By the devices' names, as they were met.
    devices: Mutex<BTreeMap<String, Arc<Member>>>,
}

#[derive(Debug)]
struct Member {
    device: Device,
    found: Mutex<Option<(Instant, Status)>>,
    probing: AtomicBool,
}

impl Fleet {
    pub(super) fn of<'k>(keys: impl Iterator<Item = &'k ExternalKey>) -> Self {
        let keys = keys.map(|key| (key.target.0.clone(), Arc::clone(&key.gate))).collect();
        Self { keys, devices: Mutex::default() }
    }

    /// The members, and who made the key manager.
    async fn members(&self, call: &mut Call<'_>) -> (Vec<FleetMember>, String) {
        let mut store = None;
        // With each device how slow its slowest key is.
        let mut devices: BTreeMap<String, (Arc<Member>, Status)> = BTreeMap::new();
        for (arn, gate) in &self.keys {
            let status = slower(Status::Active, gate);
            match device_of(call, arn).await {
                Ok(Some(device)) => {
                    let name = device.name.clone();
                    let met = devices.entry(name).or_insert_with(|| (self.member(device), status));
                    met.1 = met.1.max(status);
                }
                Ok(None) => store = store.max(Some(status)),
                Err(error) => {
                    tracing::error!(%error, "an XKS proxy's store cannot be read");
                    store = Some(Status::Unavailable);
                }
            }
        }
        let vendor = match (store, devices.values().next()) {
            (None, Some((one, _))) => one.device.hsm.info().vendor,
            _ => VENDOR.into(),
        };
        let mut members: Vec<FleetMember> =
            store.map(|status| member("store", MODEL.into(), status)).into_iter().collect();
        let until = now() + WAIT;
        for (name, (one, slowest)) in
            devices.into_iter().take(MOST_MEMBERS.saturating_sub(members.len()))
        {
            let status = one.status(until).await.max(slowest);
            let info = one.device.hsm.info();
            let firmware = info.firmware.map(|text| format!(" {text}")).unwrap_or_default();
            let model = format!("{} {}{firmware}", info.vendor, info.model);
            members.push(member(&name, model, status));
        }
        (members, vendor)
    }

    fn member(&self, device: Device) -> Arc<Member> {
        let mut all = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let member = all.entry(device.name.clone()).or_insert_with(|| {
            let (found, probing) = (Mutex::default(), AtomicBool::new(false));
            Arc::new(Member { device, found, probing })
        });
        Arc::clone(member)
    }
}

fn member(id: &str, model: String, status: Status) -> FleetMember {
    FleetMember { id: id.to_owned(), model, health_status: status.as_str().into() }
}

/// A gate where work takes long says what a probe does not show.
fn slower(status: Status, gate: &Gate) -> Status {
    match status {
        Status::Active if gate.average() > SLOW => Status::Degraded,
        status => status,
    }
}

/// The device that a key lives in, if it does. One that is not there, or whose key store has no device,
/// says nothing of the others.
async fn device_of(call: &mut Call<'_>, arn: &Arn) -> Result<Option<Device>, KeyError> {
    let Some(found) = target::found(call, arn).await? else { return Ok(None) };
    Ok(found.device(&call.server.devices).unwrap_or_default())
}

impl Member {
    async fn status(self: &Arc<Self>, until: Instant) -> Status {
        if let Some(status) = self.found_within(FRESH) {
            return status;
        }
        if !self.probing.swap(true, Ordering::SeqCst) {
            let member = Arc::clone(self);
            let probed = tokio::task::spawn_blocking(move || member.probe());
            if let Ok(Ok(status)) = tokio::time::timeout_at(until.into(), probed).await {
                return status;
            }
        }
        self.found_within(STALE).unwrap_or(Status::Unavailable)
    }

    fn found_within(&self, age: Duration) -> Option<Status> {
        let found = *self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.filter(|(at, _)| at.elapsed() <= age).map(|(_, status)| status)
    }

    /// Blocks.
    fn probe(&self) -> Status {
        let _ended = Ended(&self.probing);
        let began = now();
        let outcome = self.device.hsm.probe();
        let status = match &outcome {
            Ok(()) if self.device.hsm.resident().is_none() => Status::Unavailable,
            Ok(()) if began.elapsed() > SLOW => Status::Degraded,
            Ok(()) => Status::Active,
            Err(error) => {
                let device = &self.device.name;
                tracing::warn!(device, %error, "a device of an XKS proxy does not answer");
                Status::Unavailable
            }
        };
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((now(), status));
        status
    }
}

/// Says that a probe has ended, also one that broke off.
struct Ended<'p>(&'p AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

pub(super) struct GetHealthStatus<'a> {
    pub(super) context: Context<'a>,
}

impl Unmodelled for GetHealthStatus<'_> {
    type Answer = HealthAnswer;
    type Error = XksError;
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "GetHealthStatus";

    fn parameters(&self) -> Value {
        self.context.parameters()
    }

    async fn execute(&self, call: &mut Call<'_>) -> Result<(HealthAnswer, Value), XksError> {
        let (members, ekm_vendor) = self.context.store.fleet.members(call).await;
        if members.iter().all(|one| one.health_status == Status::Unavailable.as_str()) {
            return Err(XksError::Internal("nothing that the keys depend on works".into()));
        }
        let answer = HealthAnswer {
            xks_proxy_fleet_size: 1,
            xks_proxy_vendor: VENDOR.into(),
            xks_proxy_model: MODEL.into(),
            ekm_vendor,
            ekm_fleet_details: members,
        };
        let shown = serde_json::to_value(&answer).unwrap_or_default();
        Ok((answer, shown))
    }
}
