//! How long something takes, for tests of deadlines.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub const MS: Duration = Duration::from_millis(1);
/// However busy the machine is, what is not held up by a device has ended by then; what hangs in
/// these tests hangs for longer.
pub const SOON: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "elapsed time is what is tested")]
pub fn now() -> Instant {
    Instant::now()
}

pub fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    (call(), start.elapsed())
}

/// Waits until something is so; a test that waits for ever would say nothing.
pub fn wait_until(what: &str, is: impl Fn() -> bool) -> Duration {
    let start = now();
    while !is() {
        assert!(start.elapsed() < 2 * SOON, "waited in vain until {what}");
        thread::sleep(MS);
    }
    start.elapsed()
}

/// Says to the threads of a test that they may end, even if the test fails before it says so.
pub struct Stop<'a>(pub &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
