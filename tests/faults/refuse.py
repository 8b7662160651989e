#!/usr/bin/python3
"""Checkpoints that are of another run, or damaged: refuse.py TAXON STOP.so [COUNT]

COUNT times each of nine changes. Another config, model, data set, version or precision, another schema version: refused with the
difference named, and left as it was. Cut or with a drawn bit flipped: set aside, and the run goes on from the checkpoint before
the last, or from the start where both are damaged, to the bytes of a run that was never stopped. None is taken in silence."""
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import resume
import taxon as tx

KEYS = ["train.batch", "train.learning_rate", "train.schedule", "evaluate.n_sample", "train.clip_norm", "models.0.hidden", "train.epochs"]
VALUES = {"train.batch": lambda d: d.randrange(9, 50), "train.learning_rate": lambda d: f"{d.uniform(1e-4, 9e-4):.6f}",
          "train.schedule": lambda d: d.choice(["linear", "constant"]), "evaluate.n_sample": lambda d: d.randrange(5, 50),
          "train.clip_norm": lambda d: d.randrange(6, 50), "models.0.hidden": lambda d: f"[{d.randrange(7, 20)}]",
          "train.epochs": lambda d: d.randrange(4, 50)}


class Stopped:
    """A run that was stopped twice: it has two generations of checkpoints."""

    def __init__(self, taxon, shim, base, failures):
        self.m = resume.Model(taxon, shim, base, "vae", failures)
        self.failures, self.base = failures, base / "vae"
        self.made, self.out = self.base / "made", self.base / "out"
        self.m.stop("bytes", self.made, 30, "first stop")
        self.m.stop("bytes", self.made, 30, "second stop")
        self.folder = self.m.folder(self.out)
        self.silent = 0

    def files(self):
        return [self.folder / "checkpoint.h5", self.folder / "checkpoint.prev.h5"]

    def run(self, *overrides):
        return tx.run(self.m.taxon, "run", self.base / "config.yaml", *overrides, "--out", self.out, "--reproducible", "--jobs", 1,
                      "--threads", 1, "--progress", "none")

    def refused(self, what, named, *overrides):
        before = [p.read_bytes() for p in self.files()]
        p = self.run(*overrides)
        silent = (self.folder / "result.h5").exists() or p.returncode in (0, 75)
        self.silent += silent
        self.failures.check(not silent and p.returncode in (3, 65), f"{what}: exit code {p.returncode}: {p.stderr}")
        self.failures.check(re.search(named, p.stderr), f"{what}: no '{named}' in: {p.stderr}")
        self.failures.check([p.read_bytes() for p in self.files()] == before, f"{what}: the checkpoints are not what they were")

    def recovers(self, what, damaged):
        broken = [p.read_bytes() for p in damaged]
        p = self.run()
        log = (self.folder / "log.txt").read_text() if (self.folder / "log.txt").exists() else ""
        self.failures.check(p.returncode == 0, f"{what}: exit code {p.returncode}: {p.stderr}")
        for path, data in zip(damaged, broken):
            aside = path.with_name(path.name + ".damaged")
            told = aside.exists() and aside.read_bytes() == data and path.name in p.stderr + log
            self.silent += not self.failures.check(told, f"{what}: {path.name} was taken in silence: {p.stderr}{log}")
        if len(damaged) == 1:
            told = "checkpoint.prev.h5: goes on from here" in p.stderr + log
            self.failures.check(told, f"{what}: does not say from where it goes on: {p.stderr}{log}")
        same = self.m.result("bytes", self.out) == self.m.uninterrupted("bytes")
        self.failures.check(same, f"{what}: other bytes than of a run that was never stopped")


def identity(s, what, pattern, text, named):
    """A checkpoint that says something else of what it was made with, and is otherwise whole."""
    def how(f):
        old = f["identity/text"][()].decode()
        new = re.sub(pattern, text, old)
        assert new != old
        del f["identity/text"]
        f["identity/text"] = new

    tx.change(s.files()[0], how)
    s.refused(what, named)


def config(s, draw):
    key = draw.choice(KEYS)
    value = VALUES[key](draw)
    s.refused(f"{key}={value}", key.split(".")[-1], f"{key}={value}")


def model(s, draw):
    other, options = draw.choice([(k, v[1]) for k, v in tx.MODELS.items() if v[0] == "binary" and k != "vae"])
    s.refused(f"{other} in place of vae", rf"model.*\bvae\b.*\b{other}\b", f"models=[{{model: {other}, label: vae, {options}}}]")


def data(s, draw):
    n = draw.randrange(20, 200)
    s.refused(f"n_train {n}", "n_train", f"datasets.0.n_train={n if n != 75 else 76}")


def rows(s, draw):
    digit = "%x" % draw.randrange(16)
    identity(s, "other bytes of the data set", r"(?m)^(dataset|view) \w+$" if draw.random() < 0.5 else r"(?m)^(dataset) \w+$",
             lambda m: m[1] + " " + digit * 64, "dataset")


def version(s, draw):
    identity(s, "an older version", r"(?m)^version .*$", f"version 0.0.{draw.randrange(1000)}", "version")


def precision(s, draw):
    identity(s, "another precision", r"real \d+ bytes", f"real {draw.choice([2, 8, 16])} bytes", r"real \d+ bytes")


def schema(s, draw):
    v = f"{draw.choice([0, 2, 3, 9])}.{draw.randrange(9)}"
    tx.change(s.files()[0], lambda f: f.attrs.__setitem__("schema_version", v))
    s.refused(f"schema version {v}", rf"found {re.escape(v)}")


def cut(s, draw):
    damaged = s.files()[: draw.choice([1, 1, 2])]
    for p in damaged:
        os.truncate(p, draw.randrange(p.stat().st_size))
    s.recovers(f"{len(damaged)} cut", damaged)


def flipped(s, draw):
    damaged = s.files()[: draw.choice([1, 1, 2])]
    for p in damaged:
        data, at = bytearray(p.read_bytes()), draw.randrange(8 * p.stat().st_size)
        data[at // 8] ^= 1 << at % 8
        p.write_bytes(data)
    s.recovers(f"{len(damaged)} with a bit flipped", damaged)


CHANGES = {"config": config, "model": model, "data set": data, "data's bytes": rows, "version": version, "precision": precision,
           "schema": schema, "cut": cut, "flipped": flipped}


def refusals(taxon, shim, count, failures):
    draw = random.Random(2385)
    with tempfile.TemporaryDirectory(prefix="taxon refuse ") as base, tempfile.TemporaryDirectory(prefix="taxon-") as shims:
        s = Stopped(taxon, shutil.copy(shim, shims), pathlib.Path(base), failures)
        for name, change in CHANGES.items():
            for _ in range(count):
                shutil.rmtree(s.out, ignore_errors=True)
                shutil.copytree(s.made, s.out)
                change(s, draw)
        print(f"{count * len(CHANGES)} checkpoints changed, {s.silent} taken in silence", flush=True)


if __name__ == "__main__":
    tx.with_shim(refusals, __doc__.splitlines()[0], 50)
