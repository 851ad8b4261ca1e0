//! The table of metrics in docs/operations.md names those that the server has, and no others.
use super::{code_spans, prose, read, root, section};
use claviger::monitor::Metrics;
use claviger_hsm::{Circuit, DeviceHealth, GuardStatus, HelperStatus};
use std::collections::BTreeSet;
use std::time::Duration;

/// Of a device that has all that a device can have.
fn device_health() -> DeviceHealth {
    let guard = GuardStatus {
        circuit: Circuit::Closed,
        for_seconds: 0,
        in_flight: 0,
        queued: 0,
        hanging: 0,
        timeouts: 0,
        refused: 0,
        last_error: None,
    };
    let helper = HelperStatus { pid: None, starts: 0, last_end: None };
    DeviceHealth { guard: Some(guard), helper: Some(helper) }
}

#[test]
fn the_metrics_are_those_of_the_server() {
    let metrics = Metrics::default();
    metrics.request("kms", "Encrypt", None, Duration::from_millis(1));
    metrics.rotation_ended("succeeded", Duration::from_millis(1));
    metrics.device("pkcs11", &device_health());
    let page = metrics.text();
    let text = read(&root().join("docs/operations.md"));
    let section = section(&text, "## Metrics");
    let prose = prose(section);
    let documented: BTreeSet<&str> = code_spans(&prose)
        .into_iter()
        .map(|span| span.split('{').next().unwrap_or_default())
        .filter(|span| span.starts_with("claviger_"))
        .collect();
    let served: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    // Counters are exposed with `_total`, which their type line lacks.
    let named: BTreeSet<&str> =
        documented.iter().map(|name| name.strip_suffix("_total").unwrap_or(name)).collect();
    assert_eq!(named, served);
}
