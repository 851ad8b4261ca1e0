//! Metrics, in the form that Prometheus reads. Labels are services, operations, codes and devices of the
//! configuration: never a principal, an ARN or anything else that a client chooses.
mod devices;

use claviger_hsm::DeviceHealth;
use devices::Devices;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    service: &'static str,
    operation: &'static str,
    /// `OK`, or AWS's name of the error.
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Service {
    service: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

/// From 100 ms to about an hour, doubling.
fn rotation_durations() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.1, 2.0, 16))
}

/// From 100 µs to about 1.6 s, doubling.
fn durations() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.0001, 2.0, 15))
}

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Service, Histogram, fn() -> Histogram>,
    connections_open: Gauge,
    connections_refused: Gauge,
    connections_timed_out: Gauge,
    rotations_started: Counter,
    rotations_ended: Family<Ended, Counter>,
    rotation_durations: Histogram,
    rotations_overdue: Gauge,
    devices_away: Gauge,
    store_knowledge: Gauge<f64, AtomicU64>,
    store_verified: Gauge,
    devices: Devices,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("claviger");
        let requests = Family::default();
        registry.register("requests", "API requests by outcome", requests.clone());
        let durations = Family::new_with_constructor(durations as fn() -> Histogram);
        let help = "Time from the whole request to the answer, in seconds";
        registry.register("request_duration_seconds", help, durations.clone());
        let connections_open = Gauge::default();
        registry.register("connections_open", "Open connections", connections_open.clone());
        let connections_refused = Gauge::default();
        let help = "Connections refused since the start: above the cap";
        registry.register("connections_refused", help, connections_refused.clone());
        let connections_timed_out = Gauge::default();
        let help = "Connections cut at a deadline since the start";
        registry.register("connections_timed_out", help, connections_timed_out.clone());
        let rotations_started = Counter::default();
        let help = "Rotations of secrets that began";
        registry.register("rotations_started", help, rotations_started.clone());
        let rotations_ended = Family::default();
        let help = "Rotations of secrets that ended, by outcome";
        registry.register("rotations_ended", help, rotations_ended.clone());
        let rotation_durations = rotation_durations();
        let help = "Time from the beginning of a rotation to its end, in seconds";
        registry.register("rotation_duration_seconds", help, rotation_durations.clone());
        let rotations_overdue = Gauge::default();
        let help = "Secrets that were not rotated in their last window";
        registry.register("rotation_overdue", help, rotations_overdue.clone());
        let devices_away = Gauge::default();
        let help =
            "Devices of the configuration that could not be used when they were last looked at";
        registry.register("devices_away", help, devices_away.clone());
        let store_knowledge = Gauge::<f64, AtomicU64>::default();
        let help = "Age of what is known of other nodes' changes, in seconds; 0 for a single node";
        registry.register("store_knowledge_seconds", help, store_knowledge.clone());
        let store_verified = Gauge::default();
        let help = "Whether the store's rows have been compared with what it says of itself";
        registry.register("store_verified", help, store_verified.clone());
        let devices = Devices::registered(&mut registry);
        let build: Family<Vec<(&str, &str)>, Gauge> = Family::default();
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("build_info", "The version that runs", build);
        Self {
            registry,
            requests,
            durations,
            connections_open,
            connections_refused,
            connections_timed_out,
            rotations_started,
            rotations_ended,
            rotation_durations,
            rotations_overdue,
            devices_away,
            store_knowledge,
            store_verified,
            devices,
        }
    }
}

impl Metrics {
    /// Counts one request. `code` is none for a success.
    pub fn request(
        &self,
        service: &'static str,
        operation: &'static str,
        code: Option<&'static str>,
        took: Duration,
    ) {
        let code = code.unwrap_or("OK");
        self.requests.get_or_create(&Request { service, operation, code }).inc();
        self.durations.get_or_create(&Service { service }).observe(took.as_secs_f64());
    }

    pub fn connections(&self, open: u64, refused: u64, timed_out: u64) {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.connections_open.set(signed(open));
        self.connections_refused.set(signed(refused));
        self.connections_timed_out.set(signed(timed_out));
    }

    /// How old the store's knowledge of other nodes' changes is, and whether its rows were verified.
    pub fn store(&self, age: Duration, verified: bool) {
        self.store_knowledge.set(age.as_secs_f64());
        self.store_verified.set(i64::from(verified));
    }

    pub fn rotation_started(&self) {
        self.rotations_started.inc();
    }

    pub fn rotation_ended(&self, outcome: &'static str, took: Duration) {
        self.rotations_ended.get_or_create(&Ended { outcome }).inc();
        self.rotation_durations.observe(took.as_secs_f64());
    }

    pub fn devices_away(&self, devices: usize) {
        self.devices_away.set(i64::try_from(devices).unwrap_or(i64::MAX));
    }

    /// How a device, by its name in the configuration, behaves now.
    pub fn device(&self, name: &str, health: &DeviceHealth) {
        self.devices.set(name, health);
    }

    /// How many secrets were not rotated when it was their time.
    pub fn rotations_overdue(&self, secrets: usize) {
        self.rotations_overdue.set(i64::try_from(secrets).unwrap_or(i64::MAX));
    }

    /// The page that a scraper gets.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
