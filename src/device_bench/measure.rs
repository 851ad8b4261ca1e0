//! The same call by several threads at once, for some time.
use super::histogram::Histogram;
use super::report::Figures;
use super::work::Work;
use claviger_hsm::HsmError;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "elapsed time is meant; no decision rests on a date")]
fn now() -> Instant {
    Instant::now()
}

/// What one thread did.
struct Share {
    latencies: Histogram,
    took: Duration,
}

/// Each thread calls once without being measured, and at least once more. The first error ends it.
pub(super) fn measure(
    work: &Work<'_>,
    threads: usize,
    time: Duration,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Figures, HsmError> {
    let (ready, failed) = (Barrier::new(threads), AtomicBool::new(false));
    let one = || -> Result<Share, HsmError> {
        let warm = work.call();
        if warm.is_err() {
            failed.store(true, Ordering::Relaxed);
        }
        // Those that failed, too: the others wait for all.
        ready.wait();
        warm?;
        let mut latencies = Histogram::default();
        let began = now();
        loop {
            let called = now();
            work.call().inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            latencies.add(called.elapsed());
            let ended = failed.load(Ordering::Relaxed) || stop();
            if ended || began.elapsed() >= time {
                return Ok(Share { latencies, took: began.elapsed() });
            }
        }
    };
    let shares = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let ended = |share: thread::ScopedJoinHandle<'_, Result<Share, HsmError>>| {
            let panicked = || HsmError::Unavailable("the code of the device panicked".into());
            share.join().unwrap_or_else(|_| Err(panicked()))
        };
        running.into_iter().map(ended).collect::<Vec<_>>()
    });
    let (mut all, mut rate) = (Histogram::default(), 0.0);
    for share in shares {
        let share = share?;
        // Each by its own time: the threads do not end together.
        rate += share.latencies.count() as f64 / share.took.as_secs_f64().max(1e-9);
        all.merge(&share.latencies);
    }
    Ok(Figures {
        ops: all.count(),
        ops_per_s: rate,
        p50_us: micros(all.percentile(50)),
        p99_us: micros(all.percentile(99)),
        longest_us: micros(all.longest()),
    })
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    const SHORT: Duration = Duration::from_millis(60);

    #[test]
    fn threads_work_side_by_side() {
        let work = Work::new(|| {
            thread::sleep(Duration::from_millis(5));
            Ok(())
        });
        let one = measure(&work, 1, SHORT, &|| false).unwrap();
        let four = measure(&work, 4, SHORT, &|| false).unwrap();
        // A busy machine makes sleeps longer, never shorter.
        assert!(one.ops_per_s <= 200.0 && one.p50_us >= 5000.0, "{one:?}");
        assert!(four.ops > one.ops && four.ops_per_s <= 800.0, "{one:?} {four:?}");
        assert!(four.p50_us <= four.p99_us && four.p99_us <= four.longest_us * 1.02);
    }

    #[test]
    fn a_call_longer_than_the_time_is_measured_once() {
        let work = Work::new(|| {
            thread::sleep(SHORT);
            Ok(())
        });
        assert_eq!(measure(&work, 2, Duration::ZERO, &|| false).unwrap().ops, 2);
    }

    #[test]
    fn the_first_error_ends_it_for_all() {
        let calls = AtomicUsize::new(0);
        for fails_at in [0, 3, 40] {
            calls.store(0, Ordering::SeqCst);
            let work = Work::new(|| {
                thread::sleep(Duration::from_millis(1));
                match calls.fetch_add(1, Ordering::SeqCst) == fails_at {
                    true => Err(HsmError::Authentication),
                    false => Ok(()),
                }
            });
            let hour = Duration::from_secs(3600);
            assert_eq!(measure(&work, 3, hour, &|| false), Err(HsmError::Authentication));
            assert!(calls.load(Ordering::SeqCst) < fails_at + 10);
        }
    }

    #[test]
    fn a_stop_ends_it() {
        let work = Work::new(|| Ok(()));
        let hour = Duration::from_secs(3600);
        assert_eq!(measure(&work, 3, hour, &|| true).unwrap().ops, 3);
    }

    #[test]
    fn a_panic_is_an_error() {
        let work = Work::new(|| if thread::panicking() { Ok(()) } else { panic!("the device") });
        // It panics before the barrier, so one thread only: others would wait for it.
        assert!(measure(&work, 1, SHORT, &|| false).is_err());
    }
}
