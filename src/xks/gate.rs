//! Places for work, and who is turned away: a request that cannot be done within its budget is refused
//! at once. Whoever asks gives up after 250 ms whatever we do, and work for nobody delays the others.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much one piece of work changes the average.
const WEIGHT: u64 = 8;
/// One that took longer counts as this: the average is to come down again within some calls.
const LONGEST_US: u64 = 1_000_000;

/// Places at the work with one key.
#[derive(Debug)]
pub(super) struct Gate {
    places: Arc<Semaphore>,
    size: u64,
    waiting: AtomicUsize,
    /// What a piece of work takes, in microseconds.
    average_us: Arc<AtomicU64>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shed {
    /// Those who wait already would make it too late.
    Busy,
    /// The budget ended in the queue.
    TooLate,
}

/// A place, given back when the work is done, be it after everybody has given up.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    began: Instant,
    average_us: Arc<AtomicU64>,
}

#[expect(clippy::disallowed_methods, reason = "elapsed time is meant; no decision rests on a date")]
pub(super) fn now() -> Instant {
    Instant::now()
}

impl Gate {
    pub(super) fn new(size: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(size)),
            size: size.max(1) as u64,
            waiting: AtomicUsize::new(0),
            average_us: Arc::default(),
        }
    }

    /// A place within `left`, or at once none.
    pub(super) async fn enter(&self, left: Duration) -> Result<Place, Shed> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(self.place(permit));
        }
        let queue = Queue::join(&self.waiting);
        if self.expected(queue.length) > left {
            return Err(Shed::Busy);
        }
        let acquired = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(left, acquired).await {
            Ok(Ok(permit)) => Ok(self.place(permit)),
            Ok(Err(_)) | Err(_) => Err(Shed::TooLate),
        }
    }

    /// The wait for a place and the work itself, with so many in the queue.
    fn expected(&self, waiting: usize) -> Duration {
        let average = self.average_us.load(Ordering::Relaxed);
        let rounds = (waiting as u64).div_ceil(self.size).saturating_add(1);
        Duration::from_micros(average.saturating_mul(rounds))
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        Place { _permit: permit, began: now(), average_us: Arc::clone(&self.average_us) }
    }

    /// Says that something at work has overrun its budget, before it ends: those who come next are not
    /// to wait for it.
    pub(super) fn overrun(&self, took: Duration) {
        note(&self.average_us, took);
    }

    pub(super) fn average(&self) -> Duration {
        Duration::from_micros(self.average_us.load(Ordering::Relaxed))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        note(&self.average_us, self.began.elapsed());
    }
}

fn note(average_us: &AtomicU64, took: Duration) {
    let took = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US).min(LONGEST_US);
    let mixed = |average: u64| {
        Some(match average {
            0 => took,
            average => (average * (WEIGHT - 1) + took) / WEIGHT,
        })
    };
    let _ = average_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, mixed);
}

/// One who waits; no longer, once dropped.
struct Queue<'g> {
    waiting: &'g AtomicUsize,
    /// With this one.
    length: usize,
}

impl<'g> Queue<'g> {
    fn join(waiting: &'g AtomicUsize) -> Self {
        Self { waiting, length: waiting.fetch_add(1, Ordering::SeqCst).saturating_add(1) }
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_millis(200);

    fn us(gate: &Gate, average: u64) {
        gate.average_us.store(average, Ordering::Relaxed);
    }

    #[tokio::test]
    async fn a_free_place_is_given_however_slow_the_last_ones_were() {
        let gate = Gate::new(2);
        us(&gate, LONGEST_US);
        let first = gate.enter(BUDGET).await.unwrap();
        let _second = gate.enter(BUDGET).await.unwrap();
        assert_eq!(gate.enter(BUDGET).await.unwrap_err(), Shed::Busy);
        drop(first);
        assert!(gate.enter(BUDGET).await.is_ok());
    }

    #[tokio::test]
    async fn who_would_be_too_late_is_told_at_once() {
        let gate = Arc::new(Gate::new(1));
        let place = gate.enter(BUDGET).await.unwrap();
        us(&gate, 60_000);
        // One at work, then one after the other: 60 ms each, so that two can wait.
        let wait = || {
            let gate = gate.clone();
            tokio::spawn(async move { gate.enter(BUDGET).await.map(drop) })
        };
        let (one, two) = (wait(), wait());
        tokio::time::sleep(Duration::from_millis(20)).await;
        let asked = now();
        assert_eq!(gate.enter(BUDGET).await.unwrap_err(), Shed::Busy);
        assert!(asked.elapsed() < Duration::from_millis(100));
        drop(place);
        assert!(one.await.unwrap().is_ok() && two.await.unwrap().is_ok());
        assert_eq!(gate.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn the_queue_ends_with_the_budget() {
        let gate = Gate::new(1);
        let _place = gate.enter(BUDGET).await.unwrap();
        let short = Duration::from_millis(30);
        assert_eq!(gate.enter(short).await.unwrap_err(), Shed::TooLate);
        // What hangs is noticed before it ends.
        for _ in 0..40 {
            gate.overrun(BUDGET);
        }
        assert!(gate.average() > Duration::from_millis(150), "{:?}", gate.average());
        assert_eq!(gate.enter(short).await.unwrap_err(), Shed::Busy);
    }
}
