#!/usr/bin/env bash
# Prepares a SoftHSM token in a directory of its own: token.sh DIR [LABEL]
#
# DIR gets softhsm2.conf, tokens/, and the PINs in pin and so-pin, readable by the owner alone.
# May be run again: a token that is there is left alone. Prints the SOFTHSM2_CONF line to export.
set -euo pipefail

usage() { echo "usage: token.sh DIR [LABEL]" >&2; exit 2; }
[ $# -ge 1 ] && [ $# -le 2 ] && [ -n "$1" ] || usage
label=${2:-claviger}
if [ -z "$label" ] || [ "$(printf %s "$label" | wc -c)" -gt 32 ]; then
    echo "token.sh: wanted a label of 1 to 32 bytes, found '$label'" >&2
    exit 2
fi

umask 077
mkdir -p -- "$1"
dir=$(cd -- "$1" && pwd)
chmod 700 -- "$dir"
mkdir -p -- "$dir/tokens"

# Written anew each time, so that a directory that was moved works again.
cat >"$dir/softhsm2.conf" <<CONF
directories.tokendir = $dir/tokens
objectstore.backend = file
slots.mechanisms = ALL
library.reset_on_fork = true
log.level = ERROR
CONF
export SOFTHSM2_CONF=$dir/softhsm2.conf

# 128 random bits in hexadecimal. Written once and never changed: the token knows them.
new_pin() {
    [ -s "$1" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$1"
    chmod 600 -- "$1"
}

slots=$(softhsm2-util --show-slots)
# Labels are shown padded with blanks.
if ! sed -n 's/^ *Label: *//p' <<<"$slots" | sed 's/ *$//' | grep -qxF -- "$label"; then
    new_pin "$dir/pin"
    new_pin "$dir/so-pin"
    # softhsm2-util takes PINs only as arguments, which other users of the machine could see
    # for the moment it runs. Where that matters let `claviger` initialise the token.
    softhsm2-util --init-token --free --label "$label" \
        --so-pin "$(cat "$dir/so-pin")" --pin "$(cat "$dir/pin")" >/dev/null
fi
echo "export SOFTHSM2_CONF=$dir/softhsm2.conf"
