#!/usr/bin/python3
"""Signals at drawn batches: signals.py TAXON STOP.so [COUNT]

COUNT times each SIGINT, SIGTERM, SIGUSR1, SIGHUP, and two SIGINTs: the run stands still at a drawn batch while its comparison gets
the signal, and goes on then. Exit code 75 with a checkpoint, or 130, within two seconds; the same command ends with the same bytes."""
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import resume
import taxon as tx

CASES = {"SIGINT": 75, "SIGTERM": 75, "SIGUSR1": 75, "SIGHUP": 75, "SIGINT SIGINT": 130}
LIMIT = 2.0


def child_of(pid):
    """The run's process once it stands still; None when the comparison has ended before."""
    while True:
        try:
            for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                if pathlib.Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T":
                    return int(child)
        except (FileNotFoundError, ProcessLookupError):
            pass
        if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return None
        time.sleep(0.002)


def told(pid):
    """Does its comparison's SIGTERM wait for it?"""
    pending = re.search(r"ShdPnd:\s*(\w+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(pending[1], 16) >> signal.SIGTERM - 1 & 1


def once(m, names, look, failures):
    """Seconds from the last signal to the end."""
    out, what = m.base / "out", f"{names} at look {look}"
    command = [m.taxon, "run", m.base / "config.yaml", "--out", out, "--jobs", "1", "--threads", "1", "--progress", "none", "--reproducible"]
    env = {**os.environ, "LD_PRELOAD": str(m.shim), "TAXON_STOP": f"{int(signal.SIGSTOP)} clock {look}"}
    p = subprocess.Popen(list(map(str, command)), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                         text=True, preexec_fn=tx.hear_signals)
    child = child_of(p.pid)
    if not failures.check(child, f"{what}: the run ended before"):
        return 0
    numbers = [getattr(signal, n) for n in names.split()]
    for i, n in enumerate(numbers):
        time.sleep(0.3 if i else 0)  # two at once would be one
        os.kill(p.pid, n)
        start = time.monotonic()
    while len(numbers) == 1 and p.poll() is None and not told(child):
        time.sleep(0.002)
    if len(numbers) == 1:
        os.kill(child, signal.SIGCONT)
    words = p.communicate(timeout=60)[1]
    seconds = time.monotonic() - start
    failures.check(p.returncode == CASES[names], f"{what}: exit code {p.returncode}: {words}")
    failures.check(seconds < LIMIT, f"{what}: ended after {seconds:.2f} s")
    failures.check(not pathlib.Path(f"/proc/{child}").exists(), f"{what}: the run's process is still there")
    failures.check((m.folder(out) / "checkpoint.h5").exists() == (CASES[names] == 75), f"{what}: checkpoint.h5")
    m.finish("bytes", out, what)
    return seconds


def signals(taxon, shim, count, failures):
    draw = random.Random(2385)
    with tempfile.TemporaryDirectory(prefix="taxon signals ") as base, tempfile.TemporaryDirectory(prefix="taxon-") as shims:
        m = resume.Model(taxon, shutil.copy(shim, shims), pathlib.Path(base), "vae", failures)
        for names, code in CASES.items():
            seconds = [once(m, names, draw.randrange(2, resume.LOOKS * resume.EPOCHS * resume.BATCHES), failures) for _ in range(count)]
            print(f"{names}: {count} times, exit code {code} after {max(seconds):.3f} s at most", flush=True)


if __name__ == "__main__":
    tx.with_shim(signals, __doc__.splitlines()[0], 20)
