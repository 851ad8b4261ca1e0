//! What is behind the guard's lock: the queues, the calls that run, the counts, the breaker.
//!
//! A job is in exactly one place: in a queue, among the running, or with whoever has taken it out
//! to end it. Callers are never told anything under the lock: they would run code of theirs.

use super::breaker::{Breaker, Limits, Outcome};
use super::{GuardConfig, GuardStatus, Pace};
use crate::{Hsm, HsmError};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A call that has come back from the device, before its caller knows.
pub(super) struct Finished {
    pub(super) outcome: Outcome,
    /// Tells the caller.
    pub(super) deliver: Box<dyn FnOnce()>,
}

/// The call itself, boxed.
pub(super) trait Work: Send {
    fn run(self: Box<Self>, device: &dyn Hsm) -> Finished;
}

impl<F: FnOnce(&dyn Hsm) -> Finished + Send> Work for F {
    fn run(self: Box<Self>, device: &dyn Hsm) -> Finished {
        self(device)
    }
}

/// Tells the caller that the call was not made, or not in time.
pub(super) trait Cancel: Send {
    fn tell(self: Box<Self>, why: HsmError);
}

impl<F: FnOnce(HsmError) + Send> Cancel for F {
    fn tell(self: Box<Self>, why: HsmError) {
        self(why);
    }
}

pub(super) struct Job {
    pace: Pace,
    /// The guard's own question whether the device works.
    probe: bool,
    work: Box<dyn Work>,
    pub(super) cancel: Box<dyn Cancel>,
}

impl Job {
    pub(super) fn new(pace: Pace, work: Box<dyn Work>, cancel: Box<dyn Cancel>) -> Self {
        Self { pace, probe: false, work, cancel }
    }

    fn probe() -> Self {
        let work = Box::new(|device: &dyn Hsm| {
            let result = catch_unwind(AssertUnwindSafe(|| device.probe())).unwrap_or_else(|_| {
                Err(HsmError::Unavailable("the code of the device panicked".into()))
            });
            Finished { outcome: Outcome::of(&result), deliver: Box::new(|| {}) }
        });
        Self { pace: Pace::Usual, probe: true, work, cancel: Box::new(|_: HsmError| {}) }
    }
}

struct Queued {
    id: u64,
    expires: Instant,
    job: Job,
}

struct Running {
    /// The deadline of its caller, who may have waited in the queue before.
    told_at: Instant,
    /// The device's own deadline: a whole one, so that the wait in the queue is not held against
    /// it. Then its thread counts as lost.
    lost_at: Instant,
    pace: Pace,
    probe: bool,
    /// None when the caller was told.
    cancel: Option<Box<dyn Cancel>>,
}

/// What a thread takes away to do.
pub(super) struct Taken {
    pub(super) id: u64,
    pub(super) work: Box<dyn Work>,
}

/// A caller to be told, once the lock is released.
pub(super) struct Told {
    cancel: Box<dyn Cancel>,
    why: HsmError,
}

impl Told {
    pub(super) fn tell(self) {
        // A panic in a caller's code must not take a thread of the guard with it.
        let _ = catch_unwind(AssertUnwindSafe(|| self.cancel.tell(self.why)));
    }
}

