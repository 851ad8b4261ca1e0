//! What is known of a device without asking it: what the guard before it has seen, and the process that
//! its library runs in. For `root status`, health pages and metrics.

use crate::guard::{Circuit, GuardStatus};
#[cfg(feature = "pkcs11")]
use crate::worker::HelperStatus;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a device has behaved so far. Nothing in it is secret; texts of errors name tokens and files, so
/// they are for operators only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceHealth {
    /// None of a device without a guard before it.
    pub guard: Option<GuardStatus>,
    /// None of a device in this process.
    #[cfg(feature = "pkcs11")]
    pub helper: Option<HelperStatus>,
}

impl DeviceHealth {
    /// What of it is wrong now, in words without the device's own texts; none if nothing is.
    pub fn complaint(&self) -> Option<String> {
        let mut all = Vec::new();
        if let Some(guard) = &self.guard {
            if guard.circuit != Circuit::Closed {
                all.push(format!("circuit {} for {} s", guard.circuit, guard.for_seconds));
            }
            if guard.hanging > 0 {
                all.push(format!("{} calls hang in it", guard.hanging));
            }
        }
        #[cfg(feature = "pkcs11")]
        if self.helper.as_ref().is_some_and(|helper| helper.pid.is_none()) {
            all.push("its helper process does not run".into());
        }
        (!all.is_empty()).then(|| all.join(", "))
    }
}

impl fmt::Display for DeviceHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(guard) = &self.guard {
            parts.push(format!(
                "circuit {} for {} s, {} calls in it, {} waiting, {} hanging; {} timed out and {} were \
                 refused since the start",
                guard.circuit,
                guard.for_seconds,
                guard.in_flight,
                guard.queued,
                guard.hanging,
                guard.timeouts,
                guard.refused
            ));
            parts.extend(guard.last_error.as_ref().map(|why| format!("last error: {why}")));
        }
        #[cfg(feature = "pkcs11")]
        if let Some(helper) = &self.helper {
            let runs = match helper.pid {
                Some(pid) => format!("helper process {pid}"),
                None => "no helper process runs".into(),
            };
            parts.push(format!("{runs}, {} started so far", helper.starts));
            parts.extend(helper.last_end.as_ref().map(|why| format!("the last one ended: {why}")));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(all(test, feature = "pkcs11"))]
mod tests {
    use super::*;

    fn guard(circuit: Circuit, hanging: usize) -> GuardStatus {
        GuardStatus {
            circuit,
            for_seconds: 7,
            in_flight: 1,
            queued: 2,
            hanging,
            timeouts: 4,
            refused: 5,
            last_error: Some("token \"a\" is away".into()),
        }
    }

    #[test]
    fn what_is_well_is_no_complaint_and_what_is_not_is_said_without_the_devices_words() {
        let mut health = DeviceHealth { guard: Some(guard(Circuit::Closed, 0)), helper: None };
        assert_eq!(health.complaint(), None);
        health.guard = Some(guard(Circuit::HalfOpen, 3));
        health.helper = Some(HelperStatus { pid: None, starts: 2, last_end: None });
        let said = health.complaint().unwrap();
        assert_eq!(
            said,
            "circuit half-open for 7 s, 3 calls hang in it, its helper process does not run"
        );
        let all = health.to_string();
        for part in ["half-open", "3 hanging", "4 timed out", "5 were refused", "\"a\" is away"] {
            assert!(all.contains(part), "{all}");
        }
        assert!(all.contains("no helper process runs, 2 started so far"), "{all}");
    }

    #[test]
    fn it_crosses_a_socket() {
        let helper = HelperStatus { pid: Some(9), starts: 1, last_end: Some("signal 11".into()) };
        let health = DeviceHealth { guard: Some(guard(Circuit::Open, 1)), helper: Some(helper) };
        let json = serde_json::to_value(&health).unwrap();
        assert_eq!(json["guard"]["circuit"], "open");
        assert_eq!(json["guard"]["lastError"], "token \"a\" is away");
        assert_eq!(json["helper"]["lastEnd"], "signal 11");
        assert_eq!(serde_json::from_value::<DeviceHealth>(json).unwrap(), health);
    }
}
