//! Looks each second for what is due, and works on so many runs at a time.
use super::{Invoke, events, steps, watchdog};
use crate::call::{OperationError, Server};
use crate::nodes::{self, Turn, Work};
use crate::secrets::SecretError;
use crate::secrets::rotation::{self, DueRotation, Run, Window};
use crate::store::StoreError;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Runs that one node works on at a time.
const AT_ONCE: usize = 16;
/// Runs that are picked at a time, and windows that are read at a time.
const BATCH: usize = 100;
/// How many looks there are from one count of what is overdue to the next.
const LOOKS_PER_COUNT: u32 = 60;

/// Rotates what is due. There may be several for one store.
#[derive(Debug)]
pub struct Scheduler {
    server: Arc<Server>,
    /// Another one for each that is at work at a time, and the same again after a restart: what it held
    /// then it goes on with at once.
    node: Arc<str>,
    invoke: Arc<dyn Invoke>,
    /// The runs that it is working on.
    busy: Arc<Mutex<BTreeSet<String>>>,
    /// Where the search for runs goes on.
    next: Mutex<Option<Arc<Run>>>,
}

/// Marks a run as being worked on, until it is dropped.
#[derive(Debug)]
struct Busy {
    all: Arc<Mutex<BTreeSet<String>>>,
    arn: String,
}

impl Drop for Busy {
    fn drop(&mut self) {
        hold(&self.all).remove(&self.arn);
    }
}

impl Scheduler {
    pub fn new(server: Arc<Server>, node: String, invoke: Arc<dyn Invoke>) -> Self {
        Self { server, node: node.into(), invoke, busy: Arc::default(), next: Mutex::default() }
    }

