#!/bin/bash
cd /work/m7; export CARGO_TARGET_DIR=/work/ts7 CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never CARGO_INCREMENTAL=0
exec cargo bench --no-run --bench throughput
