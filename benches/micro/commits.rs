//! Durable commits by many writers: through everything, through the store, and by the engine alone.
use crate::Outcome;
use crate::operations::now;
use crate::world::{World, entry};
use bytes::Bytes;
use claviger::call::Arrival;
use claviger::seal::Table;
use claviger::store::{Backend, Commit, Embedded, Record, Revision, row_key};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const WRITERS: usize = 64;
const ROW_BYTES: usize = 600;
const RUN: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    text: String,
}

impl Record for Row {
    const TABLE: Table = Table::new("bench");
    const CACHED: bool = false;
}

/// Runs `work` from all writers at once and prints its rate.
pub async fn rate<F: Future<Output = Outcome<()>> + Send>(
    name: &str,
    work: impl Fn(u64) -> F + Send + Sync + 'static,
) -> Outcome<()> {
    let (work, next) = (Arc::new(work), Arc::new(AtomicU64::new(1)));
    let end = now() + RUN;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (work, next) = (work.clone(), next.clone());
            tokio::spawn(async move {
                let (mut done, mut failed) = (0_u64, None);
                while failed.is_none() && now() < end {
                    let outcome = work(next.fetch_add(1, Ordering::Relaxed)).await;
                    failed = outcome.err().map(|error| error.to_string());
                    done += 1;
                }
                (done, failed)
            })
        })
        .collect();
    let mut total = 0;
    for writer in writers {
        let (done, failed) = writer.await?;
        failed.map_or(Ok(()), Err)?;
        total += done;
    }
    println!("| {name} | {:.0} |", total as f64 / RUN.as_secs_f64());
    Ok(())
}

/// A new directory.
pub fn at(dir: &Path, name: &str) -> Outcome<PathBuf> {
    let path = dir.join(name);
    std::fs::create_dir(&path)?;
    Ok(path)
}

/// What nothing that is durable can be faster than.
pub async fn engine_floor(dir: &Path) -> Outcome<()> {
    let engine = Arc::new(Embedded::open(dir)?);
    rate("the engine alone: one row of 600 bytes", move |n| {
        let engine = engine.clone();
        async move {
            let key = row_key(Row::TABLE, &[&format!("{n:020}")])?;
            let read = [(key.clone(), Revision(0))].into();
            let write = [(key, Some(Bytes::from(vec![7; ROW_BYTES])))].into();
            let commit = Commit { revision: Revision(n), read, write, ..Commit::default() };
            Ok(engine.commit(commit).await?)
        }
    })
    .await
}

/// The three ways, one after the other.
pub async fn run(dir: &Path) -> Outcome<()> {
    println!("\n| durable commits, {WRITERS} writers | per second |\n|---|---|");
    engine_floor(&at(dir, "engine")?).await?;
    let world = Arc::new(World::on_disk(&at(dir, "store")?).await?);
    let server = world.server.clone();
    rate("the store: the same row, sealed and summed", move |n| {
        let server = server.clone();
        async move {
            let mut tx = server.store.begin();
            tx.put(&[&format!("{n:020}")], Row { text: "x".repeat(ROW_BYTES - 150) })?;
            Ok(tx.commit().await?)
        }
    })
    .await?;
    let create = entry("kms", "CreateKey")?;
    rate("CreateKey: its rows and its outbox entry, then the audit log", move |n| {
        let world = world.clone();
        async move {
            // Each call its own event: the outbox knows them by it.
            let arrival = Arrival { event_id: format!("{n:036}").into(), ..world.arrival.clone() };
            let reply = create.run(&world.server, &world.caller, &arrival, b"{}").await;
            reply.map(drop).map_err(|fault| format!("{fault:?}").into())
        }
    })
    .await
}
