//! kill -9 in the middle of mixed writes, again and again. After every restart:
//!
//! - the server starts;
//! - every acknowledged effect is there, and nothing else than these and what was under way;
//! - what was under way when the kill came is there as a whole or not at all;
//! - what was encrypted under a key decrypts, however often the key was rotated since;
//! - every acknowledged call has its event exactly once, an unacknowledged one has it exactly if its
//!   effect is there.
//!
//! Two hundred rounds (`CLAVIGER_KILL_ROUNDS` overrides), in eras of [`ROUNDS_OF_AN_ERA`] with a
//! deployment each, so that checking everything stays quick. The first era of the two lanes has a
//! SoftHSM token, the others the insecure software root: what is killed here is the store and the
//! log, and SoftHSM in a debug build would take most of the time for its own start.
mod check;
mod operation;
mod worker;

pub use operation::user_policy;

use crate::client::Client;
use crate::harness::{Numbers, machine, now};
use crate::setup::Deployment;
use check::Log;
use operation::{Attempt, Ids, Outcome, SHARED};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use worker::Worker;

const ROUNDS: u64 = 200;
const ROUNDS_OF_AN_ERA: u64 = 20;
const LANES: u64 = 2;
const WORKERS: usize = 6;
/// How long the load lasts before the kill, in milliseconds; and at least until so many writes are
/// acknowledged, however slow the machine, unless that takes [`PATIENCE`].
const LOAD_MS: std::ops::Range<u64> = 20..240;
const LOAD_WRITES: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(20);

/// Writes that were acknowledged; that were under way; of these, that had been carried out; and how
/// often keys were rotated.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: AtomicU64,
    lost: AtomicU64,
    applied: AtomicU64,
    rotations: AtomicU64,
}

impl Tally {
    fn add(&self, attempts: &[Attempt]) {
        for attempt in attempts.iter().filter(|a| a.operation.effect.is_some()) {
            let lost = attempt.outcome == Outcome::Lost;
            let count = if lost { &self.lost } else { &self.acknowledged };
            count.fetch_add(1, Ordering::Relaxed);
            if lost && attempt.applied {
                self.applied.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[test]
fn acknowledged_effects_and_their_events_outlive_kills() {
    let _busy = machine(false);
    let rounds = std::env::var("CLAVIGER_KILL_ROUNDS").ok();
    let rounds = rounds.map_or(ROUNDS, |text| text.parse().unwrap());
    let (next, tally, began) = (AtomicU64::new(0), Tally::default(), now());
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let era = next.fetch_add(1, Ordering::Relaxed);
                    let first = era * ROUNDS_OF_AN_ERA;
                    if first >= rounds {
                        break;
                    }
                    live(era, ROUNDS_OF_AN_ERA.min(rounds - first), &tally);
                }
            });
        }
    });
    let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let (acknowledged, lost) = (count(&tally.acknowledged), count(&tally.lost));
    eprintln!(
        "{rounds} kills in {:?}: {acknowledged} writes acknowledged, {lost} under way, of which {} \
         had been carried out; {} rotations of keys",
        began.elapsed(),
        count(&tally.applied),
        count(&tally.rotations)
    );
    assert!(acknowledged > rounds * 5 && lost > rounds, "too little load to tell anything");
    assert!(count(&tally.rotations) > rounds / 8, "too few rotations to tell anything");
}

/// A deployment that is killed `rounds` times and then stopped.
fn live(era: u64, rounds: u64, tally: &Tally) {
    let deployment = Deployment::new(era == 0);
    let (mut numbers, ids, mut log) = (Numbers(era), Ids::default(), Log::default());
    let mut workers: Vec<Worker> =
        (0..WORKERS).map(|n| Worker::new(format!("{era}/{n}"), numbers.next())).collect();
    let audit = deployment.data().join("audit");
    for round in 0..=rounds {
        let last = round == rounds;
        let mut process = deployment.serve();
        if round == 0 {
            let shared = json!({"Description": SHARED});
            deployment.client(&process).kms("CreateKey", shared).unwrap();
        }
        check::adopt(&mut deployment.client(&process), &ids);
        let attempts =
            each(&mut workers, |worker| worker.check(&mut deployment.client(&process), &ids, last));
        let attempts: Vec<Attempt> = attempts.into_iter().flatten().collect();
        check::lists(&mut deployment.client(&process), &ids);
        log.check(&audit, &attempts);
        tally.add(&attempts);
        if last {
            let rotations = log.check_rotations(&mut deployment.client(&process), &ids);
            tally.rotations.fetch_add(rotations as u64, Ordering::Relaxed);
            assert_eq!(process.stop().status.code(), Some(0));
            return;
        }
        let load = LOAD_MS.start + numbers.below(LOAD_MS.end - LOAD_MS.start);
        let (address, admin) = (process.address, &deployment.admin);
        let (written, began) = (AtomicU64::new(0), now());
        std::thread::scope(|scope| {
            for worker in &mut workers {
                let (ids, written) = (&ids, &written);
                let mut client = Client::new(address, &admin.0, &admin.1);
                scope.spawn(move || worker.load(&mut client, ids, written));
            }
            std::thread::sleep(Duration::from_millis(load));
            while written.load(Ordering::Relaxed) < LOAD_WRITES && began.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
            process.kill();
        });
    }
}

/// Lets all workers do something at the same time.
fn each<T: Send>(workers: &mut [Worker], work: impl Fn(&mut Worker) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            workers.iter_mut().map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
