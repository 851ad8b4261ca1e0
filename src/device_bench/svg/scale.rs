//! Logarithmic axes: where a value stands, and which values have a line.

/// A logarithmic axis from one value to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Values, both above 0, the second the greater.
    from: f64,
    to: f64,
    /// Where they stand, in pixels.
    start: f64,
    end: f64,
}

impl Scale {
    pub fn new((from, to): (f64, f64), (start, end): (f64, f64)) -> Self {
        Self { from, to, start, end }
    }

    /// Of whole decades that hold all values: one decade at least.
    pub fn decades(values: impl Iterator<Item = f64> + Clone, pixels: (f64, f64)) -> Self {
        let positive = || values.clone().filter(|value| *value > 0.0);
        let least = positive().reduce(f64::min).unwrap_or(1.0);
        let most = positive().reduce(f64::max).unwrap_or(least);
        let from = least.log10().floor();
        let to = most.log10().ceil().max(from + 1.0);
        Self::new((10_f64.powf(from), 10_f64.powf(to)), pixels)
    }

    pub fn at(&self, value: f64) -> f64 {
        let part = (value / self.from).log10() / (self.to / self.from).log10();
        self.start + part * (self.end - self.start)
    }

    /// The powers of ten on it.
    pub fn powers(&self) -> Vec<f64> {
        let first = self.from.log10().round() as i32;
        let last = self.to.log10().round() as i32;
        (first..=last).map(|power| 10_f64.powi(power)).collect()
    }
}

/// `0.1`, `1`, `10`, `1k`, `100k`, `1M`.
pub(super) fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", trimmed(v / 1e6)),
        v if v >= 1e3 => format!("{}k", trimmed(v / 1e3)),
        v => trimmed(v),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_all_values_on_whole_decades() {
        let scale = Scale::decades([70.0, 12_000.0].into_iter(), (100.0, 0.0));
        assert_eq!(scale.powers(), [10.0, 100.0, 1000.0, 10_000.0, 100_000.0]);
        assert!((scale.at(10.0) - 100.0).abs() < 1e-9 && scale.at(100_000.0).abs() < 1e-9);
        assert!((scale.at(1000.0) - 50.0).abs() < 1e-9);
        // One value, a power of ten, nothing at all.
        for values in [vec![5.0], vec![10.0], vec![0.02, 0.02], vec![0.0], Vec::new()] {
            let scale = Scale::decades(values.iter().copied(), (0.0, 1.0));
            assert_eq!(scale.powers().len(), 2, "{values:?}");
            let inside = |value: &f64| (-1e-9..=1.0 + 1e-9).contains(&scale.at(*value));
            assert!(values.iter().filter(|value| **value > 0.0).all(inside), "{values:?}");
        }
    }

    #[test]
    fn numbers_are_short() {
        let shorts = [0.1, 1.0, 10.0, 1e3, 1e5, 1e6, 2.5e7].map(short);
        assert_eq!(shorts, ["0.1", "1", "10", "1k", "100k", "1M", "25M"]);
    }
}
