//! Curves as a picture: a chart below the other, what grows on a logarithmic axis.
use crate::Outcome;
use crate::curves::Curve;
use plotters::prelude::*;
use std::path::Path;

/// Pixels.
const WIDTH: u32 = 900;
const HEIGHT: u32 = 340;
/// Colours that differ for every kind of sight (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 122, 90), RGBColor(204, 121, 167)];

/// Writes all charts into one SVG file.
pub fn draw(file: &Path, curves: &[Curve]) -> Outcome<()> {
    let rows = u32::try_from(curves.len())?;
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT * rows)).into_drawing_area();
        root.fill(&WHITE).map_err(words)?;
        for (area, curve) in root.split_evenly((curves.len(), 1)).iter().zip(curves) {
            one(area, curve)?;
        }
        root.present().map_err(words)?;
    }
    Ok(std::fs::write(file, text)?)
}

/// The errors of a drawing borrow from it.
fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn one(area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, curve: &Curve) -> Outcome<()> {
    let points = || curve.lines.iter().flat_map(|line| &line.points);
    let xs = points().map(|(x, _)| *x as f64);
    let (left, right) = xs.fold((f64::MAX, 1.0), |(a, b), x| (f64::min(a, x), f64::max(b, x)));
    let top = points().map(|(_, measured)| measured.rate).fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(curve.title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .build_cartesian_2d((left..right * 1.05).log_scale(), 0.0..top)
        .map_err(words)?;
    chart
        .configure_mesh()
        .x_desc(curve.x)
        .y_desc("requests a second")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .light_line_style(WHITE)
        .draw()
        .map_err(words)?;
    for (line, colour) in curve.lines.iter().zip(COLOURS) {
        let points = line.points.iter().map(|(x, measured)| (*x as f64, measured.rate));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))
            .map_err(words)?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE)
        .draw()
        .map_err(words)?;
    Ok(())
}
