//! The guard's threads: when one is made, what it does, when it ends.

use super::breaker::{Limits, Outcome};
use super::state::{Job, State, Taken, Told, no_thread};
use super::{GuardConfig, GuardStatus};
use crate::{Hsm, HsmError, elapsed};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(super) struct Shared {
    device: Arc<dyn Hsm>,
    config: GuardConfig,
    state: Mutex<State>,
    /// A job was queued.
    work: Condvar,
    /// The watch has something to do before it would have woken.
    alarm: Condvar,
}

impl Shared {
    pub(super) fn new(device: Arc<dyn Hsm>, config: GuardConfig, limits: Limits) -> Self {
        let state = Mutex::new(State::new(limits, elapsed::now()));
        Self { device, config, state, work: Condvar::new(), alarm: Condvar::new() }
    }

    /// For what does not ask the device.
    pub(super) fn device(&self) -> &dyn Hsm {
        &*self.device
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs under the lock: neither the device's nor a caller's.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job, or gives it back with the reason why not.
    pub(super) fn enqueue(self: &Arc<Self>, job: Job) -> Result<(), (Job, HsmError)> {
        let now = elapsed::now();
        let mut state = self.state();
        if let Err(why) = state.admit(&self.config, now) {
            state.refused += 1;
            return Err((job, why));
        }
        let id = state.push(&self.config, job, now);
        if let Err(why) = self.see_to_threads(&mut state)
            && state.live == 0
            && let Some(job) = state.take_queued(id)
        {
            state.refused += 1;
            return Err((job, no_thread(&self.config, state.lost, &why)));
        }
        Ok(())
    }

    /// Wakes a thread for a job that was queued, or makes one. Fails only where none could be
    /// made; those that are at work may still come to it.
    fn see_to_threads(self: &Arc<Self>, state: &mut State) -> Result<(), String> {
        if state.idle > 0 {
            self.work.notify_one();
        }
        let most = self.config.threads.max(1);
        if state.idle >= state.queued() || state.live >= most {
            return Ok(());
        }
        if state.live + state.lost >= most + self.config.spare_threads {
            return Err("no more may be lost".into());
        }
        let shared = Arc::clone(self);
        thread::Builder::new()
            .name("device".into())
            .spawn(move || shared.work_until_closed())
            .map_err(|e| format!("nor can one be started: {e}"))?;
        state.live += 1;
        Ok(())
    }

    /// A thread's life.
    fn work_until_closed(&self) {
        while let Some(taken) = self.next() {
            let finished = taken.work.run(&*self.device);
            let needed = self.finish(taken.id, finished.outcome);
            // A panic in a caller's code must not take a thread of the guard with it.
            let _ = catch_unwind(AssertUnwindSafe(finished.deliver));
            if !needed {
                return;
            }
        }
    }

    /// Waits for a job that may run now. None if the guard was closed.
    fn next(&self) -> Option<Taken> {
        let mut state = self.state();
        loop {
            if state.closed {
                state.live -= 1;
                return None;
            }
            if let Some(taken) = state.start_next(&self.config, elapsed::now()) {
                return Some(taken);
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Notes that a call came back. False if its thread is not needed any more.
    fn finish(&self, id: u64, outcome: Outcome) -> bool {
        let mut state = self.state();
        let (in_time, alarm) = state.finish(id, outcome, elapsed::now());
        if alarm {
            self.alarm.notify_one();
        }
        if in_time {
            return true;
        }
        // It was lost, and may have been replaced.
        state.lost -= 1;
        let needed = state.live < self.config.threads.max(1);
        state.live += usize::from(needed);
        needed
    }

    /// Ends what is past its deadline, begins the probe that is due. Gives back whom to tell.
    pub(super) fn tend(self: &Arc<Self>, state: &mut State, now: Instant) -> Vec<Told> {
        let mut told = state.expire_queued(&self.config, now);
        told.extend(state.expire_running(&self.config, now));
        state.begin_probe(&self.config, now);
        // Threads were lost, or there is a probe: those that are left, or new ones, go on.
        for _ in 0..state.queued().min(self.config.threads.max(1)) {
            if let Err(why) = self.see_to_threads(state) {
                if state.live == 0 {
                    told.extend(state.give_up(&self.config, &why, now));
                }
                break;
            }
        }
        told
    }

    /// Sleeps until a deadline or a probe is due. A call that comes meanwhile has a deadline
    /// after the longest sleep, so it need not wake the watch.
    pub(super) fn rest<'a>(
        &self,
        state: MutexGuard<'a, State>,
        now: Instant,
    ) -> MutexGuard<'a, State> {
        let longest = now + self.config.deadline.min(self.config.slow_deadline);
        let until = state.next_due().map_or(longest, |due| due.min(longest));
        let rest = until.saturating_duration_since(now).max(Duration::from_millis(1));
        self.alarm.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn close(&self) {
        let told = self.state().close();
        self.work.notify_all();
        self.alarm.notify_all();
        told.into_iter().for_each(Told::tell);
    }

    pub(super) fn status(&self, now: Instant) -> GuardStatus {
        self.state().status(now)
    }
}
