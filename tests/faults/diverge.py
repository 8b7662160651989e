#!/usr/bin/python3
"""Numbers that are none: in weights, in training that explodes, in data: diverge.py TAXON STOP.so [PLACES [MODEL ...]]

A NaN or an infinity is put into PLACES drawn weights of each model at a drawn step, through a checkpoint that is otherwise
whole. The step after finds it: the run is stored as diverged with epoch, step and term, its checkpoint is kept, the other run
of the comparison goes on, and no number that is stored or shown without that mark is one of these."""
import csv
import json
import math
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import numpy as np

import resume
import taxon as tx

SWEEP = """seeds: [3]
datasets: [{data}]
train: {{epochs: 3, batch: 8{train}}}
models:
  - {{model: {model}, {options}}}
  - {{model: {other}, label: other}}
evaluate: {{estimators: [exact, elbo, parzen], n_sample: 4}}
"""
OTHER = {"binary": "independent", "real": "gaussian"}
TERM = re.compile(r"gradient|objective|log-likelihood|lower bound|loss|weight|sample|error")


class Sweep:
    """A model beside one that has no trouble."""

    def __init__(self, taxon, shim, base, name, failures, train=""):
        kind, options = tx.MODELS[name]
        self.taxon, self.shim, self.base, self.name, self.failures, self.kind = taxon, shim, base, name, failures, kind
        self.base.mkdir(parents=True)
        (self.base / "config.yaml").write_text(
            SWEEP.format(data=tx.SMALL[kind], model=name, options=options, other=OTHER[kind], train=train))
        self.out = self.base / "out"
        self.folder = self.out / {"binary": "bars-raw", "real": "ring-raw"}[kind] / name / "seed-3"
        self.other = self.folder.parent.parent / "other" / "seed-3"

    def run(self, look=None):
        env = {"LD_PRELOAD": str(self.shim), "TAXON_STOP": f"15 clock {look}"} if look else {}
        return tx.run(self.taxon, "run", self.base / "config.yaml", "--out", self.out, "--jobs", 1, "--threads", 1,
                      "--progress", "none", env=env)

    def check(self, good, text):
        return self.failures.check(good, f"{self.name}: {text}")

    def finite(self, path):
        """Every mean, sample and parameter of a result."""
        with tx.h5py.File(path, "r") as f:
            bad = []

            def see(name, item):
                if isinstance(item, tx.h5py.Dataset) and item.dtype.kind == "f" and not name.startswith(("train/", "dim/")):
                    if item.size and not item.attrs.get("NAME", b"").startswith(b"This is a netCDF") and not np.isfinite(item[()]).all():
                        bad.append(name)
                mean = item.attrs.get("mean")
                if mean is not None and not np.isfinite(mean):
                    bad.append(f"{name}@mean")

            f.visititems(see)
            return bad

    def status(self):
        with tx.h5py.File(self.folder / "result.h5", "r") as f:
            return f.attrs["status"], f.attrs.get("failure", "")

    def shown(self, diverged):
        """No number of a table or of compare.csv is none, and a run that diverged is told apart."""
        table = tx.run(self.taxon, "table", self.out, "--format", "csv")
        self.check(table.returncode == 0, f"table: exit code {table.returncode}: {table.stderr}")
        text = tx.run(self.taxon, "table", self.out).stdout
        rows = list(csv.DictReader((self.out / "compare.csv").open()))
        for where, words in (("table", table.stdout), ("text table", text), ("compare.csv", (self.out / "compare.csv").read_text())):
            self.check(not re.search(r"\b[-+]?(nan|inf)\b", words, re.I), f"{where} has a number that is none:\n{words}")
        if diverged:
            self.check("diverged" in text, f"the table does not say diverged:\n{text}")
            self.check(not any(r.get("label") == self.name and r.get("quantity") == "log_likelihood" for r in rows), "its mean is in compare.csv")

    def judge(self, p, what, must=True):
        """Whether it diverged, and if so whether all is as it should be."""
        if not self.check(p.returncode in ({3} if must else {0, 3}), f"{what}: exit code {p.returncode}: {p.stderr}"):
            return False
        if not self.check((self.folder / "result.h5").exists(), f"{what}: no result: {p.stderr}"):
            return False
        status, failure = self.status()
        diverged = status == "diverged"
        self.check(diverged == (p.returncode == 3), f"{what}: exit code {p.returncode} and status {status}")
        if not diverged:
            bad = self.finite(self.folder / "result.h5")
            self.check(not bad, f"{what}: complete, but not finite: {bad}")
        else:
            self.check(bool(TERM.search(failure)), f"{what}: no term in '{failure}'")
        self.check(tx.whole(self.other / "result.h5"), f"{what}: the other run did not go on")
        self.shown(diverged)
        return diverged

    def plant(self, draw, value):
        """Into one drawn weight of the checkpoint; where."""
        place = []

        def how(f):
            state = f["state"]
            blocks = [k for k in state if k.startswith("parameters_")]
            values = {k: state[k][()] for k in blocks}
            at = [(k, i) for k in blocks for i in np.flatnonzero(values[k])]  # the padding between weights is 0
            k, i = at[draw.randrange(len(at))]
            values[k][i] = value
            state[k][...] = values[k]
            place.append((k, int(i)))

        tx.change(self.folder / "checkpoint.h5", how)
        return place[0]


