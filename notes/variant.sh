#!/bin/bash
# variant.sh NAME ENV... : release bench of /work/x7 with profile settings
N=$1; shift
cd /work/x7; export CARGO_TARGET_DIR=/work/tx7 CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never CARGO_INCREMENTAL=0
for e in "$@"; do export "$e"; done
date
chrt -i 0 cargo bench --no-run --bench throughput 2>&1 | grep -v Compiling
date
mkdir -p /work/v7/$N/release; cp /work/tx7/release/claviger /work/v7/$N/release/; cp $(ls -t /work/tx7/release/deps/throughput-* | grep -v '\.d$' | head -1) /work/v7/$N/throughput
ls -la /work/v7/$N
