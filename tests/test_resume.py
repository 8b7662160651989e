#!/usr/bin/python3
"""Runs that end early and go on: test_resume.py TAXON STOP.so

Every model stopped at a drawn batch; a few kills, signals and changed checkpoints. All of them: tests/faults/resume.py, kill.py,
signals.py and refuse.py."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "faults"))
import kill
import refuse
import resume
import signals
import taxon as tx

if len(sys.argv) != 3:
    raise SystemExit("usage: test_resume.py TAXON STOP.so")
command, failures = [os.path.realpath(p) for p in sys.argv[1:]], tx.Failures()
resume.quick(*command, failures)
kill.kills(*command, 5, failures)
signals.signals(*command, 1, failures)
refuse.refusals(*command, 1, failures)
failures.end()
