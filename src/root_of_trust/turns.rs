//! Turns at the devices for requests that take randomness from them. A device that hangs must not keep
//! the threads on which the store reads and commits: a few threads wait for it, a bounded number of
//! requests wait for those, and one more is told at once.
use claviger_hsm::HsmError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Calls in the devices at once: as many as a guard has threads for one. More would only wait there.
const THREADS: usize = 16;
/// Those, and the requests that wait for one of them.
const PLACES: usize = 256;
/// How long one waits: longer than a guard gives any device's call, so that those who wait see what
/// becomes of those before them.
const PATIENCE: Duration = Duration::from_secs(35);

#[derive(Debug)]
pub(super) struct Turns {
    threads: Arc<Semaphore>,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Turns {
    fn default() -> Self {
        Self::new(PATIENCE)
    }
}

impl Turns {
    fn new(patience: Duration) -> Self {
        let [threads, places] = [THREADS, PLACES].map(|n| Arc::new(Semaphore::new(n)));
        Self { threads, places, patience }
    }

    /// Does the work on a thread that may block. A caller that goes away leaves its turn to the work.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HsmError> + Send + 'static,
    ) -> Result<T, HsmError> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            let text = format!("{PLACES} requests wait for the devices already");
            return Err(HsmError::Unavailable(text));
        };
        let turn = tokio::time::timeout(self.patience, self.threads.clone().acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            let seconds = self.patience.as_secs_f64();
            let text = format!("{THREADS} calls were in the devices for {seconds:.1} s");
            return Err(HsmError::Unavailable(text));
        };
        let work = move || {
            let outcome = work();
            drop((turn, place));
            outcome
        };
        let ended = |_| HsmError::Unavailable("the device call did not end".into());
        tokio::task::spawn_blocking(work).await.map_err(ended)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};
    use tokio::task::JoinSet;

    /// A runtime with barely more threads that may block than the turns.
    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).max_blocking_threads(THREADS + 1).enable_all();
        runtime.build().unwrap().block_on(test);
    }

    /// Until the other end is dropped.
    fn hang(released: &Mutex<Receiver<()>>) -> Result<(), HsmError> {
        assert!(released.lock().unwrap().recv().is_err());
        Ok(())
    }

    #[test]
    fn a_device_that_hangs_keeps_a_few_threads_and_the_rest_are_told_at_once() {
        run(async {
            let turns = Arc::new(Turns::new(Duration::from_secs(3600)));
            let (release, released) = channel::<()>();
            let released = Arc::new(Mutex::new(released));
            let mut calls = JoinSet::new();
            for _ in 0..3 * PLACES {
                let (turns, released) = (turns.clone(), released.clone());
                calls.spawn(async move { turns.run(move || hang(&released)).await });
            }
            // Two thirds are refused while the device hangs …
            for _ in 0..2 * PLACES {
                let why = calls.join_next().await.unwrap().unwrap().unwrap_err();
                assert!(
                    matches!(&why, HsmError::Unavailable(text) if text.contains("256")),
                    "{why}"
                );
            }
            // … and there is a thread for others.
            assert_eq!(tokio::task::spawn_blocking(|| 7).await.unwrap(), 7);
            drop(release);
            let mut done = 0;
            while let Some(outcome) = calls.join_next().await {
                outcome.unwrap().unwrap();
                done += 1;
            }
            assert_eq!(done, PLACES, "who waited has had its turn");
            assert_eq!(turns.places.available_permits(), PLACES);
            assert_eq!(turns.threads.available_permits(), THREADS);
        });
    }

    #[test]
    fn who_waits_for_a_turn_too_long_is_told_and_holds_no_place() {
        run(async {
            let turns = Arc::new(Turns::new(Duration::from_millis(20)));
            let (release, released) = channel::<()>();
            let released = Arc::new(Mutex::new(released));
            let mut calls = JoinSet::new();
            for _ in 0..THREADS {
                let (turns, released) = (turns.clone(), released.clone());
                calls.spawn(async move { turns.run(move || hang(&released)).await });
            }
            while turns.threads.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            let why = turns.run(|| Ok(())).await.unwrap_err();
            assert!(why.to_string().contains("16 calls were in the devices"), "{why}");
            assert_eq!(turns.places.available_permits(), PLACES - THREADS);
            // A caller that goes away does not give back the turn of a call that hangs.
            calls.abort_all();
            while calls.join_next().await.is_some() {}
            assert_eq!(turns.threads.available_permits(), 0);
            drop(release);
            while turns.threads.available_permits() < THREADS {
                tokio::task::yield_now().await;
            }
            turns.run(|| Ok(())).await.unwrap();
        });
    }

    #[test]
    fn a_panic_gives_its_turn_back() {
        run(async {
            let turns = Turns::default();
            for _ in 0..2 * PLACES {
                let outcome: Result<(), HsmError> = turns.run(|| panic!("of this test")).await;
                assert!(outcome.is_err());
            }
            assert_eq!(turns.run(|| Ok(7)).await, Ok(7));
        });
    }
}
