#!/usr/bin/python3
"""Numbers and sizes that end a run, or must not: test_numbers.py TAXON STOP.so

A part of tests/faults/diverge.py and sizes.py: one number that is none for each model, steps of 1e10, awkward data, layers that no
machine holds, one bad run among a hundred."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "faults"))
import diverge
import sizes
import taxon as tx

if len(sys.argv) != 3:
    raise SystemExit("usage: test_numbers.py TAXON STOP.so")
command, failures = [os.path.realpath(p) for p in sys.argv[1:]], tx.Failures()
diverge.all_of(*command, 1, list(tx.MODELS), ("sgd",), failures)
sizes.all_of(command[0], failures, ("few bits", "one value", "constant bits"))
failures.end()
