#!/usr/bin/python3
"""Every model, stopped at a few drawn batches and gone on with: test_resume.py TAXON STOP.so (all batches: faults/resume.py)"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "faults"))
import resume

if len(sys.argv) != 3:
    raise SystemExit("usage: test_resume.py TAXON STOP.so")
resume.quick(os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]))
