//! The figures as a picture that stands alone: a chart for each mechanism, a line for each device and
//! size, both axes logarithmic, the knee ringed. Written by hand: no library draws so little so plainly.
//! Its colours follow the reader's light or dark mode.
mod chart;
mod scale;

use super::mechanism::{Mechanism, size_words};
use super::report::Report;
use std::fmt::{self, Write as _};

/// Pixels.
const WIDTH: usize = 900;
const COLUMNS: usize = 2;
const CELL: (usize, usize) = (WIDTH / COLUMNS, 270);
const LINE: usize = 20;
const MARGIN: usize = 24;

/// Colours that differ for every kind of sight (Okabe and Ito, 2008), on white and on near black.
const COLOURS: [(&str, &str); 7] = [
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8a3d"),
    ("#007a5a", "#2cc79a"),
    ("#a8497d", "#e08cba"),
    ("#8a6d00", "#f0c419"),
    ("#4b4b4b", "#c8c8c8"),
    ("#5b3fd0", "#a99bff"),
];
/// The dashes of the first, the second and the third size.
const DASHES: [&str; 3] = ["", "6 4", "2 3"];

impl Report {
    /// The picture, as an SVG document.
    pub fn svg(&self) -> Result<String, fmt::Error> {
        let mut mechanisms: Vec<Mechanism> = Vec::new();
        for case in self.cases() {
            let drawn = self.devices.iter().filter_map(|device| device.case(case));
            let any = drawn.flat_map(|report| &report.points).any(|point| point.rate().is_some());
            if any && !mechanisms.contains(&case.mechanism) {
                mechanisms.push(case.mechanism);
            }
        }
        let legend = self.legend();
        let top = MARGIN + LINE * (3 + legend.len());
        let height = top + mechanisms.len().div_ceil(COLUMNS) * CELL.1 + MARGIN;
        let mut out = String::new();
        write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
             aria-labelledby=\"title description\">\n\
             <title id=\"title\">Calls a second of each device</title>\n\
             <desc id=\"description\">{}</desc>\n",
            escaped(&self.description())
        )?;
        style(&mut out)?;
        writeln!(out, "<rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>")?;
        let heading = "Calls a second by threads that call at once";
        text(&mut out, (MARGIN, MARGIN + 4), "heading", heading)?;
        text(&mut out, (MARGIN, MARGIN + 4 + LINE), "note", &self.note())?;
        for (row, (class, dash, words)) in legend.iter().enumerate() {
            let y = MARGIN + LINE * (row + 2);
            writeln!(
                out,
                "<line class=\"line {class}\" x1=\"{MARGIN}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" \
                 stroke-dasharray=\"{dash}\"/>",
                MARGIN + 28
            )?;
            text(&mut out, (MARGIN + 38, y + 4), "label", words)?;
        }
        for (n, mechanism) in mechanisms.into_iter().enumerate() {
            let (x, y) = (n % COLUMNS * CELL.0, top + n / COLUMNS * CELL.1);
            writeln!(out, "<g transform=\"translate({x} {y})\">")?;
            chart::draw(&mut out, self, mechanism)?;
            out.push_str("</g>\n");
        }
        out.push_str("</svg>\n");
        Ok(out)
    }

    /// Class, dashes and words of each line of the legend: devices, then sizes.
    fn legend(&self) -> Vec<(String, &'static str, String)> {
        let mut legend = Vec::new();
        for (n, device) in self.devices.iter().enumerate() {
            if device.cases.iter().any(|case| case.points.iter().any(|p| p.rate().is_some())) {
                let words = match &device.info {
                    Some(info) => format!("{}: {} {}", device.name, info.vendor, info.model),
                    None => device.name.clone(),
                };
                legend.push((colour(n), "", words));
            }
        }
        let sizes = self.sizes();
        if sizes.len() > 1 {
            for (n, size) in sizes.into_iter().enumerate() {
                legend.push(("plain".into(), dash(n), size_words(size)));
            }
        }
        legend
    }

    /// Every size, in the order of the plan.
    fn sizes(&self) -> Vec<usize> {
        let mut sizes = Vec::new();
        for size in self.cases().into_iter().filter_map(|case| case.size) {
            if !sizes.contains(&size) {
                sizes.push(size);
            }
        }
        sizes
    }

    fn note(&self) -> String {
        let warning = match (self.optimised, self.interrupted) {
            (false, _) => "; built without optimisation: the figures say little",
            (true, true) => "; interrupted",
            (true, false) => "",
        };
        let Self { program, cores, seconds, .. } = self;
        format!(
            "{program}, {cores} cores, {seconds} s for each point; a ring marks the knee: 95 % of \
             the best rate{warning}"
        )
    }

    fn description(&self) -> String {
        let names: Vec<&str> = self.devices.iter().map(|device| device.name.as_str()).collect();
        format!("Devices: {}. {}.", names.join(", "), self.note())
    }
}

fn colour(n: usize) -> String {
    format!("c{}", n % COLOURS.len())
}

fn dash(n: usize) -> &'static str {
    DASHES.get(n % DASHES.len()).copied().unwrap_or_default()
}

fn style(out: &mut String) -> fmt::Result {
    out.push_str(
        "<style>\n\
         text { font: 12px system-ui, sans-serif; fill: #1f2328; }\n\
         .heading { font-size: 17px; font-weight: 600; }\n\
         .name { font-size: 14px; font-weight: 600; }\n\
         .note, .tick { fill: #57606a; }\n\
         .tick { font-size: 11px; }\n\
         .ground { fill: #ffffff; }\n\
         .grid { stroke: #d8dee4; stroke-width: 1; }\n\
         .line { fill: none; stroke-width: 2; stroke-linejoin: round; }\n\
         .knee { fill: #ffffff; stroke-width: 2; }\n\
         .plain { stroke: #57606a; }\n",
    );
    for (n, (light, _)) in COLOURS.iter().enumerate() {
        writeln!(out, ".c{n} {{ stroke: {light}; }} .dot.c{n} {{ fill: {light}; }}")?;
    }
    out.push_str(
        "@media (prefers-color-scheme: dark) {\n\
         text { fill: #e6edf3; }\n\
         .note, .tick { fill: #9aa4af; }\n\
         .ground, .knee { fill: #14181d; }\n\
         .grid { stroke: #30363d; }\n\
         .plain { stroke: #9aa4af; }\n",
    );
    for (n, (_, dark)) in COLOURS.iter().enumerate() {
        writeln!(out, ".c{n} {{ stroke: {dark}; }} .dot.c{n} {{ fill: {dark}; }}")?;
    }
    out.push_str("}\n</style>\n");
    Ok(())
}

fn text(out: &mut String, (x, y): (usize, usize), class: &str, words: &str) -> fmt::Result {
    writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(words))
}

/// As XML takes it (XML 1.0, 2.2 and 2.4): devices may call themselves anything.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
