"""An independent evaluator of IAM policies, npm's @cloud-copilot/iam-simulate, is asked what claviger's own
decided: all files of tests/it/policies/ that can be put to it, and made-up cases. It runs as a process
of its own. Where the two may differ, and who is right, stands in policies/compare.mjs.
"""

import json
import os
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# Of those that have nothing about which the two are known to differ.
AT_LEAST = 2000


def compare():
    with tempfile.TemporaryDirectory() as folder:
        questions = pathlib.Path(folder) / "questions.jsonl"
        # As the tests in Rust were built: with the workspace's features, nothing is compiled again.
        words = "cargo test --quiet --workspace --lib --locked --offline policy::tests::sample".split()
        environment = {**os.environ, "CLAVIGER_WRITE_DECISIONS": str(questions)}
        done = subprocess.run(
            words, cwd=HERE.parent.parent, env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        done = subprocess.run(
            ["node", "compare.mjs", questions],
            cwd=HERE / "policies", capture_output=True, text=True, timeout=300,
        )
    assert done.returncode == 0, done.stdout + done.stderr[:8000]
    counts = json.loads(done.stdout)
    assert counts["plain"] >= AT_LEAST, done.stdout
