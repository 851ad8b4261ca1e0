"""Does what the README says under "## Five minutes": its `sh` blocks in order, in one shell.

The server runs already and its env file is sourced. `! command` in a block must be refused, which the
shell alone would not check. The clients are those of the tests' venv.
"""

import pathlib
import re
import subprocess
import sys

import harness

README = pathlib.Path(__file__).resolve().parent.parent.parent / "README.md"
HEADING = "## Five minutes"
PRELUDE = """\
. "$CLAVIGER_DEV/env"
refused() { if "$@"; then echo "not refused: $*"; exit 1; fi; }
"""


def blocks():
    text = README.read_text(encoding="utf-8")
    parts = re.split(rf"^{re.escape(HEADING)}.*$", text, flags=re.MULTILINE)
    assert len(parts) == 2, f"{README} has {len(parts) - 1} headings {HEADING!r}"
    section = re.split(r"^## ", parts[1], flags=re.MULTILINE)[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)


def run(results, server):
    results.run("tour: the README's five minutes", lambda: take(results, server))


def take(results, server):
    found = blocks()
    assert found, f"no ```sh block under {HEADING!r}"
    home = server.directory / "tour"
    home.mkdir()
    # Each block says on its way which one it is, so that a failure can be told.
    script = PRELUDE
    for number, block in enumerate(found, 1):
        block = re.sub(r"^! ", "refused ", block, flags=re.MULTILINE)
        script += f"echo {number} >>~/progress\n{block}\n"
    env = harness.client_environment()
    env["PATH"] = f"{pathlib.Path(sys.executable).parent}:{env['PATH']}"
    env["HOME"] = env["TMPDIR"] = str(home)
    # Where the README looks for the server's files, if it is not where `make run` keeps them.
    env["CLAVIGER_DEV"] = str(server.env_file.parent)
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail"],
        input=script,
        cwd=home,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    reached = len((home / "progress").read_text().splitlines())
    assert done.returncode == 0, (
        f"block {reached} of {len(found)} ended with {done.returncode}:\n"
        f"{found[reached - 1]}\nwhich printed, with all before it:\n{done.stdout}"
    )
    assert reached == len(found)
