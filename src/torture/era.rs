//! The life of a deployment under torture: rounds of start, check, load, fault and death; and a last
//! check of everything before it is stopped in peace.
use super::Trouble;
use super::client::{Client, ok};
use super::deployment::Deployment;
use super::events::Events;
use super::faults::{self, Fault};
use super::numbers::Numbers;
use super::observe;
use super::operation::{Attempt, Ids, SHARED};
use super::process::Process;
use super::register::Registers;
use super::run::Shared;
use super::worker::Worker;
use crate::failpoints::Plan;
use serde_json::json;
use std::os::unix::process::ExitStatusExt;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

const WORKERS: u64 = 6;
/// After this every server knows what was done on another one (`store.staleness_ms`, and a little).
const KNOWN: Duration = Duration::from_millis(1200);
pub(super) const SIGKILL: i32 = 9;

pub(super) struct Era<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) shared: &'a Shared,
    pub(super) numbers: Numbers,
    pub(super) ids: Ids,
    events: Events,
    pub(super) workers: Vec<Worker>,
    pub(super) registers: Registers,
    /// For reports: where it is.
    pub(super) round: u64,
    pub(super) fault: String,
    pub(super) clock_seconds: i64,
}

impl<'a> Era<'a> {
    pub(super) fn new(deployment: &'a Deployment, shared: &'a Shared, era: u64, seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let workers =
            (0..WORKERS).map(|n| Worker::new(format!("{era}/{n}"), numbers.next())).collect();
        Self {
            deployment,
            shared,
            numbers,
            ids: Ids::default(),
            events: Events::default(),
            workers,
            registers: Registers::new(era, shared.history_operations),
            round: 0,
            fault: "none".into(),
            clock_seconds: 0,
        }
    }

    /// All rounds, or those until there is to be an end.
    pub(super) fn live(&mut self, rounds: u64) -> Result<(), Trouble> {
        loop {
            let last = self.round == rounds || self.shared.is_over();
            let fault = Fault::choose(&mut self.numbers, self.deployment.database.is_some());
            self.clock_seconds = faults::clock(&mut self.numbers);
            self.fault = if last { "none".into() } else { fault.name() };
            let mut servers = self.start(if last { None } else { Some(&fault) })?;
            if self.round == 0 {
                let shared = json!({"Description": SHARED});
                ok("CreateKey", self.client(&servers, 0).kms("CreateKey", &shared))?;
                if servers.len() > 1 {
                    std::thread::sleep(KNOWN);
                }
            }
            self.check(&servers, last, Duration::ZERO)?;
            if last {
                let mut client = self.client(&servers, 0);
                let rotations = self.events.check_rotations(&mut client, &self.ids)?;
                self.shared.report(|report| report.rotations += rotations);
                return servers.into_iter().try_for_each(Process::stop);
            }
            if self.shared.wants_history() {
                let mut client = self.client(&servers, 0);
                self.registers.begin(self.round, &mut client)?;
            }
            self.suffer(&mut servers, &fault)?;
            self.round += 1;
        }
    }

    /// A client of one of the servers: of the first, for a number too large.
    pub(super) fn client(&self, servers: &[Process], number: usize) -> Client {
        let server = servers.get(number % servers.len().max(1));
        let address = server.map_or(([127, 0, 0, 1], 0).into(), |server| server.address);
        Client::new(address, self.deployment.admin.clone(), self.clock_seconds)
    }

    /// To which server a worker writes in this round.
    pub(super) fn server_of(&self, worker: usize) -> usize {
        let round = usize::try_from(self.round).unwrap_or_default();
        (worker + round) % self.deployment.servers().max(1)
    }

    /// The plan of a server that nothing happens to.
    pub(super) fn peace(&self) -> Plan {
        Plan { clock_seconds: self.clock_seconds, ..Plan::default() }
    }

    /// Starts all servers, of which the first may be struck while it starts.
    fn start(&mut self, fault: Option<&Fault>) -> Result<Vec<Process>, Trouble> {
        self.deployment.plan_all(&self.peace())?;
        if let Some(fault @ Fault::KillAtStart(..)) = fault {
            self.deployment.plan(0, &fault.plan(self.clock_seconds))?;
            match self.deployment.serve(0)? {
                // It was ready before it came to the point that often.
                Ok(mut process) => {
                    process.kill()?;
                    self.missed(fault);
                }
                Err(status) if status.signal() == Some(SIGKILL) => self.came(fault),
                Err(status) => return Err(self.no_start(status)),
            }
            self.shared.report(|report| report.kills += 1);
            self.deployment.plan_all(&self.peace())?;
        }
        (0..self.deployment.servers())
            .map(|server| {
                let process = self.deployment.serve(server)?;
                let process = process.map_err(|status| self.no_start(status))?;
                let took = u64::try_from(process.took.as_millis()).unwrap_or(u64::MAX);
                self.shared.report(|report| {
                    report.starts += 1;
                    report.slowest_start_ms = report.slowest_start_ms.max(took);
                });
                Ok(process)
            })
            .collect()
    }

    fn no_start(&self, status: std::process::ExitStatus) -> Trouble {
        let printed = |path| std::fs::read_to_string(path).unwrap_or_default();
        let printed: Vec<String> = self.deployment.outputs().into_iter().map(printed).collect();
        let lines: Vec<&str> = printed.iter().flat_map(|text| text.lines().rev().take(3)).collect();
        Trouble::Violation(format!("a server does not start, {status}: {}", lines.join(" | ")))
    }

    /// What must be there is there, nothing else is, and the log tells of it. Of several servers
    /// another one is asked than the one that was written to. Events may come as late as `patience`
    /// says, where no restart has brought the log up to date, nor every server what it knows.
    pub(super) fn check(
        &mut self,
        servers: &[Process],
        all: bool,
        patience: Duration,
    ) -> Result<(), Trouble> {
        if servers.len() > 1 && !patience.is_zero() {
            std::thread::sleep(KNOWN);
        }
        if self.shared.wants_history() && self.registers.has_begun() {
            for server in 0..servers.len() {
                self.registers.end(&mut self.client(servers, server))?;
            }
        }
        let mut client = self.client(servers, 0);
        observe::adopt(&mut client, &self.ids)?;
        let clients: Vec<Client> = (0..self.workers.len())
            .map(|worker| self.client(servers, self.server_of(worker) + 1))
            .collect();
        let ids = &self.ids;
        let checked: Vec<Result<Vec<Attempt>, Trouble>> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .workers
                .iter_mut()
                .zip(clients)
                .map(|(worker, mut client)| {
                    scope.spawn(move || worker.check(&mut client, ids, all))
                })
                .collect();
            threads.into_iter().map(joined).collect()
        });
        let mut attempts = Vec::new();
        for checked in checked {
            attempts.extend(checked?);
        }
        observe::lists(&mut client, &self.ids)?;
        observe::nothing_else(&mut client, &self.workers.iter().flat_map(Worker::names).collect())?;
        self.events.check(&self.deployment.audits(), &attempts, patience)?;
        self.shared.report(|report| report.count(&attempts));
        Ok(())
    }

    pub(super) fn came(&self, fault: &Fault) {
        self.shared.report(|report| *report.faults.entry(fault.name()).or_default() += 1);
    }

    pub(super) fn missed(&self, fault: &Fault) {
        self.shared.report(|report| *report.not_reached.entry(fault.name()).or_default() += 1);
    }
}

pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, Result<T, Trouble>>) -> Result<T, Trouble> {
    thread.join().unwrap_or_else(|_| Err(Trouble::Setup("a worker's thread panicked".into())))
}
