//! The time that passes, for deadlines and back-offs. Not the time of day: that is the server's.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "elapsed time is meant; no decision rests on a date")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
