//! How each device behaves, as its guard and the supervisor of its helper process have seen it. The label
//! is its name in the configuration.
use claviger_hsm::{Circuit, DeviceHealth};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Device {
    device: String,
}

#[derive(Debug, Default)]
pub(super) struct Devices {
    circuit: Family<Device, Gauge>,
    in_flight: Family<Device, Gauge>,
    queued: Family<Device, Gauge>,
    hanging: Family<Device, Gauge>,
    timeouts: Family<Device, Counter>,
    refused: Family<Device, Counter>,
    helper_up: Family<Device, Gauge>,
    helper_starts: Family<Device, Counter>,
}

impl Devices {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let all = Self::default();
        let gauges = [
            (
                "device_circuit",
                "0: calls go to the device; 1: it has failed, and a probe is in it; 2: it has failed, \
                 and is left alone",
                &all.circuit,
            ),
            ("device_calls_in_flight", "Calls in the device", &all.in_flight),
            ("device_calls_queued", "Calls that wait for the device", &all.queued),
            ("device_calls_hanging", "Calls that never came back from the device", &all.hanging),
            ("device_helper_up", "Whether the helper process of the device runs", &all.helper_up),
        ];
        for (name, help, family) in gauges {
            registry.register(name, help, family.clone());
        }
        let counters = [
            ("device_timeouts", "Calls that the device did not end in time", &all.timeouts),
            (
                "device_refusals",
                "Calls that failed at once: circuit open, queue full, no thread left",
                &all.refused,
            ),
            ("device_helper_starts", "Helper processes that opened the device", &all.helper_starts),
        ];
        for (name, help, family) in counters {
            registry.register(name, help, family.clone());
        }
        all
    }

    pub(super) fn set(&self, name: &str, health: &DeviceHealth) {
        let device = Device { device: name.to_owned() };
        let gauge = |family: &Family<Device, Gauge>, n: usize| {
            family.get_or_create(&device).set(i64::try_from(n).unwrap_or(i64::MAX));
        };
        // Counted where it happens, since the device was opened, which is once.
        let counter = |family: &Family<Device, Counter>, n: u64| {
            family.get_or_create(&device).inner().store(n, Ordering::Relaxed);
        };
        if let Some(guard) = &health.guard {
            let circuit = match guard.circuit {
                Circuit::Closed => 0,
                Circuit::HalfOpen => 1,
                Circuit::Open => 2,
            };
            gauge(&self.circuit, circuit);
            gauge(&self.in_flight, guard.in_flight);
            gauge(&self.queued, guard.queued);
            gauge(&self.hanging, guard.hanging);
            counter(&self.timeouts, guard.timeouts);
            counter(&self.refused, guard.refused);
        }
        if let Some(helper) = &health.helper {
            gauge(&self.helper_up, usize::from(helper.pid.is_some()));
            counter(&self.helper_starts, helper.starts);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::monitor::Metrics;
    use claviger_hsm::{Circuit, DeviceHealth, GuardStatus, HelperStatus};

    fn health(circuit: Circuit, timeouts: u64) -> DeviceHealth {
        let guard = GuardStatus {
            circuit,
            for_seconds: 1,
            in_flight: 2,
            queued: 3,
            hanging: 4,
            timeouts,
            refused: 6,
            last_error: Some("secret words".into()),
        };
        let helper = HelperStatus { pid: None, starts: 7, last_end: Some("secret words".into()) };
        DeviceHealth { guard: Some(guard), helper: Some(helper) }
    }

    #[test]
    fn each_device_has_its_figures_and_they_follow_it() {
        let metrics = Metrics::default();
        metrics.device("a", &health(Circuit::Open, 5));
        metrics.device("b", &health(Circuit::HalfOpen, 5));
        let page = metrics.text();
        for line in [
            "claviger_device_circuit{device=\"a\"} 2",
            "claviger_device_circuit{device=\"b\"} 1",
            "claviger_device_calls_in_flight{device=\"a\"} 2",
            "claviger_device_calls_queued{device=\"a\"} 3",
            "claviger_device_calls_hanging{device=\"a\"} 4",
            "claviger_device_timeouts_total{device=\"a\"} 5",
            "claviger_device_refusals_total{device=\"a\"} 6",
            "claviger_device_helper_up{device=\"a\"} 0",
            "claviger_device_helper_starts_total{device=\"a\"} 7",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}: {page}");
        }
        assert!(!page.contains("secret words"), "{page}");
        metrics.device("a", &health(Circuit::Closed, 9));
        let page = metrics.text();
        assert!(page.contains("claviger_device_circuit{device=\"a\"} 0"), "{page}");
        assert!(page.contains("claviger_device_timeouts_total{device=\"a\"} 9"), "{page}");
    }

    #[test]
    fn a_device_without_a_helper_has_no_figures_of_one() {
        let metrics = Metrics::default();
        metrics.device("a", &DeviceHealth { helper: None, ..health(Circuit::Closed, 0) });
        let page = metrics.text();
        assert!(page.contains("claviger_device_circuit"), "{page}");
        assert!(!page.contains("claviger_device_helper_up{"), "{page}");
    }
}
