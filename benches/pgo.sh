#!/usr/bin/env bash
# Builds the server by what of it runs: one build counts while the benchmark loads it, and by its counts
# the compiler lays out the next one, so that what runs stands together. Both are release builds.
#
#   benches/pgo.sh          target/pgo/claviger, and how fast it is
#   benches/pgo.sh --tls    arguments go to the last `cargo bench --bench throughput`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=$PWD/target/pgo
# With a target, flags are not for build scripts and macros: they would count too.
target=$(rustc -vV | sed -n 's/^host: //p')
tools=$(rustc --print sysroot)/lib/rustlib/$target/bin
[ -x "$tools/llvm-profdata" ] || rustup component add llvm-tools
mkdir -p "$out"

build() {
    RUSTFLAGS="${RUSTFLAGS:-} $1" cargo build --release --locked --bin claviger --target "$target" --target-dir "$out/build"
    cp "$out/build/$target/release/claviger" "$2"
}

echo "1/3 the build that counts"
rm -rf "$out/counts"
build "-Cprofile-generate=$out/counts --cfg claviger_counts" "$out/counting"

echo "2/3 what runs"
export CLAVIGER_BENCH_PROGRAM=$out/counting
cargo bench --locked --bench throughput -- --seconds 5 --tls
cargo bench --locked --bench throughput -- --seconds 0.3 --operations
"$tools/llvm-profdata" merge -o "$out/counts.profdata" "$out/counts"

echo "3/3 the build by the counts"
build "-Cprofile-use=$out/counts.profdata" "$out/claviger"
CLAVIGER_BENCH_PROGRAM=$out/claviger cargo bench --locked --bench throughput -- --rounds 3 "$@"
echo "the server: ${out#"$PWD"/}/claviger"
