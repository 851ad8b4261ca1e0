//! How often somebody may be wrong about a one-time code or a password, and which codes are used up. Six
//! digits are few: without an end to guessing, whoever has stolen an access key finds a code in a day.
//! Forgotten at a restart.
use super::Throttled;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A person mistypes twice; this many wrong ones in this time are a machine's.
const GUESSES: u32 = 5;
const SECONDS: i64 = 300;
/// So many users at once: above it, what ran out is thrown away.
const SWEEP_ABOVE: usize = 4096;

/// What is guessed. Whoever knows the one must not get more guesses at the other for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Secret {
    Code,
    Password,
}

#[derive(Debug, Default)]
pub struct Guesses(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    windows: HashMap<(Secret, String), Window>,
    /// By device.
    codes: HashMap<String, Code>,
}

#[derive(Debug)]
struct Window {
    began: i64,
    count: u32,
}

/// The last code of a device that was right.
#[derive(Debug)]
struct Code {
    step: i64,
    request: String,
    at: i64,
}

fn is_over(began: i64, now_secs: i64) -> bool {
    now_secs.saturating_sub(began) >= SECONDS
}

impl Guesses {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one guess of the user with this id before it is looked at, or refuses it unseen.
    pub fn count(&self, secret: Secret, user_id: &str, now_secs: i64) -> Result<(), Throttled> {
        let mut inner = self.inner();
        if inner.windows.len() > SWEEP_ABOVE {
            inner.windows.retain(|_, window| !is_over(window.began, now_secs));
        }
        let fresh = || Window { began: now_secs, count: 0 };
        let window = inner.windows.entry((secret, user_id.to_owned())).or_insert_with(fresh);
        if is_over(window.began, now_secs) {
            *window = fresh();
        }
        if window.count >= GUESSES {
            return Err(Throttled);
        }
        window.count += 1;
        Ok(())
    }

    /// The guess was right.
    pub fn forgive(&self, secret: Secret, user_id: &str) {
        self.inner().windows.remove(&(secret, user_id.to_owned()));
    }

    /// Uses up a device's right code of this step, whatever becomes of the request that brought it:
    /// false if another request had it, or a later one.
    pub fn use_up(&self, device: &str, step: i64, request: &str, now_secs: i64) -> bool {
        let mut inner = self.inner();
        if inner.codes.len() > SWEEP_ABOVE {
            // The device's own record knows the codes of calls that were done, and no code is good as
            // long as this.
            inner.codes.retain(|_, code| !is_over(code.at, now_secs));
        }
        let used = |code: &Code| code.step >= step && code.request != request;
        if inner.codes.get(device).is_some_and(used) {
            return false;
        }
        let code = Code { step, request: request.to_owned(), at: now_secs };
        inner.codes.insert(device.to_owned(), code);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_in_five_minutes_and_each_for_itself() {
        let guesses = Guesses::default();
        for _ in 0..GUESSES {
            guesses.count(Secret::Code, "ann", 1000).unwrap();
        }
        assert_eq!(guesses.count(Secret::Code, "ann", 1000 + SECONDS - 1), Err(Throttled));
        guesses.count(Secret::Code, "bob", 1000).unwrap();
        guesses.count(Secret::Password, "ann", 1000).unwrap();
        // Who is right about the one has no more guesses at the other.
        guesses.forgive(Secret::Password, "ann");
        assert_eq!(guesses.count(Secret::Code, "ann", 1000), Err(Throttled));
        guesses.count(Secret::Code, "ann", 1000 + SECONDS).unwrap();
    }

    #[test]
    fn whoever_is_right_starts_anew() {
        let guesses = Guesses::default();
        for _ in 0..3 * GUESSES {
            guesses.count(Secret::Code, "ann", 0).unwrap();
            guesses.forgive(Secret::Code, "ann");
        }
    }

    #[test]
    fn a_code_is_one_requests() {
        let guesses = Guesses::default();
        assert!(guesses.use_up("phone", 7, "a", 0));
        // A conflict makes it run again.
        assert!(guesses.use_up("phone", 7, "a", 0));
        assert!(!guesses.use_up("phone", 7, "b", 0));
        assert!(!guesses.use_up("phone", 6, "b", 0));
        assert!(guesses.use_up("other", 7, "b", 0));
        assert!(guesses.use_up("phone", 8, "b", 0));
    }
}
