//! What a round's fault does to the servers while they are written to, and what must hold meanwhile.
//! At the end of each they are dead.
use super::client::Client;
use super::database::Outage;
use super::deployment::Deployment;
use super::era::{Era, SIGKILL, joined};
use super::faults::{Fault, Passing};
use super::numbers::Numbers;
use super::observe;
use super::operation::SHARED;
use super::process::Process;
use super::register::{CLIENTS, Registers};
use super::wire::Failed;
use super::worker::{MayFail, Pace};
use super::{Trouble, now, promise, wait};
use crate::failpoints::POLL;
use serde_json::json;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

/// How long the load lasts before a kill, in milliseconds; and at least until so many writes are
/// acknowledged, however slow the machine, unless that takes [`PATIENCE`].
const LOAD_MS: std::ops::Range<u64> = 20..240;
const LOAD_WRITES: u64 = 8;
/// How long a point, a fault or enough load is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Within this a server must take writes again when what failed has passed.
const RECOVERY: Duration = Duration::from_secs(10);
/// Within this the log has the events of changes whose outcome was unknown for a while: the outbox is
/// looked at every second, after other work that may have to wait for what failed.
const OUTBOX: Duration = Duration::from_secs(30);

const NOTHING_FAILS: (MayFail, Option<usize>) = (MayFail::No, None);

/// What there is of an era while its workers write.
struct Load<'a> {
    deployment: &'a Deployment,
    clock_seconds: i64,
    pace: &'a Pace,
    /// If there are any.
    registers: Option<&'a Registers>,
    /// Whether all workers of a server have come to an end; without a server, all.
    are_done: &'a dyn Fn(Option<usize>) -> bool,
}

impl Load<'_> {
    /// Until there were enough to tell anything.
    fn wait_for_writes(&self) {
        let pace = self.pace;
        wait(PATIENCE, &|| {
            let enough = pace.counts().iter().sum::<u64>() >= LOAD_WRITES
                && self.registers.is_none_or(Registers::has_enough);
            enough || (self.are_done)(None)
        });
    }

    /// After as much load again, kills the servers, first one, a moment later the others. Until then each of
    /// them goes on with the writes that nothing is in the way of.
    fn kill_in_turn(
        &self,
        servers: &mut [Process],
        first: usize,
        load: Duration,
        rest: Duration,
    ) -> Result<(), Trouble> {
        let before = self.pace.counts();
        std::thread::sleep(load);
        let goes_on = |(now, before): (u64, &u64)| now > *before;
        let all_go_on = || self.pace.counts().into_iter().zip(&before).all(goes_on);
        wait(PATIENCE, &|| all_go_on() || (self.are_done)(None));
        promise(all_go_on(), || {
            format!(
                "a server that nobody has killed acknowledges no write any more: {before:?}, \
                 later {:?}",
                self.pace.counts()
            )
        })?;
        kill_in_turn(servers, first, rest)
    }

    /// From now on calls may fail as the load was told.
    fn may_fail(&self) {
        self.pace.may_begin.store(true, Ordering::SeqCst);
    }

    /// Every worker comes to an end after its current call.
    fn end(&self) {
        self.pace.over.store(true, Ordering::Relaxed);
    }
}

