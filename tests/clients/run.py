#!/usr/bin/env python3
"""Runs unmodified AWS clients against the server, and fails loudly.

    .venv/bin/python tests/clients/run.py [--server PROGRAM] [PART]...

A part is `vectors`, `other_evaluator` or one of SERVED, which get a `claviger dev` of their own each: a free port, a new
SoftHSM token, an empty store; or what their `serve` makes. `make test-clients` installs and builds what is needed first.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import boto
import boto_iam
import boto_services
import cli
import cli_iam
import cli_kms
import cli_secrets
import encryption_sdk
import functions
import harness
import imports
import interop
import machines
import other_evaluator
import tour

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SERVED = (cli, cli_kms, cli_iam, cli_secrets, boto, boto_iam, boto_services, imports, interop, machines, encryption_sdk, functions, tour)


def built_program():
    """The server as the tests' build left it, wherever cargo builds."""
    words = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"]
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    return pathlib.Path(json.loads(done.stdout)["target_directory"]) / "debug" / "claviger"


def vectors():
    done = subprocess.run(
        [sys.executable, HERE / "vectors.py"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", type=pathlib.Path, help="default: the tests' build")
    parser.add_argument("parts", nargs="*", metavar="PART")
    arguments = parser.parse_args()
    parts = arguments.parts or ["vectors", "other_evaluator", *(module.__name__ for module in SERVED)]
    program = (arguments.server or built_program()).resolve()
    if not program.exists():
        sys.exit(f"run.py: {program} is missing: run `make test-clients`")

    # For this process too: boto3 runs in it, and no proxy is to be asked for the server.
    environment = harness.client_environment()
    os.environ.clear()
    os.environ.update(environment)
    results = harness.Results()
    if "vectors" in parts:
        results.run("vectors: the formats, from the outside", vectors)
    if "other_evaluator" in parts:
        results.run("other_evaluator: an independent one decides alike", other_evaluator.compare)
    for module in SERVED:
        if module.__name__ in parts:
            served(results, program, module)
    print(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed or not results.passed else 0


def served(results, program, module):
    """Runs a module's tests against a server, whose own end is a test too."""

    def all_of_it():
        with getattr(module, "serve", harness.Server)(program) as server:
            module.run(results, server)
            server.stop()

    results.run(f"{module.__name__}: the server starts, stops and logs no error", all_of_it)


if __name__ == "__main__":
    sys.exit(main())
