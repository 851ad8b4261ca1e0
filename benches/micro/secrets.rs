//! Secrets Manager: reads hot and cold, many at once, durable writes, a page of very many secrets.
use crate::Outcome;
use crate::commits::{at, engine_floor, rate};
use crate::operations::{Bare, now};
use crate::parts::{KEY_ID, Wants};
use crate::timing::{Effort, beside, time};
use crate::world::{ACCOUNT, Forgetful, REGION, World, entry};
use claviger::call::Arrival;
use claviger::keys::ciphertext::{self, Blob, KeyIdBytes};
use claviger::last_use::Reads;
use claviger::random::SystemRandom;
use claviger::types::{AccountId, Arn, Principal, Timestamp};
use serde_json::json;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// More than the store keeps decoded in memory, two rows each.
const COLD_SECRETS: usize = 40_000;
const MANY_SECRETS: usize = 100_000;
/// Puts go round these, so that none has more versions than a secret may have.
const WRITTEN_SECRETS: u64 = 4000;
const BATCH: usize = 20;

fn creation(n: usize) -> Vec<u8> {
    let body = json!({
        "Name": format!("bench/{n:06}"),
        "SecretString": "{\"username\":\"app\",\"password\":\"0123456789abcdef\"}",
        "ClientRequestToken": KEY_ID,
    });
    body.to_string().into_bytes()
}

fn reading(n: usize) -> Vec<u8> {
    json!({"SecretId": format!("bench/{n:06}")}).to_string().into_bytes()
}

