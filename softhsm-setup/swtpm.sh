#!/usr/bin/env bash
# Starts a software TPM with its state in a directory of its own: swtpm.sh DIR [PORT]
#
# DIR gets the TPM's state, its process id in swtpm.pid and what it says in swtpm.log, readable by
# the owner alone. It listens on 127.0.0.1, on PORT (default 2321) and on the next port up, and
# runs on in the background. May be run again: a TPM that runs on DIR is left alone; one that
# was stopped is started again on its state, as after a power cut. Prints how the TPM is reached.
set -euo pipefail

usage() { echo "usage: swtpm.sh DIR [PORT]" >&2; exit 2; }
[ $# -ge 1 ] && [ $# -le 2 ] && [ -n "$1" ] || usage
port=${2:-2321}
if ! [[ "$port" =~ ^[1-9][0-9]{0,4}$ ]] || [ "$port" -ge 65535 ]; then
    echo "swtpm.sh: wanted a port from 1 to 65534, found '$port'" >&2
    exit 2
fi
command -v swtpm >/dev/null || {
    echo "swtpm.sh: swtpm is not installed: run $(dirname -- "$0")/install.sh swtpm" >&2
    exit 1
}

umask 077
mkdir -p -- "$1"
dir=$(cd -- "$1" && pwd)
chmod 700 -- "$dir"

# Whether the process that wrote swtpm.pid is still that swtpm: numbers are used again.
runs() {
    [ -s "$dir/swtpm.pid" ] &&
        tr '\0' ' ' <"/proc/$(cat "$dir/swtpm.pid")/cmdline" 2>/dev/null | grep -qF -- "dir=$dir "
}

if ! runs; then
    swtpm socket --tpm2 --daemon --flags not-need-init,startup-clear \
        --tpmstate "dir=$dir" --pid "file=$dir/swtpm.pid" --log "file=$dir/swtpm.log" \
        --server "type=tcp,bindaddr=127.0.0.1,port=$port" \
        --ctrl "type=tcp,bindaddr=127.0.0.1,port=$((port + 1))" || {
        echo "swtpm.sh: swtpm does not start on ports $port and $((port + 1)): $(tail -n 1 "$dir/swtpm.log")" >&2
        exit 1
    }
    echo "$port" >"$dir/port"
fi
echo "swtpm:host=127.0.0.1,port=$(cat "$dir/port")"