    /// Looks for work until it is dropped, and all work in hand with it.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut work, mut waiting) = (JoinSet::new(), VecDeque::new());
        let (mut looks, mut keeps_time) = (0_u32, false);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    keeps_time = self.look(looks.is_multiple_of(LOOKS_PER_COUNT)).await;
                    looks = looks.wrapping_add(1);
                }
                Some(_) = work.join_next(), if !work.is_empty() => {}
            }
            // Leases, drains and the next attempts go by the clock.
            if !keeps_time {
                waiting.clear();
            } else if waiting.is_empty() {
                waiting = self.ready(&BTreeSet::new()).await;
            }
            self.fill(&mut work, &mut waiting);
        }
    }

    /// One look, and all the work that it finds, each run once.
    pub async fn sweep(&self) {
        if !self.look(true).await {
            return;
        }
        let (mut work, mut seen) = (JoinSet::new(), BTreeSet::new());
        loop {
            let mut waiting = self.ready(&seen).await;
            if waiting.is_empty() {
                break;
            }
            seen.extend(waiting.iter().map(|run| run.arn.as_str().to_owned()));
            while !waiting.is_empty() {
                self.fill(&mut work, &mut waiting);
                work.join_next().await;
            }
        }
        while work.join_next().await.is_some() {}
    }

    /// Begins what is due and ends what is over. Answers whether this node's clock can be gone by.
    async fn look(&self, count: bool) -> bool {
        let server = &*self.server;
        // What a function does elsewhere cannot be undone, and rows that nobody has compared may be put back ones.
        if !server.store.is_verified() {
            return false;
        }
        self.begin_reattempts().await;
        let now = server.clock.now();
        let node = server.node.as_ref();
        let keeps_time = nodes::keeps_time(node, now).await;
        let turn = match &keeps_time {
            Ok(true) => nodes::turn(node, &server.store, Work::RotationWindows, now).await,
            Ok(false) => Ok(None),
            Err(error) => Err(error.clone()),
        };
        let changed = match turn {
            Ok(Some(turn)) => self.watch_windows(&turn).await,
            Ok(None) => false,
            Err(error) => {
                tracing::error!(%error, "cannot tell whose turn the windows of rotations are");
                false
            }
        };
        if count || changed {
            match watchdog::count(server).await {
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => tracing::error!(%error, "cannot count overdue rotations"),
            }
        }
        keeps_time.unwrap_or(false)
    }

    /// Begins and ends windows. Answers whether one was missed.
    async fn watch_windows(&self, turn: &Turn<'_>) -> bool {
        let mut changed = match self.begin_windows(turn).await {
            Ok(missed) => missed,
            Err(error) => {
                tracing::error!(%error, "cannot begin rotations that are due");
                false
            }
        };
        match watchdog::look(&self.server, turn).await {
            Ok(missed) => changed |= missed,
            Err(error) => tracing::error!(%error, "cannot end the watch of rotation windows"),
        }
        changed
    }

    async fn begin_reattempts(&self) {
        let server = &*self.server;
        for (account, region, name) in server.reattempts.take() {
            let mut tx = server.store.begin();
            let (random, now) = (&*server.random, server.clock.now());
            let begun = Run::reattempt(&mut tx, (&account, &region, &name), random, now).await;
            let outcome = match begun {
                Ok(()) if tx.is_read_only() => Ok(()),
                Ok(()) => tx.commit().await.map_err(SecretError::from),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => {}
                Err(error) if error.is_conflict() => {
                    server.reattempts.note(&account, &region, &name)
                }
                Err(error) => tracing::error!(%error, "cannot try a rotation again"),
            }
        }
    }

    /// Answers whether a window was over already.
    async fn begin_windows(&self, turn: &Turn<'_>) -> Result<bool, SecretError> {
        let server = &*self.server;
        let (mut missed, now) = (false, server.clock.now());
        let mut after: Option<Arc<DueRotation>> = None;
        loop {
            let tx = server.store.begin();
            let due = rotation::due(&tx, now, after.as_deref(), BATCH).await?;
            for one in &due {
                match self.begin_window(turn, one).await {
                    Ok(window) => missed |= matches!(window, Window::Missed(_)),
                    // The other node was first, or the secret is being changed: the next look finds it.
                    Err(error) if error.is_conflict() => {}
                    // One that cannot begin keeps no other from it.
                    Err(error) => {
                        tracing::error!(secret = one.name, %error, "cannot begin a rotation");
                    }
                }
            }
            // Those that wait for something else stay where they are.
            match due.last() {
                Some(last) if due.len() == BATCH => after = Some(last.clone()),
                _ => return Ok(missed),
            }
        }
    }

    async fn begin_window(
        &self,
        turn: &Turn<'_>,
        due: &DueRotation,
    ) -> Result<Window, SecretError> {
        let server = &*self.server;
        let mut tx = server.store.begin();
        turn.hold(&mut tx).await?;
        let (random, now) = (&*server.random, server.clock.now());
        let window = Run::at_window(&mut tx, due, random, now).await?;
        let event = match &window {
            Window::Missed(secret) => Some(watchdog::missed(server, secret)),
            Window::Begun | Window::Waits | Window::Gone => None,
        };
        events::commit(server, tx, event.into_iter().collect()).await?;
        if let Window::Missed(secret) = &window {
            watchdog::tell(secret.arn.as_str());
        }
        Ok(window)
    }

    /// Runs that can be taken now, but for those in `seen`.
    async fn ready(&self, seen: &BTreeSet<String>) -> VecDeque<Arc<Run>> {
        let mut found = match self.find_ready(seen).await {
            Ok(found) => VecDeque::from(found),
            Err(error) => {
                tracing::error!(%error, "cannot read the rotations under way");
                return VecDeque::new();
            }
        };
        // Two nodes that look at once begin at different ends.
        let start = self.server.random.bytes::<1>().first().map_or(0, |n| usize::from(*n));
        if !found.is_empty() {
            let by = start % found.len();
            found.rotate_left(by);
        }
        found
    }

    async fn find_ready(&self, seen: &BTreeSet<String>) -> Result<Vec<Arc<Run>>, StoreError> {
        let (tx, now) = (self.server.store.begin(), self.server.clock.now());
        let from = hold(&self.next).take();
        let wanted = |run: &Run| {
            let arn = run.arn.as_str();
            let mine = run.holder.as_deref() == Some(&*self.node) && run.not_before <= now;
            (mine || run.is_ready(now)) && !seen.contains(arn) && !self.is_busy(arn)
        };
        let (found, next) = rotation::runs_round(&tx, from, BATCH, wanted).await?;
        *hold(&self.next) = next;
        Ok(found)
    }

    /// Sets to work as many as there is room for.
    fn fill(&self, work: &mut JoinSet<()>, waiting: &mut VecDeque<Arc<Run>>) {
        while work.len() < AT_ONCE {
            let Some(run) = waiting.pop_front() else { return };
            let Some(busy) = self.mark(run.arn.as_str()) else { continue };
            let (server, node) = (self.server.clone(), self.node.clone());
            let invoke = self.invoke.clone();
            work.spawn(async move {
                match steps::work(&server, &node, &invoke, &run).await {
                    Ok(()) => {}
                    Err(error) if error.is_conflict() => {}
                    Err(error) => {
                        tracing::error!(secret = run.arn.as_str(), %error, "cannot rotate");
                    }
                }
                drop(busy);
            });
        }
    }

    fn is_busy(&self, arn: &str) -> bool {
        hold(&self.busy).contains(arn)
    }

    fn mark(&self, arn: &str) -> Option<Busy> {
        let fresh = hold(&self.busy).insert(arn.to_owned());
        fresh.then(|| Busy { all: self.busy.clone(), arn: arn.to_owned() })
    }
}

/// What is held is whole whoever died holding it: every change is one insertion, removal or assignment.
fn hold<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
