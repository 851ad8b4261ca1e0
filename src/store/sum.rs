//! The sum over all rows, which every start compares with what the store says of itself.
//!
//! One walk goes over the whole tree, from its first row to its last: what lay between two walks would be
//! seen by neither. What is done with each row, others do meanwhile.
use super::backend::{Digest, Mark, StoreError};
use super::engine::{guarded, split};
use redb::{AccessGuard, Error, ReadOnlyTable};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Rows that change threads together.
const BATCH_ROWS: usize = 256;
/// Batches that may wait, for each thread.
const BATCHES_WAITING: usize = 4;

pub(super) type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

type Row = (AccessGuard<'static, &'static [u8]>, AccessGuard<'static, &'static [u8]>);
type Batches = Arc<Mutex<Receiver<Vec<Row>>>>;

/// The sum of all rows' marks, and how many rows there are.
pub(super) fn sum(rows: &Rows, mark: &Mark) -> Result<(Digest, u64), StoreError> {
    let threads = thread::available_parallelism().map_or(1, |all| NonZero::get(all).max(2) - 1);
    let (found, batches) = sync_channel(threads * BATCHES_WAITING);
    let batches: Batches = Arc::new(Mutex::new(batches));
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..threads {
            let batches = batches.clone();
            let work = move || work(rows, mark, &batches);
            match thread::Builder::new().name("store-sum".into()).spawn_scoped(scope, work) {
                Ok(worker) => workers.push(worker),
                // The others do it.
                Err(_) if !workers.is_empty() => break,
                Err(e) => return Err(StoreError::Unavailable(format!("no thread for a sum: {e}"))),
            }
        }
        // When the last worker is gone, nobody takes what is found.
        drop(batches);
        let walked = guarded(|| walk(rows, &found));
        drop(found);
        let (mut sum, mut count) = (Digest::default(), 0);
        let mut failed = walked.err();
        for worker in workers {
            match worker.join() {
                Ok(Ok((digest, rows))) => {
                    sum += digest;
                    count += rows;
                }
                Ok(Err(error)) => failed = Some(error),
                Err(_) => failed = Some(StoreError::Corrupt("a thread died over the rows".into())),
            }
        }
        failed.map_or(Ok((sum, count)), Err)
    })
}

/// Finds all rows, in their order. Ends early if nobody wants them any more.
fn walk(rows: &Rows, found: &SyncSender<Vec<Row>>) -> Result<(), Error> {
    let mut last = Vec::new();
    let mut batch: Vec<Row> = Vec::with_capacity(BATCH_ROWS);
    for row in rows.range::<&[u8]>(..)? {
        let row = row?;
        // An engine that walks in circles over a damaged file must not hold us for ever. No key is empty.
        if row.0.value() <= batch.last().map_or(&last[..], |(key, _)| key.value()) {
            return Err(Error::Corrupted("rows are out of order".into()));
        }
        batch.push(row);
        if batch.len() == BATCH_ROWS {
            last = batch.last().map(|(key, _)| key.value().to_vec()).unwrap_or_default();
            if found.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH_ROWS))).is_err() {
                return Ok(());
            }
        }
    }
    // Who is gone has an error to tell.
    let _ = found.send(batch);
    Ok(())
}

fn work(rows: &Rows, mark: &Mark, batches: &Batches) -> Result<(Digest, u64), StoreError> {
    let (mut sum, mut count) = (Digest::default(), 0);
    loop {
        let next = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = next else { return Ok((sum, count)) };
        guarded(|| {
            for (key, row) in &batch {
                // Damage above the rows can leave a walk whole and still lead a lookup astray.
                let reached = rows.get(key.value())?;
                if reached.is_none_or(|reached| reached.value() != row.value()) {
                    return Err(Error::Corrupted("a row cannot be found by its key".into()));
                }
                sum += mark(key.value(), split(row.value())?.0);
                count += 1;
            }
            Ok(())
        })?;
    }
}
