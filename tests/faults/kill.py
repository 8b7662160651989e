#!/usr/bin/python3
"""Runs that are killed with signal 9 and given again: kill.py TAXON STOP.so [COUNT]

Two fifths die inside the writing of a checkpoint (a half-done write, before a sync, before a rename), the others at times drawn
uniformly over a run. Whatever was there is whole, at most one interval between checkpoints is lost, and the same command ends
with the bytes of a run that was never killed and leaves nothing else."""
import functools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import taxon as tx

EPOCHS = 8
CONFIG = """seeds: [3]
datasets: [{data}]
train: {{epochs: {epochs}, batch: 8}}
models: [{{model: {model}, {options}}}]
evaluate: {{estimators: [exact, elbo], n_sample: 4}}
"""
# Of a checkpoint's parts each is somebody's: two players, chains, running statistics, many masks.
MODELS = ("vae", "rbm", "realnvp", "sgan", "dbm", "gsn", "pixelcnn", "made")
CLOCK = {"TAXON_CLOCK": "4"}  # ten batches of three looks are two minutes: a checkpoint after each epoch
CALLS = (("write", EPOCHS), ("fsync", EPOCHS), ("rename", 2 * EPOCHS - 1))


class Killer:
    def __init__(self, taxon, shim, base, model, failures):
        kind, options = tx.MODELS[model]
        self.taxon, self.shim, self.base, self.failures = taxon, shim, base, failures
        self.data = {"binary": "bars-raw", "real": "ring-raw"}[kind]
        self.folder = base / "out" / self.data / model / "seed-3"
        base.mkdir()
        (base / "config.yaml").write_text(CONFIG.format(data=tx.SMALL[kind], epochs=EPOCHS, model=model, options=options))
        self.command = [taxon, "run", str(base / "config.yaml"), "--out", str(base / "out"), "--reproducible", "--jobs", "1",
                        "--threads", "1", "--progress", "none"]
        start = time.monotonic()
        p = self.again()
        self.seconds, self.saved, self.lost = time.monotonic() - start, 0, 0
        failures.check(p.returncode == 0, f"exit code {p.returncode}: {p.stderr}")
        self.truth = (self.folder / "result.h5").read_bytes()

    def again(self, stop=None):
        env = {"LD_PRELOAD": str(self.shim), **CLOCK}
        if stop:
            env["TAXON_STOP"] = stop
        return tx.run(*self.command, env=env)

    def in_write(self, draw):
        call, n = CALLS[draw.randrange(len(CALLS))]
        n = 1 + draw.randrange(n)
        p = self.again(f"9 {call} {n}")
        what = f"killed in {call} {n} of checkpoints"
        self.failures.check(p.returncode == 3 and "signal 9" in p.stderr, f"{what}: exit code {p.returncode}: {p.stderr}")
        return what

    def at_time(self, draw):
        p = subprocess.Popen(self.command, env={**os.environ, "LD_PRELOAD": str(self.shim), **CLOCK}, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = draw.random() * self.seconds
        time.sleep(seconds)
        children = pathlib.Path(f"/proc/{p.pid}/task/{p.pid}/children")
        for pid in [*(int(c) for c in (children.read_text().split() if children.exists() else [])), p.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        p.wait()
        return f"killed after {seconds:.3f} s"

    def look(self, what):
        """All that is there under a final name is whole; how far the run was, and from where it will go on."""
        if not self.folder.exists():
            return
        for path in (*self.folder.glob("*.h5"), *(self.base / "out").glob("compare.h5")):
            self.failures.check(tx.whole(path), f"{what}: {path.name} is not whole")
        metrics, points = self.folder / "metrics.jsonl", [self.folder / n for n in ("checkpoint.h5", "checkpoint.prev.h5")]
        done = metrics.read_text().count('"epoch"') if metrics.exists() else 0
        point = next((tx.counters(p)[0] for p in points if p.exists()), 0)
        self.saved += point > 0
        if not (self.folder / "result.h5").exists():
            self.lost = max(self.lost, done - point)
            self.failures.check(done - point <= 1, f"{what}: {done} epochs were done, the checkpoint has {point}")

    def once(self, kill, draw):
        shutil.rmtree(self.base / "out")
        what = kill(draw)
        self.look(what)
        p = self.again()
        self.failures.check(p.returncode == 0, f"{what}: again: exit code {p.returncode}: {p.stderr}")
        result = self.folder / "result.h5"
        self.failures.check(result.exists() and result.read_bytes() == self.truth, f"{what}: other bytes than of a run that was not killed")
        log = self.folder / "log.txt"  # only with words: that it went on from the checkpoint before the last
        if log.exists() and "goes on from here" in log.read_text():
            log.unlink()
        left = tx.leftovers(self.folder) + tx.leftovers(self.base / "out", (self.data, "compare.h5", "compare.csv", "plan.jsonl"))
        self.failures.check(not left, f"{what}: {left} is left")


def kills(taxon, shim, count, failures, shares=5, models=("vae",)):
    draw = random.Random(2385)
    with tempfile.TemporaryDirectory(prefix="taxon kill ") as base, tempfile.TemporaryDirectory(prefix="taxon-") as shims:
        killers = [Killer(taxon, shutil.copy(shim, shims), pathlib.Path(base) / model, model, failures) for model in models]
        inside = 0
        for i in range(count):
            k = killers[i // shares % len(killers)]
            in_write = i % shares < 2
            inside += in_write
            k.once(k.in_write if in_write else k.at_time, draw)
        print(f"{count} kills, {inside} in the writing of a checkpoint; {sum(k.saved for k in killers)} went on from a checkpoint, "
              f"at most {max(k.lost for k in killers)} epochs lost", flush=True)


if __name__ == "__main__":
    tx.with_shim(functools.partial(kills, models=MODELS), __doc__.splitlines()[0], 200)
