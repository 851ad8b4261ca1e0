//! The requests that are inside one helper: no more than it has threads, and who waits for which.
//!
//! A request that is past its deadline stays in the count until it is answered: a thread of the
//! helper is still at it. Its silence means one of two things. If nothing else was answered
//! meanwhile either, the helper hangs. Else it may be busy, its sessions all lent; it is given
//! some more time, while others go on, before that request too is said to hang.

use super::connection::Failure;
use super::message::Answer;
use crate::HsmError;
use crate::elapsed;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After so many deadlines a request hangs for sure, whatever else was answered: longer than a
/// device makes anyone wait for one of its sessions.
const HOPELESS: u32 = 3;

pub(super) struct Calls {
    most: usize,
    state: Mutex<State>,
    /// There is room for one more, or none will be needed.
    room: Condvar,
}

struct State {
    inside: BTreeMap<u64, Call>,
    next: u64,
    /// When anything was last answered.
    answered: Instant,
    /// Why the helper ended, if it has.
    ended: Option<String>,
}

struct Call {
    /// None when its caller has given up.
    caller: Option<SyncSender<Result<Result<Answer, HsmError>, Failure>>>,
    hopeless_at: Instant,
}

/// A request that may go in.
pub(super) struct Entered {
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) answer: Receiver<Result<Result<Answer, HsmError>, Failure>>,
}

/// Why a request may not go in, or has no answer in time.
pub(super) enum Silence {
    /// The helper has ended.
    Ended(String),
    /// It does nothing any more, or not this.
    Hangs,
    /// It is at work on others.
    Busy,
}

impl Calls {
    pub(super) fn new(most: usize) -> Self {
        let state =
            State { inside: BTreeMap::new(), next: 0, answered: elapsed::now(), ended: None };
        Self { most, state: Mutex::new(state), room: Condvar::new() }
    }

    /// Waits until there is room for a request.
    pub(super) fn enter(&self, deadline: Duration) -> Result<Entered, Silence> {
        let began = elapsed::now();
        let full = |state: &mut State| state.ended.is_none() && state.inside.len() >= self.most;
        let (mut state, timeout) = self
            .room
            .wait_timeout_while(self.state(), deadline, full)
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &state.ended {
            return Err(Silence::Ended(why.clone()));
        }
        let at = elapsed::now();
        if state.inside.values().any(|call| call.hopeless_at <= at) {
            return Err(Silence::Hangs);
        }
        if timeout.timed_out() {
            return Err(if state.answered <= began { Silence::Hangs } else { Silence::Busy });
        }
        let (caller, answer) = sync_channel(1);
        let number = state.next;
        state.next += 1;
        let hopeless_at = at + deadline * HOPELESS;
        state.inside.insert(number, Call { caller: Some(caller), hopeless_at });
        Ok(Entered { number, at, answer })
    }

    /// Hands an answer to whoever waits for it. False if there is no such request.
    pub(super) fn answer(&self, number: u64, outcome: Result<Answer, HsmError>) -> bool {
        let mut state = self.state();
        let Some(call) = state.inside.remove(&number) else { return false };
        state.answered = elapsed::now();
        drop(state);
        self.room.notify_one();
        call.tell(Ok(outcome));
        true
    }

    /// A request was not made after all.
    pub(super) fn withdraw(&self, number: u64) {
        self.state().inside.remove(&number);
        self.room.notify_one();
    }

    /// A request has no answer by its deadline.
    pub(super) fn give_up(&self, entered: &Entered) -> Silence {
        let mut state = self.state();
        if state.answered <= entered.at {
            return Silence::Hangs;
        }
        if let Some(call) = state.inside.get_mut(&entered.number) {
            call.caller = None;
        }
        Silence::Busy
    }

    /// The helper ends. Gives back whom to tell; None if it has ended before.
    pub(super) fn end(&self, why: &str) -> Option<Vec<Told>> {
        let mut state = self.state();
        if state.ended.is_some() {
            return None;
        }
        state.ended = Some(why.to_owned());
        let inside = std::mem::take(&mut state.inside);
        drop(state);
        self.room.notify_all();
        Some(inside.into_values().map(Told).collect())
    }

    pub(super) fn ended(&self) -> Option<String> {
        self.state().ended.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for an answer that will not come.
pub(super) struct Told(Call);

impl Told {
    pub(super) fn tell(self, why: &str) {
        self.0.tell(Err(Failure::Ended(why.to_owned())));
    }
}

impl Call {
    fn tell(self, answer: Result<Result<Answer, HsmError>, Failure>) {
        if let Some(caller) = self.caller {
            // Nobody waits for it only if its deadline has just passed.
            let _ = caller.try_send(answer);
        }
    }
}
