//! What the parts of a call cost, in this process and without HTTP, under the product's allocator.
//!
//! ```text
//! cargo bench --bench micro                 everything
//! cargo bench --bench micro -- decrypt      only what has this in its name
//! cargo bench --bench micro -- operations   every cryptographic operation with every kind of key
//! cargo bench --bench micro -- --quick      fewer and shorter batches of those
//! cargo bench --bench micro -- secrets      reads hot and cold, batches, durable writes, pages of 100 000
//! cargo bench --bench micro -- timing       whether the time of a refusal tells why
//! ```
mod authentication;
mod commits;
#[path = "../operations/mod.rs"]
mod operations;
mod parts;
mod policies;
mod secrets;
mod table;
mod timing;
mod world;

use claviger::memory::ZeroingAllocator;
use std::process::ExitCode;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[global_allocator]
static ALLOCATOR: ZeroingAllocator<mimalloc::MiMalloc> = ZeroingAllocator(mimalloc::MiMalloc);

fn run() -> Outcome<()> {
    let (flags, names): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let wanted = names.first().map(|name| name.to_lowercase());
    let wants =
        |name: &str| wanted.as_deref().is_none_or(|wanted| name.to_lowercase().contains(wanted));
    let quick = flags.iter().any(|flag| flag == "--quick");
    let effort = if quick { timing::Effort::QUICK } else { timing::Effort::FULL };
    // Beside the build and not in /tmp, which may be memory: a sync must reach a disk.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!("| part | min ns | median ns |\n|---|---|---|");
    parts::signature(&wants)?;
    policies::decision(&wants)?;
    policies::wildcards(&wants)?;
    parts::sealing(&wants)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    parts::calls(&wants, &runtime, dir.path())?;
    policies::call(&wants, &runtime, dir.path())?;
    table::run(&wants, &runtime, dir.path(), effort)?;
    authentication::run(&wants, &runtime, dir.path())?;
    secrets::run(&wants, &runtime, dir.path(), effort)?;
    if wants("commits") {
        tokio::runtime::Runtime::new()?.block_on(commits::run(dir.path()))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("micro: {error}");
            ExitCode::FAILURE
        }
    }
}
