//! Who may be inside a module: many callers at once, or one alone that closes and opens it again.
//!
//! C_Finalize while another thread is inside a call crashes (SoftHSM: SIGSEGV, three times of
//! three). So every call is made with a [`Pass`], and C_Finalize, C_Initialize and C_Login only
//! by who has the gate [`Alone`]. A read-write lock with deadlines: a call that never comes back
//! keeps the module from being restarted, but keeps nobody waiting for ever.
//!
//! A pass is taken once a call and never inside another pass.

use crate::HsmError;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long anyone waits at the gate before the device counts as unavailable: shorter than the
/// deadlines of a guard and of a helper, so that whoever called learns why.
const PATIENCE: Duration = Duration::from_secs(3);

/// What our handles are worth. Handles are numbers that a module gives out again: a handle of an
/// older epoch can name another session or, worse, another key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch {
    /// How often the module was started. Sessions of an earlier start are gone.
    pub(super) start: u64,
    /// How often anyone logged in, or found that a token had forgotten object handles. Object
    /// handles from before are not used again.
    pub(super) objects: u64,
}

#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    inside: usize,
    alone: bool,
    epoch: Epoch,
    is_used: bool,
}

impl Gate {
    /// Waits while someone is alone inside.
    pub(super) fn enter(&self) -> Result<Pass<'_>, HsmError> {
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, |s| s.alone);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(HsmError::Unavailable(format!(
                "the module has been restarting for {} s",
                PATIENCE.as_secs()
            )));
        }
        state.inside += 1;
        Ok(Pass { gate: self, epoch: state.epoch })
    }

    /// Lets nobody in any more and waits until all are out.
    pub(super) fn enter_alone(&self) -> Result<Alone<'_>, HsmError> {
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, |s| s.alone);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if !waited.timed_out() {
            state.alone = true;
            let alone = Alone { gate: self };
            let waited = self.changed.wait_timeout_while(state, PATIENCE, |s| s.inside > 0);
            let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            let inside = state.inside;
            // Released before `alone` is dropped, which takes it again.
            drop(state);
            if !waited.timed_out() {
                return Ok(alone);
            }
            return Err(HsmError::Unavailable(format!(
                "{inside} calls have been inside the module for {} s or longer, so it cannot be \
                 restarted; a module that hangs needs a new process",
                PATIENCE.as_secs()
            )));
        }
        Err(HsmError::Unavailable(format!(
            "the module has been restarting for {} s",
            PATIENCE.as_secs()
        )))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers only, each changed at one stroke.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("epoch", &self.state().epoch).finish_non_exhaustive()
    }
}

/// Leave to make calls. While it lives the module is not restarted and nobody logs in or out, so
/// its epoch stays what it is.
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    pub(super) epoch: Epoch,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.inside = state.inside.saturating_sub(1);
        if state.inside == 0 && state.alone {
            drop(state);
            self.gate.changed.notify_all();
        }
    }
}

/// Nobody else is inside.
pub(super) struct Alone<'a> {
    gate: &'a Gate,
}

impl Alone<'_> {
    pub(super) fn epoch(&self) -> Epoch {
        self.gate.state().epoch
    }

    /// The module was closed: no session and no object handle from before is worth anything.
    pub(super) fn sessions_are_void(&self) {
        let mut state = self.gate.state();
        state.epoch.start += 1;
        state.epoch.objects += 1;
    }

    /// Whether this is the first use of the module, so that it was started just now.
    pub(super) fn is_first_use(&self) -> bool {
        !std::mem::replace(&mut self.gate.state().is_used, true)
    }

    pub(super) fn objects_are_void(&self) {
        self.gate.state().epoch.objects += 1;
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.gate.state().alone = false;
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn who_is_alone_is_alone() {
        let (gate, inside) = (Gate::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let pass = gate.enter().unwrap();
                        inside.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(pass);
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let alone = gate.enter_alone().unwrap();
                        assert_eq!(inside.load(Ordering::SeqCst), 0);
                        alone.sessions_are_void();
                    }
                });
            }
        });
        let epoch = gate.enter().unwrap().epoch;
        assert_eq!(epoch, Epoch { start: 400, objects: 400 });
    }

    #[test]
    fn an_epoch_stays_while_a_pass_lives() {
        let gate = Gate::default();
        let pass = gate.enter().unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| gate.enter_alone().unwrap().objects_are_void());
            std::thread::sleep(Duration::from_millis(50));
            assert!(!other.is_finished());
            assert_eq!(pass.epoch, Epoch::default());
            drop(pass);
        });
        assert_eq!(gate.enter().unwrap().epoch, Epoch { start: 0, objects: 1 });
    }

    #[test]
    fn a_call_that_hangs_stops_a_restart_but_nobody_else() {
        let gate = Gate::default();
        let hangs = gate.enter().unwrap();
        let refused = gate.enter_alone().err().unwrap().to_string();
        assert!(refused.contains("1 calls have been inside the module"), "{refused}");
        drop(gate.enter().unwrap());
        drop(hangs);
        drop(gate.enter_alone().unwrap());
    }
}
