#!/bin/bash
# run.sh ARGS: cargo nextest run ARGS in /work/m7. Builds under an exclusive lock, runs outside of it.
cd /work/m7; export CARGO_INCREMENTAL=1 CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never CARGO_TARGET_DIR=/work/t8
sel=(); for a in "$@"; do case $a in -E|--no-capture|--retries*|-j*) break;; esac; sel+=("$a"); done
keep=(); while [ ${#sel[@]} -gt 0 ]; do case ${sel[0]} in -p|--test|--bin|--bench) keep+=("${sel[0]}" "${sel[1]}"); sel=("${sel[@]:2}");; --lib|--workspace|--bins|--tests) keep+=("${sel[0]}"); sel=("${sel[@]:1}");; *) sel=("${sel[@]:1}");; esac; done
flock /tmp/m7.lock cargo nextest run --no-run "${keep[@]}" 2>&1 | grep -v "^ *\(Compiling\|Checking\|Blocking\)" | tail -${LINES_MAX:-150}
[ ${PIPESTATUS[0]} = 0 ] || exit 1
cargo nextest run --no-fail-fast --status-level fail --final-status-level slow "$@" 2>&1 | grep -v "^ *\(Compiling\|Checking\|Blocking\)" | tail -${LINES_MAX:-150}
