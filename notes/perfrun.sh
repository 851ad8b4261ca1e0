#!/bin/bash
# perfrun.sh BENCH CASE OUT perf-args...
B=$1; C=$2; O=$3; shift 3
cd /work/m7
$B --seconds 12 --only $C > /tmp/h7/tp1.out 2>&1 &
sleep 20; P=$(pgrep -f "release/claviger dev" | tail -1); echo pid $P
perf record "$@" -p $P -o $O -- sleep 6 2>&1 | tail -1
wait; cat /tmp/h7/tp1.out | tail -3
