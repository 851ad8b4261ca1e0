#!/bin/bash
cd /work/m7; export CARGO_INCREMENTAL=1 CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never CARGO_TARGET_DIR=/work/t8
flock /tmp/m7.lock cargo clippy --workspace --all-targets --locked "$@" -- -D warnings 2>&1 | grep -v "^ *\(Compiling\|Checking\|Blocking\)" | tail -${LINES_MAX:-200}