impl Era<'_> {
    /// Load, and what goes wrong with it; at the end the servers are dead.
    pub(super) fn suffer(&mut self, servers: &mut [Process], fault: &Fault) -> Result<(), Trouble> {
        let load = LOAD_MS.start + self.numbers.below(LOAD_MS.end - LOAD_MS.start);
        let load = Duration::from_millis(load);
        // Of several servers one is struck; the others go on for a moment.
        let victim = self.numbers.below(servers.len() as u64);
        let victim = usize::try_from(victim).unwrap_or_default();
        let rest = Duration::from_millis(self.numbers.below(LOAD_MS.end));
        match fault {
            Fault::Kill { .. } => {
                self.load(servers, NOTHING_FAILS, |now, servers| {
                    std::thread::sleep(load / 2);
                    now.deployment.plan(victim, &fault.plan(now.clock_seconds))?;
                    now.wait_for_writes();
                    now.kill_in_turn(servers, victim, load / 2, rest)
                })?;
                self.came(fault);
            }
            Fault::KillAtStart(..) => self.end_round(servers, victim, load, rest)?,
            Fault::KillAt(..) => self.kill_at(servers, fault, victim, rest)?,
            Fault::SyncFails(..) => self.sync_fails(servers, fault, victim)?,
            Fault::Passes(passing) => {
                self.passes(servers, fault, *passing, victim)?;
                self.end_round(servers, victim, load, rest)?;
            }
            Fault::Outage(outage) => {
                self.outage(servers, *outage, fault)?;
                self.end_round(servers, victim, load, rest)?;
            }
        }
        self.shared.report(|report| report.kills += servers.len() as u64);
        Ok(())
    }

    /// Lets the workers write while `meanwhile` decides what becomes of the servers. When it is done,
    /// the workers are, for the servers are dead or the load was ended. Calls to the victim may fail so, once
    /// [`Load::may_fail`] says it; without a victim calls to all.
    fn load<T>(
        &mut self,
        servers: &mut [Process],
        (may_fail, victim): (MayFail, Option<usize>),
        meanwhile: impl FnOnce(&Load<'_>, &mut [Process]) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let (deployment, clock_seconds) = (self.deployment, self.clock_seconds);
        let writes_to: Vec<usize> =
            (0..self.workers.len()).map(|worker| self.server_of(worker)).collect();
        let clients: Vec<_> = writes_to.iter().map(|to| self.client(servers, *to)).collect();
        let wants_history = self.shared.wants_history();
        let registers = if wants_history { CLIENTS * servers.len() } else { 0 };
        let seeds: Vec<u64> = (0..registers).map(|_| self.numbers.next()).collect();
        let others: Vec<(Client, Numbers)> = seeds
            .into_iter()
            .enumerate()
            .map(|(n, seed)| (self.client(servers, n), Numbers(seed)))
            .collect();
        let written = servers.iter().map(|_| AtomicU64::new(0)).collect();
        let may_be_dead = servers.iter().map(|server| server.may_be_dead.clone()).collect();
        let pace = Pace { may_fail, victim, written, may_be_dead, ..Pace::default() };
        let ids = &self.ids;
        std::thread::scope(|scope| {
            let threads: Vec<ScopedJoinHandle<'_, Result<(), Trouble>>> = self
                .workers
                .iter_mut()
                .zip(clients)
                .zip(&writes_to)
                .map(|((worker, mut client), server)| {
                    let pace = &pace;
                    scope.spawn(move || worker.load(&mut client, ids, pace, *server))
                })
                .collect();
            let registers = &self.registers;
            let count = servers.len().max(1);
            let others: Vec<_> = others
                .into_iter()
                .enumerate()
                .map(|(n, (mut client, numbers))| {
                    let pace = &pace;
                    scope.spawn(move || registers.load(&mut client, numbers, pace, n % count))
                })
                .collect();
            let are_done = |server: Option<usize>| {
                let of = threads.iter().zip(&writes_to);
                of.filter(|(_, to)| server.is_none_or(|server| server == **to))
                    .all(|(thread, _)| thread.is_finished())
            };
            let registers = wants_history.then_some(registers);
            let load =
                Load { deployment, clock_seconds, pace: &pace, registers, are_done: &are_done };
            let outcome = meanwhile(&load, servers);
            load.end();
            for thread in threads.into_iter().chain(others) {
                joined(thread)?;
            }
            outcome
        })
    }

    /// A little load, and death.
    fn end_round(
        &mut self,
        servers: &mut [Process],
        victim: usize,
        load: Duration,
        rest: Duration,
    ) -> Result<(), Trouble> {
        self.load(servers, NOTHING_FAILS, |now, servers| {
            std::thread::sleep(load / 2);
            now.wait_for_writes();
            now.kill_in_turn(servers, victim, load / 2, rest)
        })
    }

    fn kill_at(
        &mut self,
        servers: &mut [Process],
        fault: &Fault,
        victim: usize,
        rest: Duration,
    ) -> Result<(), Trouble> {
        self.deployment.plan(victim, &fault.plan(self.clock_seconds))?;
        let peace = self.peace();
        if let Some(struck) = servers.get(victim) {
            struck.may_be_dead.store(true, Ordering::SeqCst);
        }
        let ended = self.load(servers, NOTHING_FAILS, |load, servers| {
            let Some(struck) = servers.get_mut(victim) else { return Ok(None) };
            let mut ended = struck.ends_until(now() + PATIENCE)?;
            if ended.is_none() {
                // It may come to the point until it has read that it is not to.
                load.deployment.plan(victim, &peace)?;
                ended = struck.ends_until(now() + 50 * POLL)?;
            }
            if ended.is_none() {
                load.kill_in_turn(servers, victim, Duration::ZERO, rest)?;
                return Ok(None);
            }
            std::thread::sleep(rest);
            for (server, process) in servers.iter_mut().enumerate() {
                if server != victim {
                    process.kill()?;
                }
            }
            Ok(ended)
        })?;
        let by_point = ended.is_none_or(|status| status.signal() == Some(SIGKILL));
        promise(by_point, || format!("a server ended by itself: {ended:?}"))?;
        if ended.is_some() {
            self.came(fault)
        } else {
            self.missed(fault)
        }
        Ok(())
    }

    /// After a failed sync nothing is acknowledged any more, until the kill and the restart.
    fn sync_fails(
        &mut self,
        servers: &mut [Process],
        fault: &Fault,
        victim: usize,
    ) -> Result<(), Trouble> {
        // Of several servers the others go on.
        let how = if servers.len() == 1 { MayFail::ForGood } else { MayFail::Passing };
        let stopped = self.load(servers, (how, Some(victim)), |load, _| {
            load.may_fail();
            load.deployment.plan(victim, &fault.plan(load.clock_seconds))?;
            Ok(wait(PATIENCE, &|| (load.are_done)(Some(victim))))
        })?;
        if stopped {
            for _ in 0..3 {
                let outcome = self.write(servers, victim);
                // It says that it failed.
                promise(matches!(outcome, Err(Failed::Fault { .. })), || match &outcome {
                    Ok(()) => "acknowledged a write after a failed sync".into(),
                    Err(failed) => format!("a write after a failed sync: {failed}"),
                })?;
            }
            self.came(fault);
        } else {
            self.missed(fault);
        }
        kill_in_turn(servers, victim, Duration::ZERO)
    }

    /// Writes fail while it lasts, reads go on if the log takes events; afterwards writes go on
    /// without a restart.
    fn passes(
        &mut self,
        servers: &mut [Process],
        fault: &Fault,
        passing: Passing,
        victim: usize,
    ) -> Result<(), Trouble> {
        let stopped = self.load(servers, (MayFail::Passing, Some(victim)), |load, _| {
            std::thread::sleep(Duration::from_millis(LOAD_MS.start));
            load.may_fail();
            load.deployment.plan(victim, &fault.plan(load.clock_seconds))?;
            Ok(wait(PATIENCE, &|| match passing {
                // It passes at once, and only those fail who were in it.
                Passing::WriteFails(..) => load.pace.failed.load(Ordering::Relaxed) > 0,
                _ => (load.are_done)(Some(victim)),
            }))
        })?;
        // A write may not come to its fault; a disk is full for everybody.
        let must_come = !matches!(passing, Passing::WriteFails(..));
        promise(stopped || !must_come, || {
            format!("still acknowledges {PATIENCE:?} after: {}", fault.name())
        })?;
        if stopped && passing == Passing::StoreFull {
            let written = self.write(servers, victim);
            promise(written.is_err(), || "acknowledged a write on a full disk".into())?;
            let mut client = self.client(servers, victim);
            let id = self.ids.of(SHARED).unwrap_or_default();
            let sealed = observe::sealed(&mut client, &id)?;
            observe::opens(&mut client, &sealed)?;
        }
        self.deployment.plan_all(&self.peace())?;
        self.recovers(servers, fault, now())?;
        if stopped {
            self.came(fault)
        } else {
            self.missed(fault)
        }
        self.check(servers, false, OUTBOX)
    }

    /// Whatever becomes of the database, servers serve again by themselves when it is back.
    fn outage(
        &mut self,
        servers: &mut [Process],
        outage: Outage,
        fault: &Fault,
    ) -> Result<(), Trouble> {
        let ended = self.load(servers, (MayFail::Passing, None), |load, _| {
            load.wait_for_writes();
            load.may_fail();
            if let Some(database) = &load.deployment.database {
                database.suffer(outage)?;
            }
            Ok(now())
        })?;
        // Those that had no answer yet when the load ended waited for one until now, which counts.
        self.recovers(servers, fault, ended)?;
        self.came(fault);
        self.check(servers, false, OUTBOX)
    }

    /// Every server takes writes again in time, from the end of the fault to the last one's answer.
    fn recovers(&self, servers: &[Process], fault: &Fault, ended: Instant) -> Result<(), Trouble> {
        for server in 0..servers.len() {
            let mut last = self.write(servers, server);
            while last.is_err() && ended.elapsed() < RECOVERY {
                std::thread::sleep(POLL);
                last = self.write(servers, server);
            }
            let took = ended.elapsed();
            promise(last.is_ok() && took < RECOVERY, || {
                let outcome = last.map_or_else(|failed| failed.to_string(), |()| "a write".into());
                format!(
                    "{took:?} after the end of {}, later than {RECOVERY:?}: {outcome}",
                    fault.name()
                )
            })?;
        }
        let took = u64::try_from(ended.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.shared.report(|r| r.slowest_recovery_ms = r.slowest_recovery_ms.max(took));
        Ok(())
    }

    /// A write that belongs to nobody.
    fn write(&self, servers: &[Process], server: usize) -> Result<(), Failed> {
        let id = self.ids.of(SHARED).unwrap_or_default();
        let tags = json!([{"TagKey": "probe", "TagValue": self.round.to_string()}]);
        let body = json!({"KeyId": id, "Tags": tags});
        self.client(servers, server).kms("TagResource", &body).map(drop)
    }
}

/// First one, a moment later the others.
fn kill_in_turn(servers: &mut [Process], first: usize, rest: Duration) -> Result<(), Trouble> {
    if let Some(first) = servers.get_mut(first) {
        first.kill()?;
    }
    if servers.len() > 1 {
        std::thread::sleep(rest);
    }
    let others = servers.iter_mut().enumerate().filter(|(server, _)| *server != first);
    others.map(|(_, process)| process).try_for_each(Process::kill)
}
