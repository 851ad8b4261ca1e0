"""Interoperability: what the server makes, others read, and the reverse. See outside.py for who."""

import os

import harness
import interop_encryption
import interop_pairs
import interop_signing
from harness import REGIONS
from outside import Interop


def run(results, server):
    prepare = lambda number: Interop(server, REGIONS[number % len(REGIONS)])
    for module in (interop_signing, interop_encryption, interop_pairs):
        harness.run_all(results, module, prepare, threads=os.cpu_count() or 2)
