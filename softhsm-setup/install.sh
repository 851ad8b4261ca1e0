#!/usr/bin/env bash
# Installs SoftHSM, if it is missing, on Debian or Ubuntu. As root or with sudo; quiet; may be
# run again.
set -euo pipefail

if command -v softhsm2-util >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "install.sh: no apt-get here; install SoftHSM 2 (softhsm2-util) by other means" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "install.sh: run as root, or install sudo" >&2; exit 1; }
    as_root=(sudo)
fi

# Silent unless it fails.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends softhsm2; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
command -v softhsm2-util >/dev/null
