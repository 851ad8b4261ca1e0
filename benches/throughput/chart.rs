//! Curves as a picture: a row for each, what grows on a logarithmic axis.
use crate::Outcome;
use crate::curves::Curve;
use crate::load::Measured;
use plotters::prelude::*;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// Pixels.
const WIDTH: u32 = 700;
const HEIGHT: u32 = 340;
/// Colours that differ for every kind of sight (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 122, 90), RGBColor(204, 121, 167)];

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
/// A name, and what is drawn of it.
type Line = (String, Vec<(f64, f64)>);

/// Writes all charts into one SVG file: of each curve the rates, and beside them the times.
pub fn draw(file: &Path, curves: &[Curve]) -> Outcome<()> {
    let rows = u32::try_from(curves.len())?;
    let mut text = String::new();
    {
        let size = (2 * WIDTH, HEIGHT * rows);
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE).map_err(words)?;
        for (area, curve) in root.split_evenly((curves.len(), 1)).iter().zip(curves) {
            let (left, right) = area.split_horizontally(WIDTH);
            rates(&left, curve)?;
            times(&right, curve)?;
        }
        root.present().map_err(words)?;
    }
    Ok(std::fs::write(file, text)?)
}

/// The errors of a drawing borrow from it.
fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn lines(curve: &Curve, of: impl Fn(&Measured) -> f64) -> Vec<Line> {
    let points = |points: &[(usize, Measured)]| {
        points.iter().map(|(x, measured)| (*x as f64, of(measured))).collect()
    };
    curve.lines.iter().map(|line| (line.name.clone(), points(&line.points))).collect()
}

fn highest(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|(_, points)| points).map(|(_, y)| *y).fold(1.0, f64::max)
}

/// What grows, from its first value to a little more than its last.
fn across(lines: &[Line]) -> Range<f64> {
    let xs = lines.iter().flat_map(|(_, points)| points).map(|(x, _)| *x);
    let (left, right) = xs.fold((f64::MAX, 1.0), |(a, b), x| (f64::min(a, x), f64::max(b, x)));
    left..right * 1.05
}

fn rates(area: &Area<'_>, curve: &Curve) -> Outcome<()> {
    let lines = lines(curve, |measured| measured.rate);
    let y = 0.0..highest(&lines) * 1.1;
    let mut chart = framed(area, curve.title)
        .build_cartesian_2d(across(&lines).log_scale(), y)
        .map_err(words)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(curve.x).y_desc("requests a second").light_line_style(WHITE);
    mesh.x_label_formatter(&|x| format!("{x:.0}")).y_label_formatter(&|y| format!("{y:.0}"));
    mesh.draw().map_err(words)?;
    for ((name, points), colour) in lines.into_iter().zip(COLOURS) {
        let drawn = LineSeries::new(points, colour.stroke_width(2)).point_size(3);
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2));
        chart.draw_series(drawn).map_err(words)?.label(name).legend(legend);
    }
    let mut labels = chart.configure_series_labels();
    labels.border_style(BLACK.mix(0.3)).background_style(WHITE).draw().map_err(words)?;
    Ok(())
}

/// The median of each line, and thinner its 99th percentile.
fn times(area: &Area<'_>, curve: &Curve) -> Outcome<()> {
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let medians = lines(curve, |measured| millis(measured.p50));
    let slowest = lines(curve, |measured| millis(measured.p99));
    let least = medians.iter().flat_map(|(_, points)| points).map(|(_, y)| *y);
    let y = (least.fold(1.0, f64::min) * 0.7..highest(&slowest) * 1.5).log_scale();
    let title = "Time of an answer: p50 thick, p99 thin";
    let mut chart =
        framed(area, title).build_cartesian_2d(across(&medians).log_scale(), y).map_err(words)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(curve.x).y_desc("ms").light_line_style(WHITE);
    mesh.x_label_formatter(&|x| format!("{x:.0}")).y_label_formatter(&|y| format!("{y}"));
    mesh.draw().map_err(words)?;
    for (width, lines) in [(2, medians), (1, slowest)] {
        for ((_, points), colour) in lines.into_iter().zip(COLOURS) {
            let drawn = LineSeries::new(points, colour.stroke_width(width)).point_size(width + 1);
            chart.draw_series(drawn).map_err(words)?;
        }
    }
    Ok(())
}

fn framed<'a, 'b>(area: &'a Area<'b>, title: &str) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart.caption(title, ("sans-serif", 18)).margin(14);
    chart.x_label_area_size(42).y_label_area_size(70);
    chart
}
