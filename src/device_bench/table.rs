//! The figures for a terminal: devices side by side, a row for each number of threads.
use super::mechanism::Case;
use super::report::{DeviceReport, Point, Report};
use std::collections::BTreeSet;
use std::fmt;

/// Wide enough for every figure.
const FIRST: usize = 26;
const COLUMN: usize = 36;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, cores, seconds, .. } = self;
        writeln!(f, "{program}, {cores} cores, {seconds} s for each figure")?;
        if !self.optimised {
            writeln!(f, "built without optimisation: the figures say little")?;
        }
        if self.interrupted {
            writeln!(f, "interrupted: what is missing was not measured")?;
        }
        for device in &self.devices {
            let what = match (&device.info, &device.fault) {
                (_, Some(fault)) => format!("not measured: {fault}"),
                (Some(info), None) => {
                    let kind = if info.hardware { "says it is hardware" } else { "software" };
                    format!("{} {}, {kind}", info.vendor, info.model)
                }
                (None, None) => String::new(),
            };
            writeln!(f, "{:FIRST$}{what}", device.name)?;
        }
        let shown: Vec<&DeviceReport> =
            self.devices.iter().filter(|device| device.fault.is_none()).collect();
        writeln!(f, "\n{:FIRST$}{}", "", columns(&shown, |device| device.name.clone()))?;
        let heads = |_: &DeviceReport| format!("{:>10} {:>10} {:>10}", "ops/s", "p50 µs", "p99 µs");
        writeln!(f, "{:FIRST$}{}", "threads (* the knee)", columns(&shown, heads))?;
        for case in self.cases() {
            rows(f, case, &shown)?;
        }
        Ok(())
    }
}

fn columns(devices: &[&DeviceReport], cell: impl Fn(&DeviceReport) -> String) -> String {
    let cells: String = devices.iter().map(|device| format!("{:<COLUMN$}", cell(device))).collect();
    cells.trim_end().to_owned()
}

fn rows(f: &mut fmt::Formatter<'_>, case: Case, devices: &[&DeviceReport]) -> fmt::Result {
    let reports = || devices.iter().filter_map(|device| device.case(case));
    writeln!(f, "\n{case}")?;
    let points = reports().flat_map(|report| &report.points);
    let threads: BTreeSet<usize> = points.map(|point| point.threads).collect();
    for threads in threads {
        let cell = |device: &DeviceReport| {
            let report = device.case(case);
            let point = report
                .and_then(|report| report.points.iter().find(|point| point.threads == threads));
            let knee = report.and_then(|report| report.knee()) == Some(threads);
            point.map(|point| figures(point, knee)).unwrap_or_default()
        };
        writeln!(f, "{threads:>7}{:1$}{2}", "", FIRST - 7, columns(devices, cell))?;
    }
    // Too long for a column.
    for device in devices {
        let Some(report) = device.case(case) else { continue };
        let faults: BTreeSet<&String> =
            report.points.iter().filter_map(|point| point.measured.as_ref().err()).collect();
        for fault in report.fault.iter().chain(faults) {
            writeln!(f, "    {}: {fault}", device.name)?;
        }
    }
    Ok(())
}

fn figures(point: &Point, knee: bool) -> String {
    match &point.measured {
        Ok(figures) => format!(
            "{:>10} {:>10} {:>10}{}",
            number(figures.ops_per_s),
            number(figures.p50_us),
            number(figures.p99_us),
            if knee { " *" } else { "" }
        ),
        Err(_) => format!("{:>10}", "failed"),
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}