/// Creates so many secrets, many at once: on disk they share their syncs. A call is an event of its own,
/// which the outbox knows it by.
async fn create(world: &Arc<World>, count: usize) -> Outcome<()> {
    const AT_ONCE: usize = 256;
    let create = entry("secretsmanager", "CreateSecret")?;
    let mut calls = JoinSet::new();
    for n in 0..count {
        let world = world.clone();
        calls.spawn(async move {
            let arrival = Arrival { event_id: format!("{n:036}").into(), ..world.arrival.clone() };
            let reply = create.run(&world.server, &world.caller, &arrival, &creation(n)).await;
            reply.map(drop).map_err(|fault| format!("{fault:?}"))
        });
        if calls.len() >= AT_ONCE
            && let Some(done) = calls.join_next().await
        {
            done??;
        }
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    Ok(())
}

/// The cryptography that a GetSecretValue cannot do without: its data key is opened, then its value.
fn floor() -> Outcome<Bare> {
    const KEY: [u8; 32] = [7; 32];
    let id: KeyIdBytes = KEY_ID.parse()?;
    let context: BTreeMap<String, String> = [
        ("SecretARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:bench/000000-Ab12Cd"),
        ("SecretVersionId", KEY_ID),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let wrapped = ciphertext::seal(&KEY, id, [1; 16], &context, &SystemRandom, &[0x5a; 32])?;
    let value = ciphertext::seal(&KEY, id, [1; 16], &context, &SystemRandom, &[0x5a; 48])?;
    let open = move |blob: &[u8]| {
        let blob = Blob::parse(blob).ok();
        blob.is_some_and(|blob| blob.open(&KEY, &context).is_ok())
    };
    Bare::new(move || open(&wrapped) && open(&value))
}

/// Prints a row: the call, what it is held against, and the ratio of the fastest batches.
fn row(name: &str, effort: Effort, work: impl FnMut() -> bool, bare: &Bare) {
    let (whole, alone) = beside(effort, work, Some(bare));
    let micros = |nanos: u128| nanos as f64 / 1000.0;
    let (min, median) = whole.min_and_median();
    let Some(alone) = alone else { return };
    let (bare_min, _) = alone.min_and_median();
    let ratio = min as f64 / bare_min.max(1) as f64;
    let [min, median, bare_min] = [min, median, bare_min].map(micros);
    println!("| {name} | {min:.1} | {median:.1} | {bare_min:.1} | {ratio:.1} |");
}

/// With `--quick` so many times fewer secrets, to see that it works: cold is then not cold.
const QUICK_SHARE: usize = 20;

/// Everything of this file, if its name is asked for.
pub fn run(wants: Wants<'_>, runtime: &Runtime, dir: &Path, effort: Effort) -> Outcome<()> {
    if !wants("secrets") {
        return Ok(());
    }
    noting()?;
    println!("\n| secrets | min µs | median µs | bare, min µs | ratio |\n|---|---|---|---|---|");
    let quick = effort.batches < Effort::FULL.batches;
    let share = if quick { QUICK_SHARE } else { 1 };
    reads(runtime, dir, effort, COLD_SECRETS / share)?;
    page(runtime, dir, MANY_SECRETS / share)?;
    let writers = Runtime::new()?;
    writers.block_on(writes(dir))
}

/// What the version drain adds to each read.
fn noting() -> Outcome<()> {
    let account: AccountId = ACCOUNT.parse()?;
    let secret: Arn =
        format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:a-Ab12Cd").parse()?;
    let (reads, who) = (Reads::default(), Principal::root(&account));
    reads.note(&secret, KEY_ID, &who, Timestamp(0));
    time("secrets: a read noted for the version drain", || {
        reads.note(&secret, KEY_ID, &who, Timestamp(1));
    });
    Ok(())
}

fn reads(runtime: &Runtime, dir: &Path, effort: Effort, cold: usize) -> Outcome<()> {
    let floor = floor()?;
    let get = entry("secretsmanager", "GetSecretValue")?;
    let failed = Cell::new(false);
    let checked = |ok: bool| {
        failed.set(failed.get() || !ok);
        ok
    };

    let dir_of_world = dir.join("hot");
    let world = World::in_memory(&dir_of_world, Arc::new(Forgetful));
    let world = Arc::new(runtime.block_on(world)?);
    runtime.block_on(create(&world, BATCH))?;
    let hot = reading(0);
    let one = || checked(runtime.block_on(world.run(get, &hot)).is_ok());
    row("GetSecretValue, hot", effort, one, &floor);
    let names: Vec<String> = (0..BATCH).map(|n| format!("bench/{n:06}")).collect();
    let batch = json!({"SecretIdList": names}).to_string().into_bytes();
    let entry_of_batch = entry("secretsmanager", "BatchGetSecretValue")?;
    let whole = runtime.block_on(world.run(entry_of_batch, &batch))?;
    let answer: serde_json::Value = serde_json::from_slice(&whole)?;
    let answered = answer.get("SecretValues").and_then(|values| values.as_array()).map(Vec::len);
    if answered != Some(BATCH) {
        return Err(format!("a batch of {BATCH} answers {answered:?}").into());
    }
    let many = || checked(runtime.block_on(world.run(entry_of_batch, &batch)).is_ok());
    row("BatchGetSecretValue of 20", effort, many, &floor);
    drop(world);

    let dir_of_world = dir.join("cold");
    let world = World::with_store_on_disk(&dir_of_world, Arc::new(Forgetful));
    let world = Arc::new(runtime.block_on(world)?);
    let began = now();
    runtime.block_on(create(&world, cold))?;
    let took = began.elapsed();
    eprintln!("{cold} secrets made on disk: {:.1} s", took.as_secs_f64());
    // Each is read on this day already: what is measured writes nothing.
    for n in 0..cold {
        runtime.block_on(world.run(get, &reading(n)))?;
    }
    let bodies: Vec<Vec<u8>> = (0..cold).map(reading).collect();
    let mut next = bodies.iter().cycle();
    let one = || {
        let body = next.next().map(Vec::as_slice).unwrap_or_default();
        checked(runtime.block_on(world.run(get, body)).is_ok())
    };
    row("GetSecretValue, cold: not in the store's memory", effort, one, &floor);
    if failed.get() {
        return Err("a read failed".into());
    }
    Ok(())
}

fn page(runtime: &Runtime, dir: &Path, many: usize) -> Outcome<()> {
    let dir_of_world = dir.join("many");
    let world = World::in_memory(&dir_of_world, Arc::new(Forgetful));
    let world = Arc::new(runtime.block_on(world)?);
    runtime.block_on(create(&world, many))?;
    let list = entry("secretsmanager", "ListSecrets")?;
    println!("\n| pages of 100 in {many} secrets | µs |\n|---|---|");
    let name = json!([{"Key": "name", "Values": ["bench/0990"]}]);
    let word = json!([{"Key": "all", "Values": ["0990"]}]);
    for (what, body) in [
        ("ListSecrets, the first page", json!({})),
        ("ListSecrets by name", json!({"SortBy": "name"})),
        ("ListSecrets with a filter of the name", json!({"Filters": name})),
        ("ListSecrets with another filter: all are read", json!({"Filters": word})),
    ] {
        let body = body.to_string().into_bytes();
        let mut fastest = u128::MAX;
        for _ in 0..5 {
            let began = now();
            runtime.block_on(world.run(list, &body))?;
            fastest = fastest.min(began.elapsed().as_micros());
        }
        println!("| {what} | {fastest} |");
    }
    // A page in the middle.
    let first = world.run(list, b"{}");
    let first: serde_json::Value = serde_json::from_slice(&runtime.block_on(first)?)?;
    let mut token = first.get("NextToken").cloned();
    for _ in 0..5 {
        let body = json!({"NextToken": token}).to_string().into_bytes();
        let began = now();
        let page = runtime.block_on(world.run(list, &body))?;
        let took = began.elapsed().as_micros();
        let page: serde_json::Value = serde_json::from_slice(&page)?;
        token = page.get("NextToken").cloned();
        println!("| ListSecrets, a page that follows | {took} |");
    }
    Ok(())
}

/// Durable writes: the store and the audit log on disk.
async fn writes(dir: &Path) -> Outcome<()> {
    println!("\n| durable writes, 64 writers | per second |\n|---|---|");
    engine_floor(&at(dir, "secrets-engine")?).await?;
    let world = Arc::new(World::on_disk(&at(dir, "secrets-store")?).await?);
    create(&world, usize::try_from(WRITTEN_SECRETS)?).await?;
    let put = entry("secretsmanager", "PutSecretValue")?;
    rate("PutSecretValue: its rows and its outbox entry, then the audit log", move |n| {
        let world = world.clone();
        async move {
            let event = n.saturating_add(WRITTEN_SECRETS);
            let arrival =
                Arrival { event_id: format!("{event:036}").into(), ..world.arrival.clone() };
            let body = json!({
                "SecretId": format!("bench/{:06}", n % WRITTEN_SECRETS),
                "SecretString": "{\"username\":\"app\",\"password\":\"fedcba9876543210\"}",
                "ClientRequestToken": format!("{n:036}"),
            });
            let body = body.to_string().into_bytes();
            let reply = put.run(&world.server, &world.caller, &arrival, &body).await;
            reply.map(drop).map_err(|fault| format!("{fault:?}").into())
        }
    })
    .await
}
