//! Latencies counted by buckets whose width is a 64th of their value: whatever the number of calls, the
//! same memory, and percentiles that are right to 1.6 %.
use std::time::Duration;

/// Buckets for each doubling.
const PARTS: u64 = 64;
const PART_BITS: u32 = PARTS.trailing_zeros();
/// Up to the longest time that 64 bits of nanoseconds hold.
const BUCKETS: usize = (64 - PART_BITS as usize + 1) * PARTS as usize;

#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, longest: 0 }
    }
}

/// Values below 64 have a bucket each; then every doubling has 64.
fn bucket(nanos: u64) -> usize {
    let doubling = (u64::BITS - nanos.leading_zeros()).saturating_sub(PART_BITS + 1);
    let part = nanos >> doubling;
    // part < 128, and from 64 on in every doubling but the first.
    usize::try_from(u64::from(doubling) * PARTS + part).unwrap_or(BUCKETS - 1)
}

/// The greatest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doubling = (bucket / PARTS).saturating_sub(1);
    let part = bucket - doubling * PARTS;
    let above = (u128::from(part) + 1) << doubling;
    u64::try_from(above - 1).unwrap_or(u64::MAX)
}

impl Histogram {
    pub fn add(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
        }
        self.count += 1;
        self.longest = self.longest.max(nanos);
    }

    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// The least time, as exactly as the buckets have it, that this part of the calls did not exceed.
    pub fn percentile(&self, percent: u64) -> Duration {
        let wanted = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper(bucket).min(self.longest));
            }
        }
        self.longest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_bucket_and_buckets_are_narrow() {
        let mut values: Vec<u64> = (0..5000).collect();
        for shift in 12..64 {
            for step in [0, 1, 0x1234_5678, u64::MAX >> 1] {
                values.push((1_u64 << shift).saturating_add(step & ((1 << shift) - 1)));
            }
        }
        values.push(u64::MAX);
        for value in values {
            let bucket = bucket(value);
            assert!(bucket < BUCKETS, "{value}");
            assert!(upper(bucket) >= value, "{value}");
            assert!(bucket == 0 || upper(bucket - 1) < value, "{value}");
            assert!(upper(bucket) - value <= value / 64, "{value}: {}", upper(bucket));
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let mut histogram = Histogram::default();
        let mut x = 1_u64;
        let mut all: Vec<u64> = (0..10_001)
            .map(|_| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                x >> (x >> 59) >> 20
            })
            .collect();
        all.iter().for_each(|nanos| histogram.add(Duration::from_nanos(*nanos)));
        all.sort_unstable();
        for (percent, at) in [(1, 100), (50, 5000), (99, 9900), (100, 10_000)] {
            let (wanted, found) = (all[at], histogram.percentile(percent).as_nanos() as u64);
            assert!(
                found >= wanted && found - wanted <= wanted / 64,
                "{percent}: {wanted} {found}"
            );
        }
        assert_eq!(histogram.longest().as_nanos() as u64, all[10_000]);
    }

    #[test]
    fn two_merged_are_as_one() {
        let of = |times: &[u64]| {
            let mut histogram = Histogram::default();
            times.iter().for_each(|nanos| histogram.add(Duration::from_nanos(*nanos)));
            histogram
        };
        let mut merged = of(&[1, 5, 70_000]);
        merged.merge(&of(&[9_000_000]));
        let together = of(&[1, 5, 70_000, 9_000_000]);
        assert_eq!((merged.count(), merged.longest()), (4, together.longest()));
        assert_eq!(merged.percentile(50), together.percentile(50));
        assert_eq!(Histogram::default().percentile(50), Duration::ZERO);
    }
}
