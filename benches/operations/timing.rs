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

    /// Nanoseconds of the fastest batch.
    pub fn min(&self) -> u128 {
        self.nanos.iter().min().copied().unwrap_or_default()
    }

    /// Nanoseconds of the median batch.
    pub fn median(&self) -> u128 {
        let mut nanos = self.nanos.clone();
        nanos.sort_unstable();
        nanos.get(nanos.len() / 2).copied().unwrap_or_default()
    }
}

fn run<T>(count: u32, work: &mut impl FnMut() -> T) -> Duration {
    let began = now();
    for _ in 0..count {
        black_box(work());
    }
    began.elapsed()
}
