//! Timing by hand: batches of some milliseconds, the fastest and the median batch.
use std::hint::black_box;
use std::time::{Duration, Instant};

const BATCHES: usize = 41;
const BATCH: Duration = Duration::from_millis(8);

#[expect(clippy::disallowed_methods, reason = "elapsed time is what a benchmark measures")]
pub fn now() -> Instant {
    Instant::now()
}

/// Runs `work` often and prints what one run costs.
pub fn time<T>(name: &str, mut work: impl FnMut() -> T) {
    let mut count = 1_u32;
    while batch(count, &mut work) < BATCH {
        count = count.saturating_mul(2);
    }
    let mut nanos: Vec<u128> =
        (0..BATCHES).map(|_| batch(count, &mut work).as_nanos() / u128::from(count)).collect();
    nanos.sort_unstable();
    let (min, median) = (nanos.first(), nanos.get(BATCHES / 2));
    println!("| {name} | {} | {} |", min.unwrap_or(&0), median.unwrap_or(&0));
}

fn batch<T>(count: u32, work: &mut impl FnMut() -> T) -> Duration {
    let began = now();
    for _ in 0..count {
        black_box(work());
    }
    began.elapsed()
}
