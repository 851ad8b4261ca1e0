//! One chart: a mechanism, every device, every size.
use super::super::mechanism::{Case, Mechanism, counted};
use super::super::report::{CaseReport, Report};
use super::scale::{Scale, short};
use super::{CELL, colour, dash, escaped};
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

/// Around the lines, in pixels: left, right, above, below.
const PLOT: (f64, f64, f64, f64) = (64.0, 28.0, 30.0, 44.0);
/// Between two numbers of threads, in pixels: nearer ones would run into each other.
const APART: f64 = 22.0;

/// A line of the chart.
struct Line<'a> {
    device: usize,
    /// Which of the sizes.
    size: usize,
    name: String,
    report: &'a CaseReport,
}

impl Line<'_> {
    /// Threads and calls a second, where there was no error.
    fn points(&self) -> Vec<(usize, f64)> {
        let points = self.report.points.iter();
        points.filter_map(|point| Some((point.threads, point.rate()?))).collect()
    }
}

pub(super) fn draw(out: &mut String, report: &Report, mechanism: Mechanism) -> fmt::Result {
    let lines = lines(report, mechanism);
    let all: Vec<(usize, f64)> = lines.iter().flat_map(Line::points).collect();
    let (left, right) = (PLOT.0, CELL.0 as f64 - PLOT.1);
    let (top, bottom) = (PLOT.2, CELL.1 as f64 - PLOT.3);
    let threads: BTreeSet<usize> = all.iter().map(|(threads, _)| *threads).collect();
    let least = threads.first().copied().unwrap_or(1) as f64;
    let most = threads.last().copied().unwrap_or(1) as f64;
    // A single number of threads stands at the left.
    let x = Scale::new((least, if most > least { most } else { least * 2.0 }), (left, right));
    let y = Scale::decades(all.iter().map(|(_, rate)| *rate), (bottom, top));
    writeln!(out, "<text class=\"name\" x=\"{left}\" y=\"18\">{mechanism}</text>")?;
    for power in y.powers() {
        let at = y.at(power);
        writeln!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left - 8.0,
            at + 4.0,
            short(power)
        )?;
    }
    let mut last = f64::NEG_INFINITY;
    for threads in threads {
        let at = x.at(threads as f64);
        if at - last < APART {
            continue;
        }
        last = at;
        writeln!(
            out,
            "<text class=\"tick\" text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{threads}</text>",
            bottom + 18.0
        )?;
    }
    let middle = (left + right) / 2.0;
    let below = bottom + 34.0;
    writeln!(
        out,
        "<text class=\"tick\" text-anchor=\"middle\" x=\"{middle:.1}\" y=\"{below:.1}\">threads\
         </text>"
    )?;
    lines.iter().try_for_each(|line| draw_line(out, line, x, y))
}

fn lines(report: &Report, mechanism: Mechanism) -> Vec<Line<'_>> {
    let sizes = report.sizes();
    let mut lines = Vec::new();
    for (n, device) in report.devices.iter().enumerate() {
        for report in device.cases.iter().filter(|report| report.case.mechanism == mechanism) {
            let Case { size, .. } = report.case;
            let size = sizes.iter().position(|other| Some(*other) == size).unwrap_or(0);
            let name = format!("{}, {}", device.name, report.case);
            lines.push(Line { device: n, size, name, report });
        }
    }
    lines
}

fn draw_line(out: &mut String, line: &Line<'_>, x: Scale, y: Scale) -> fmt::Result {
    let points = line.points();
    let at = |(threads, rate): &(usize, f64)| (x.at(*threads as f64), y.at(*rate));
    let path: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let colour = colour(line.device);
    writeln!(
        out,
        "<polyline class=\"line {colour}\" stroke-dasharray=\"{}\" points=\"{}\"/>",
        dash(line.size),
        path.join(" ")
    )?;
    let knee = line.report.knee();
    for point in &points {
        let (threads, rate) = *point;
        let ((x, y), is_knee) = (at(point), knee == Some(threads));
        let (class, radius) = if is_knee { ("knee", 5) } else { ("dot", 3) };
        let note = if is_knee { ", the knee" } else { "" };
        let name = escaped(&line.name);
        writeln!(
            out,
            "<circle class=\"{class} {colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\">\
             <title>{name}: {rate:.0} calls a second by {}{note}</title></circle>",
            counted(threads as u64, "thread")
        )?;
    }
    Ok(())
}