pub(super) struct State {
    breaker: Breaker,
    usual: VecDeque<Queued>,
    slow: VecDeque<Queued>,
    running: BTreeMap<u64, Running>,
    next: u64,
    /// Threads that are not lost.
    pub(super) live: usize,
    /// Those of them that wait for work.
    pub(super) idle: usize,
    /// Threads in calls that are past their deadlines.
    pub(super) lost: usize,
    slow_running: usize,
    timeouts: u64,
    pub(super) refused: u64,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            breaker: Breaker::new(limits, now),
            usual: VecDeque::new(),
            slow: VecDeque::new(),
            running: BTreeMap::new(),
            next: 0,
            live: 0,
            idle: 0,
            lost: 0,
            slow_running: 0,
            timeouts: 0,
            refused: 0,
            closed: false,
        }
    }

    /// Whether a call may be queued; else the error that says why not.
    pub(super) fn admit(&self, config: &GuardConfig, now: Instant) -> Result<(), HsmError> {
        if self.closed {
            return Err(closed());
        }
        self.breaker.admit(now)?;
        let queued = self.queued();
        if queued >= config.queue {
            return Err(HsmError::Unavailable(format!(
                "{queued} calls wait for it already, and {} are in it",
                self.running.len()
            )));
        }
        Ok(())
    }

    pub(super) fn queued(&self) -> usize {
        self.usual.len() + self.slow.len()
    }

    /// Puts a job at the end of its queue; a probe, which others wait for, at the front.
    pub(super) fn push(&mut self, config: &GuardConfig, job: Job, now: Instant) -> u64 {
        let id = self.next;
        self.next += 1;
        let expires = now + config.deadline_of(job.pace);
        match (job.probe, job.pace) {
            (true, _) => self.usual.push_front(Queued { id, expires, job }),
            (false, Pace::Usual) => self.usual.push_back(Queued { id, expires, job }),
            (false, Pace::Slow) => self.slow.push_back(Queued { id, expires, job }),
        }
        id
    }

    pub(super) fn take_queued(&mut self, id: u64) -> Option<Job> {
        [&mut self.usual, &mut self.slow].into_iter().find_map(|queue| {
            let at = queue.iter().position(|queued| queued.id == id)?;
            Some(queue.remove(at)?.job)
        })
    }

    /// Takes out the job that has waited longest among those that may run now.
    pub(super) fn start_next(&mut self, config: &GuardConfig, now: Instant) -> Option<Taken> {
        let Queued { id, expires, job } = self.pick(config.slow_at_once())?;
        let Job { pace, probe, work, cancel } = job;
        self.slow_running += usize::from(pace == Pace::Slow);
        let lost_at = now + config.deadline_of(pace);
        let cancel = Some(cancel);
        self.running.insert(id, Running { told_at: expires, lost_at, pace, probe, cancel });
        Some(Taken { id, work })
    }

    fn pick(&mut self, slow_at_once: usize) -> Option<Queued> {
        let slow_first = match (self.slow.front(), self.usual.front()) {
            _ if self.slow_running >= slow_at_once => false,
            (Some(slow), Some(usual)) => slow.id < usual.id && !usual.job.probe,
            (slow, _) => slow.is_some(),
        };
        if slow_first { self.slow.pop_front() } else { self.usual.pop_front() }
    }

    /// Notes that a call came back: whether in time, and whether the watch should know.
    pub(super) fn finish(&mut self, id: u64, outcome: Outcome, now: Instant) -> (bool, bool) {
        let Some(running) = self.running.remove(&id) else {
            // Its caller was told long ago. That it failed is no news.
            let news = outcome == Outcome::Alive;
            return (false, news && self.breaker.record(outcome, now));
        };
        self.slow_running -= usize::from(running.pace == Pace::Slow);
        if running.probe {
            self.breaker.probed(outcome, now);
            return (true, true);
        }
        (true, self.breaker.record(outcome, now))
    }

    /// Queues the probe that is due, if one is.
    pub(super) fn begin_probe(&mut self, config: &GuardConfig, now: Instant) {
        if self.breaker.begin_probe(now) {
            self.push(config, Job::probe(), now);
        }
    }

    /// Calls that waited too long. That tells nothing against the device: it may be at work on
    /// others.
    pub(super) fn expire_queued(&mut self, config: &GuardConfig, now: Instant) -> Vec<Told> {
        let mut told = Vec::new();
        for queue in [&mut self.usual, &mut self.slow] {
            // A probe at the front is younger than those behind it.
            while let Some(at) = queue.iter().take(2).position(|queued| queued.expires <= now)
                && let Some(queued) = queue.remove(at)
            {
                self.timeouts += 1;
                let seconds = config.deadline_of(queued.job.pace).as_secs_f64();
                let why = format!("it was busy with other calls for {seconds:.1} s");
                if queued.job.probe {
                    self.breaker.probed(Outcome::Failed(why.clone()), now);
                }
                told.push(Told { cancel: queued.job.cancel, why: HsmError::Unavailable(why) });
            }
        }
        told
    }

    /// Calls in the device whose callers do not wait any longer, and those that it has not ended
    /// in time: their threads are lost.
    pub(super) fn expire_running(&mut self, config: &GuardConfig, now: Instant) -> Vec<Told> {
        let mut told = Vec::new();
        for running in self.running.values_mut().filter(|running| running.told_at <= now) {
            if let Some(cancel) = running.cancel.take() {
                self.timeouts += 1;
                let why = HsmError::Unavailable(config.too_late(running.pace));
                told.push(Told { cancel, why });
            }
        }
        for (_, running) in self.running.extract_if(.., |_, running| running.lost_at <= now) {
            self.live -= 1;
            self.lost += 1;
            self.slow_running -= usize::from(running.pace == Pace::Slow);
            let why = config.too_late(running.pace);
            if running.probe {
                self.breaker.probed(Outcome::Failed(why), now);
            } else {
                self.breaker.lost(why, self.lost, now);
            }
        }
        told
    }

    /// No thread is left and none can be had: nobody waits for that.
    pub(super) fn give_up(&mut self, config: &GuardConfig, why: &str, now: Instant) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(queued) = self.usual.pop_front().or_else(|| self.slow.pop_front()) {
            let error = no_thread(config, self.lost, why);
            if queued.job.probe {
                self.breaker.probed(Outcome::Failed(error.to_string()), now);
            }
            told.push(Told { cancel: queued.job.cancel, why: error });
        }
        told
    }

    /// Ends all that wait, and lets nothing more in.
    pub(super) fn close(&mut self) -> Vec<Told> {
        self.closed = true;
        let waiting = self.usual.drain(..).chain(self.slow.drain(..));
        waiting.map(|queued| Told { cancel: queued.job.cancel, why: closed() }).collect()
    }

    pub(super) fn status(&self, now: Instant) -> GuardStatus {
        GuardStatus {
            circuit: self.breaker.circuit(),
            for_seconds: self.breaker.since(now).as_secs(),
            in_flight: self.running.values().filter(|r| !r.probe && r.cancel.is_some()).count(),
            queued: self.queued(),
            hanging: self.lost,
            timeouts: self.timeouts,
            refused: self.refused,
            last_error: self.breaker.last_error().map(str::to_owned),
        }
    }

    /// When the next deadline or probe is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = |running: &Running| match running.cancel {
            Some(_) => running.told_at.min(running.lost_at),
            None => running.lost_at,
        };
        let running = self.running.values().map(due).min();
        // A probe at the front is younger than those behind it.
        let front = |queue: &VecDeque<Queued>| queue.iter().take(2).map(|q| q.expires).min();
        [running, front(&self.usual), front(&self.slow), self.breaker.next_probe()]
            .into_iter()
            .flatten()
            .min()
    }
}

impl GuardConfig {
    fn deadline_of(&self, pace: Pace) -> Duration {
        match pace {
            Pace::Usual => self.deadline,
            Pace::Slow => self.slow_deadline,
        }
    }

    fn too_late(&self, pace: Pace) -> String {
        format!("no answer within {:.1} s", self.deadline_of(pace).as_secs_f64())
    }

    fn slow_at_once(&self) -> usize {
        (self.threads / 2).max(1)
    }
}

fn closed() -> HsmError {
    HsmError::Unavailable("the guard was closed".into())
}

pub(super) fn no_thread(config: &GuardConfig, lost: usize, why: &str) -> HsmError {
    let all = config.threads.max(1) + config.spare_threads;
    HsmError::Unavailable(format!(
        "no thread is left for it: {lost} of {all} hang in it, and {why}"
    ))
}
