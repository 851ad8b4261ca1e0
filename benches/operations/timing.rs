//! Timing by hand: batches of some milliseconds, the fastest and the median batch.
use std::hint::black_box;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "elapsed time is what a benchmark measures")]
pub fn now() -> Instant {
    Instant::now()
}

/// How long one run of a piece of work took, batch by batch.
#[derive(Debug)]
pub struct Sampler {
    /// Runs in a batch.
    count: u32,
    nanos: Vec<u128>,
}

impl Sampler {
    /// Finds out how many runs fill a batch; this warms up as well.
    pub fn new<T>(batch: Duration, work: &mut impl FnMut() -> T) -> Self {
        let mut count = 1_u32;
        while run(count, work) < batch {
            count = count.saturating_mul(2);
        }
        Self { count, nanos: Vec::new() }
    }

    pub fn sample<T>(&mut self, work: &mut impl FnMut() -> T) {
        self.nanos.push(run(self.count, work).as_nanos() / u128::from(self.count));
    }

    /// Nanoseconds of a run in the fastest batch, and in the median one.
    pub fn min_and_median(&self) -> (u128, u128) {
        let mut nanos = self.nanos.clone();
        nanos.sort_unstable();
        let at = |index: usize| nanos.get(index).copied().unwrap_or_default();
        (at(0), at(nanos.len() / 2))
    }
}

fn run<T>(count: u32, work: &mut impl FnMut() -> T) -> Duration {
    let began = now();
    for _ in 0..count {
        black_box(work());
    }
    began.elapsed()
}