def planted(sweep, draw, value, failures):
    """A number that is none in a weight before a drawn step."""
    name = sweep.name
    if sweep.out.exists():
        shutil.rmtree(sweep.out)
    looks = 2 if name in tx.CLOSED_FORM else draw.randrange(4, resume.LOOKS * resume.EPOCHS * (1 if name == "mixture" else resume.BATCHES) - 4)
    p = sweep.run(looks)
    if not failures.check(p.returncode == 75, f"{name}: stopped at look {looks}: exit code {p.returncode}: {p.stderr}"):
        return
    epoch, step, _ = tx.counters(sweep.folder / "checkpoint.h5")
    place = sweep.plant(draw, value)
    before = (sweep.folder / "checkpoint.h5").read_bytes()
    what = f"{value} in {place} after epoch {epoch} and step {step}"
    p = sweep.run()
    if not sweep.judge(p, what):
        return
    _, failure = sweep.status()
    if place[0] == "parameters_structure":
        pass  # masks and orders are no weights of a step: found when training ends
    elif name not in tx.CLOSED_FORM | {"mixture"}:
        sweep.check(f"step {step + 1}:" in failure, f"{what}: not found at once: {failure}")
        sweep.check(f"epoch {step // resume.BATCHES + 1}:" in failure, f"{what}: another epoch: {failure}")
    elif name == "mixture":
        sweep.check(f"epoch {epoch + 1}:" in failure, f"{what}: not found at once: {failure}")
    kept = sweep.folder / "checkpoint.h5"
    sweep.check(kept.exists() and kept.read_bytes() == before, f"{what}: its checkpoint is not kept")
    again = sweep.run()
    sweep.check(again.returncode == 3 and "diverged" in again.stderr, f"{what}: again: exit code {again.returncode}: {again.stderr}")


def explosions(taxon, shim, base, name, optimizers, failures):
    """Step sizes of 1e10: found where something is not finite, and finite where it is not found."""
    found = 0
    for optimizer in optimizers:
        sweep = Sweep(taxon, shim, base / optimizer, name, failures, f", learning_rate: 1e10, optimizer: {optimizer}")
        found += sweep.judge(sweep.run(), f"{optimizer} with steps of 1e10", must=False)
    return found


DATA = {"nan": "nan", "inf": "inf", "-inf": "-inf", "1e999": "1e999", "1e39": "1e39"}


def data(taxon, base, failures):
    """Readers refuse what is not finite, with its row and column."""
    base.mkdir()
    rows = [[f"{(i * 7 % 11) / 3:.3f}", f"{(i * 5 % 13) / 3:.3f}", f"{i % 3}.5"] for i in range(40)]
    for name, text in DATA.items():
        for end in ("csv", "data", "npy", "h5"):
            bad = [list(r) for r in rows]
            bad[17][1] = text
            path = base / f"{name.strip('-')}{len(name)}.{end}"
            if end == "npy":
                np.save(path, np.array(bad, dtype="f8"))
            elif end == "h5":
                with tx.h5py.File(path, "w") as f:
                    f["x"] = np.array(bad, dtype="f8")
            else:
                path.write_text("\n".join(("," if end == "csv" else " ").join(r) for r in bad) + "\n")
            p = tx.run(taxon, "data", "check", path)
            good = p.returncode == 65 and p.stderr.count("\n") == 1 and path.name in p.stderr and re.search(r"\b1[78]\b", p.stderr)
            failures.check(good, f"{path.name}: exit code {p.returncode}: {p.stdout}{p.stderr}")


def all_of(taxon, shim, places, models, optimizers, failures):
    draw = random.Random(2385)
    with tempfile.TemporaryDirectory(prefix="taxon numbers ") as base, tempfile.TemporaryDirectory(prefix="taxon-") as shims:
        shim, base = shutil.copy(shim, shims), pathlib.Path(base)
        data(taxon, base / "data", failures)
        for name in models:
            sweep = Sweep(taxon, shim, base / name, name, failures)
            for i in range(places):
                planted(sweep, draw, (math.nan, math.inf, -math.inf)[i % 3], failures)
            n = 0
            if name not in tx.CLOSED_FORM | {"mixture"}:
                n = explosions(taxon, shim, base / f"{name} exploding", name, optimizers, failures)
            print(f"{name}: {places} planted, {n} of {len(optimizers)} explosions found", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit("usage: diverge.py TAXON STOP.so [PLACES [MODEL ...]]")
    found = tx.Failures()
    all_of(os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else 6,
           sys.argv[4:] or list(tx.MODELS), ("sgd", "adam", "rmsprop", "adagrad"), found)
    found.end()
