//! `claviger`: arguments → configuration → an assembled server → serve.
use claviger::memory::ZeroingAllocator;
use std::process::ExitCode;

/// Wipes what is freed: buffers of TLS, JSON and base64 keep copies of secrets that no type can wipe.
#[global_allocator]
static ALLOCATOR: ZeroingAllocator<mimalloc::MiMalloc> = ZeroingAllocator(mimalloc::MiMalloc);

fn main() -> ExitCode {
    claviger::cli::main()
}
