#!/usr/bin/python3
"""Stops every model at every batch and goes on with the same command: resume.py TAXON STOP.so [MODEL ...]

The finished file has the bytes of a run that was never stopped, under --reproducible, and its content_sha256 without."""
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import taxon as tx

CONFIG = """seeds: [3]
datasets: [{data}]
train: {{epochs: 3, batch: 8, schedule: cosine, clip_norm: 5}}
models: [{{model: {model}, {options}}}]
evaluate: {{estimators: [exact, elbo, {{estimator: parzen, n_sample: 20}}], n_sample: 4}}
"""
EPOCHS, BATCHES = 3, 10
LOOKS = 3  # at the clock, a batch


class Model:
    """One model's run, and what it is when nothing happens to it."""

    def __init__(self, taxon, shim, base, name, failures):
        kind, options = tx.MODELS[name]
        self.taxon, self.shim, self.base, self.name, self.failures = taxon, shim, base / name, name, failures
        self.base.mkdir()
        (self.base / "config.yaml").write_text(CONFIG.format(data=tx.SMALL[kind], model=name, options=options))
        self.data = {"binary": "bars-raw", "real": "ring-raw"}[kind]
        self.truth, self.seen = {}, set()

    def run(self, how, out, stop=None, clock=None):
        env = {"LD_PRELOAD": str(self.shim)} if stop or clock else {}
        if stop:
            env["TAXON_STOP"] = stop
        if clock:
            env["TAXON_CLOCK"] = clock
        return tx.run(self.taxon, "run", self.base / "config.yaml", "--out", out, "--jobs", 1, "--threads", 1, "--progress", "none",
                      *["--reproducible"] * (how == "bytes"), env=env)

    def folder(self, out):
        return out / self.data / self.name / "seed-3"

    def result(self, how, out):
        path = self.folder(out) / "result.h5"
        if not path.exists():
            return None
        return path.read_bytes() if how == "bytes" else tx.content(path)

    def uninterrupted(self, how):
        if how not in self.truth:
            out = self.base / f"whole {how}"
            p = self.run(how, out)
            self.failures.check(p.returncode == 0, f"{self.name}: exit code {p.returncode}: {p.stderr}")
            self.truth[how] = self.result(how, out)
        return self.truth[how]

    def stop(self, how, out, look, what):
        """Whether it stopped, with a checkpoint that it can go on from."""
        p = self.run(how, out, f"{int(signal.SIGTERM)} clock {look}")
        if p.returncode == 0:
            return False
        point = self.folder(out) / "checkpoint.h5"
        if self.failures.check(p.returncode == 75 and point.exists(), f"{what}: exit code {p.returncode}: {p.stderr}"):
            self.seen.add(tx.counters(point))
        return True

    def finish(self, how, out, what):
        p = self.run(how, out)
        self.failures.check(p.returncode == 0, f"{what}: gone on: exit code {p.returncode}: {p.stderr}")
        self.failures.check(self.result(how, out) == self.uninterrupted(how), f"{what}: other {how} than of a run that was never stopped")
        left = tx.leftovers(self.folder(out))
        self.failures.check(not left, f"{what}: {left} is left")
        shutil.rmtree(out)

    def once(self, how, look):
        """Whether that look at the clock came."""
        what, out = f"{self.name}: stopped at look {look} at the clock", self.base / "out"
        stopped = self.stop(how, out, look, what)
        self.finish(how, out, what)
        return stopped

    def every(self):
        for how in ("bytes", "content"):
            look = 1
            while self.once(how, look):
                look += LOOKS

    def hop(self, how, looks):
        """Stopped again and again, so many looks after each start."""
        what, out = f"{self.name}: stopped every {looks} looks", self.base / "hops"
        for _ in range(2 * LOOKS * EPOCHS * BATCHES):
            if not self.stop(how, out, looks, what):
                break
        self.finish(how, out, what)

    def points(self):
        return f"{self.name}: {len(self.seen)} points, {len({s for s in self.seen if s[2]})} inside an epoch"


def quick(taxon, shim, failures):
    draw = random.Random(2385)
    with tempfile.TemporaryDirectory(prefix="taxon resume ") as base, tempfile.TemporaryDirectory(prefix="taxon-") as shims:
        shim = shutil.copy(shim, shims)  # the list of what is preloaded is parted by blanks
        for i, name in enumerate(tx.MODELS):
            m = Model(taxon, shim, pathlib.Path(base), name, failures)
            looks = LOOKS * EPOCHS * (1 if name == "mixture" else BATCHES)
            if name in tx.CLOSED_FORM:
                m.once("bytes", 1)
            elif i % 2:
                m.once("content", draw.randrange(2, looks))
            else:
                m.hop("bytes", looks // 2)
            print(m.points(), flush=True)


def main(taxon, shim, models):
    failures = tx.Failures()
    with tempfile.TemporaryDirectory(prefix="taxon resume ") as base, tempfile.TemporaryDirectory(prefix="taxon-") as shims:
        shim = shutil.copy(shim, shims)
        for name in models:
            m = Model(taxon, shim, pathlib.Path(base), name, failures)
            m.every()
            m.hop("bytes", 2 * LOOKS)
            print(m.points(), flush=True)
            if name not in tx.CLOSED_FORM | {"mixture"}:
                # Behind the last one the clock is looked at by estimators, of which a density without Z has none here.
                failures.check({s[1] for s in m.seen} >= set(range(EPOCHS * BATCHES)), f"{name}: not every batch was the last: {m.seen}")
    failures.end()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit("usage: resume.py TAXON STOP.so [MODEL ...]")
    main(os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), sys.argv[3:] or list(tx.MODELS))
