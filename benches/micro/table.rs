//! Every cryptographic operation with every kind of key: a call through the operation table, without
//! HTTP, beside the same cryptography without a call.
use crate::Outcome;
use crate::operations::{Case, Keys, Sampler, Work, raw_rsa_2048_decrypt};
use crate::timing::{Effort, beside};
use crate::world::{Forgetful, World, entry};
use claviger::primitives::KeySpec;
use serde_json::Value;
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Prints a row for each case that is wanted.
pub fn run(
    wants: &dyn Fn(&str) -> bool,
    runtime: &Runtime,
    dir: &Path,
    effort: Effort,
) -> Outcome<()> {
    let name = |case: &Case| format!("operations: {case}");
    let cases: Vec<Case> = Case::all().into_iter().filter(|case| wants(&name(case))).collect();
    if cases.is_empty() {
        return Ok(());
    }
    println!("\n| operation | min µs | median µs | bare, min µs | median µs | ratio |");
    println!("|---|---|---|---|---|---|");
    let world = runtime.block_on(World::in_memory(&dir.join("operations"), Arc::new(Forgetful)))?;
    let mut keys = Keys::default();
    for case in cases {
        let mut call =
            async |operation: &'static str, body: Value| world.call("kms", operation, &body).await;
        let body = runtime.block_on(keys.body(case, 0x5a, &mut call))?;
        let body = serde_json::to_vec(&body)?;
        let entry = entry("kms", &case.operation())?;
        runtime.block_on(world.run(entry, &body))?;
        let failed = Cell::new(false);
        let call = || {
            if runtime.block_on(world.run(entry, &body)).is_err() {
                failed.set(true);
            }
        };
        let (whole, alone) = beside(effort, call, case.bare()?.as_ref());
        row(&case.to_string(), &whole, alone.as_ref(), case.is_luck());
        if (case.work, case.spec) == (Work::Decrypt, KeySpec::Rsa2048) {
            let (whole, alone) = beside(effort, call, Some(&raw_rsa_2048_decrypt()?));
            row(&format!("{case}, beside raw aws-lc-rs"), &whole, alone.as_ref(), false);
        }
        if failed.get() {
            return Err(format!("{case}: a call failed").into());
        }
    }
    Ok(())
}

/// The ratio is that of the fastest batches.
fn row(name: &str, whole: &Sampler, alone: Option<&Sampler>, luck: bool) {
    let micros = |nanos: u128| format!("{:.1}", nanos as f64 / 1000.0);
    let (min, median) = whole.min_and_median();
    let (alone, ratio) = alone.map_or_else(
        || ("— | —".to_owned(), None),
        |alone| {
            let (alone_min, alone_median) = alone.min_and_median();
            let ratio = min as f64 / alone_min.max(1) as f64;
            (format!("{} | {}", micros(alone_min), micros(alone_median)), Some(ratio))
        },
    );
    let ratio = ratio.filter(|_| !luck).map_or("—".to_owned(), |ratio| format!("{ratio:.2}"));
    println!("| {name} | {} | {} | {alone} | {ratio} |", micros(min), micros(median));
}
