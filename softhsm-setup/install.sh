#!/usr/bin/env bash
# Installs what is missing on Debian or Ubuntu: install.sh PART...
#
#   softhsm   SoftHSM 2 (also when no argument is given)
#   tpm       the TPM libraries (libtss2) that the server is built with and runs with
#   swtpm     a software TPM, its maker's tools and tpm2-tools, for the tests with a TPM
#   nss       Mozilla's NSS: another vendor's PKCS#11 module, for the tests, and certutil
#   cc        a C compiler and linker: Rust links with it, and aws-lc is written in C
#   python    Python 3 with venv, for the tests with AWS's clients and of rotation functions
#   openssl   the program, for the tests with others' cryptography
#   curl      the program, for the tests of the XKS proxy
#   procps    kill and its like as programs, for the tests with processes
#   node      Node.js and npm, for the comparison with another evaluator of policies
#   make      make
#   postgresql, mariadb
#             the database servers, for the tests of rotation; none is started
#
# As root or with sudo; quiet; asks nothing; may be run again. Does nothing at all, and needs
# neither root nor a network, where everything is there.
set -euo pipefail

have_command() { command -v "$1" >/dev/null; }
have_softhsm() { have_command softhsm2-util; }
have_tpm() { have_command pkg-config && pkg-config --exists tss2-esys tss2-mu tss2-sys tss2-tctildr; }
have_swtpm() { have_command swtpm && have_command swtpm_localca && have_command tpm2_clear; }
# The library has no program that finds it, and no folder that is the same everywhere.
have_nss() {
    have_command certutil &&
        { compgen -G '/usr/lib/*/libsoftokn3.so' || compgen -G '/usr/lib/*/nss/libsoftokn3.so' ||
            compgen -G '/usr/lib64/libsoftokn3.so'; } >/dev/null
}
have_cc() { have_command cc && cc -E -xc - <<<'#include <stdlib.h>' >/dev/null 2>&1; }
have_python() { have_command python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }
have_openssl() { have_command openssl; }
have_curl() { have_command curl; }
# The shell has a kill of its own.
have_procps() { [ -n "$(type -P kill)" ]; }
have_node() { have_command node && have_command npm; }
have_make() { have_command make; }
# Debian keeps PostgreSQL's programs out of the path, each version in a folder of its own.
have_postgresql() { have_command initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
have_mariadb() { have_command mariadb-install-db && { have_command mariadbd || [ -x /usr/sbin/mariadbd ]; }; }

declare -A packages_of=(
    [softhsm]=softhsm2 [tpm]="libtss2-dev pkg-config" [swtpm]="swtpm swtpm-tools tpm2-tools"
    [nss]="libnss3 libnss3-tools"
    [cc]="gcc libc6-dev" [python]="python3 python3-venv"
    [openssl]=openssl [curl]=curl [procps]=procps [node]="nodejs npm" [make]=make
    [postgresql]=postgresql [mariadb]=mariadb-server
)
missing=()
packages=()
for part in "${@:-softhsm}"; do
    if [ -z "${packages_of[$part]:-}" ]; then
        echo "usage: install.sh [softhsm|nss|tpm|swtpm|cc|python|openssl|curl|procps|node|make|postgresql|mariadb]..." >&2
        exit 2
    fi
    if ! "have_$part"; then
        missing+=("$part")
        # shellcheck disable=SC2206  # several packages are several words
        packages+=(${packages_of[$part]})
    fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! have_command apt-get; then
    echo "install.sh: missing: ${missing[*]}; no apt-get here: install ${packages[*]} by other means" >&2
    exit 1
fi
as_root=(env)
if [ "$(id -u)" -ne 0 ]; then
    have_command sudo || { echo "install.sh: run as root, or install sudo" >&2; exit 1; }
    as_root=(sudo env)
fi
as_root+=(DEBIAN_FRONTEND=noninteractive)

# Silent unless it fails.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Debian starts the servers that it installs. Here nothing runs but what a test starts.
never=/usr/sbin/policy-rc.d
if [[ " ${missing[*]} " =~ " postgresql "|" mariadb " ]] && [ ! -e "$never" ]; then
    trap 'rm -f "$log"; "${as_root[@]}" rm -f "$never"' EXIT
    "${as_root[@]}" sh -c 'printf "#!/bin/sh\nexit 101\n" >"$1" && chmod 755 "$1"' sh "$never"
fi
if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}"; } \
    </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
hash -r
for part in "${missing[@]}"; do
    "have_$part" || { echo "install.sh: installed ${packages[*]}, but $part is still missing" >&2; exit 1; }
done
