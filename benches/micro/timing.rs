//! Rows of the tables: what one run of something costs, alone or beside something else.
use crate::operations::{Bare, Sampler, now};
use std::time::Duration;

/// How thoroughly something is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub batches: usize,
    pub batch: Duration,
    /// No further batch begins after this: some work takes a second each time.
    pub longest: Duration,
}

impl Effort {
    pub const FULL: Self =
        Self { batches: 41, batch: Duration::from_millis(8), longest: Duration::from_secs(10) };
    pub const QUICK: Self =
        Self { batches: 9, batch: Duration::from_millis(2), longest: Duration::from_secs(2) };
}

/// Runs `work` often and prints what one run costs.
pub fn time<T>(name: &str, work: impl FnMut() -> T) {
    let (min, median) = measured(work);
    println!("| {name} | {min} | {median} |");
}

/// The same, beside what it may cost: the median counts.
pub fn time_within<T>(name: &str, bound_nanos: u128, work: impl FnMut() -> T) {
    let (min, median) = measured(work);
    let verdict = if median < bound_nanos { "ok" } else { "exceeds" };
    println!("| {name} (bound {bound_nanos}: {verdict}) | {min} | {median} |");
}

fn measured<T>(mut work: impl FnMut() -> T) -> (u128, u128) {
    let mut sampler = Sampler::new(Effort::FULL.batch, &mut work);
    for _ in 0..Effort::FULL.batches {
        sampler.sample(&mut work);
    }
    sampler.min_and_median()
}

/// Runs both in turns, so that what else the machine does hits both.
pub fn beside<T>(
    effort: Effort,
    mut work: impl FnMut() -> T,
    bare: Option<&Bare>,
) -> (Sampler, Option<Sampler>) {
    let mut bare = bare.map(|bare| move || bare.run());
    let mut whole = Sampler::new(effort.batch, &mut work);
    let mut alone = bare.as_mut().map(|bare| Sampler::new(effort.batch, bare));
    let began = now();
    for _ in 0..effort.batches {
        whole.sample(&mut work);
        if let (Some(alone), Some(bare)) = (&mut alone, &mut bare) {
            alone.sample(bare);
        }
        if began.elapsed() > effort.longest {
            break;
        }
    }
    (whole, alone)
}
