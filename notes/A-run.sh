#!/bin/bash
# A-run.sh: builds lib, it, documents, architecture, process tests in one go under the lock and copies the binaries to /tmp/h7/A-bin.
cd /work/m7; export CARGO_INCREMENTAL=1 CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never CARGO_TARGET_DIR=/work/t8
mkdir -p /tmp/h7/A-bin
exec 9>/tmp/m7.lock; flock 9 || exit 1
date
cargo test --no-run --message-format=json -p claviger ${@:---lib --test it --test documents --test architecture --test process} > /tmp/h7/A-build.json 2> /tmp/h7/A-build.err
echo "rc $?"
python3 - <<'PY'
import json, shutil, os
for l in open('/tmp/h7/A-build.json'):
    m = json.loads(l)
    if m.get('reason') == 'compiler-message' and m['message'].get('rendered') and m['message']['level'] in ('error','warning'):
        print(m['message']['rendered'])
    if m.get('reason') == 'compiler-artifact' and m.get('executable') and m['profile']['test']:
        t = '/tmp/h7/A-bin/' + ('lib' if m['target']['kind'] != ['test'] else m['target']['name'])
        shutil.copy(m['executable'], t + '.new'); os.rename(t + '.new', t); print(t)
PY
date
cargo clippy --workspace --all-targets --locked -- -D warnings > /tmp/h7/A-clippy.out 2>&1; echo "clippy rc $?"; date
exit 0
