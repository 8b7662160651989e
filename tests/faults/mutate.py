#!/usr/bin/python3
"""Damaged files of taxon itself: mutate.py TAXON [COUNT [SEED]]

Each of COUNT (2000) files, a result, an evaluation, a checkpoint or a comparison with 1 to 4 bits turned, cut, zeroed or lengthened, is
met by one of the commands that read such files. Its check sum must give it away before HDF5 sees it, in one line that names it; nothing
of it may enter a table, the others must be there with the same numbers as without it, and what can be made again is made the same."""
import pathlib
import random
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import taxon  # noqa: E402

RUN = pathlib.Path("bars-raw/vae/seed-0")
DONE = """seeds: [0, 1]
datasets: [{name: bars, n_train: 60, n_valid: 20, n_test: 20}]
train: {epochs: 2, batch: 20}
models: [{model: vae, latent: 2, hidden: [4]}, {model: independent}]
evaluate: {estimators: [elbo], n_sample: 4}
"""
STOPPED = """seeds: [0]
datasets: [{name: bars, n_train: 600, n_valid: 20, n_test: 20}]
train: {epochs: 1200, batch: 20, valid_every: 100}
models: [{model: vae, latent: 2, hidden: [4]}]
evaluate: {estimators: [elbo], n_sample: 4}
"""
QUIET = ["--threads", "1", "--progress", "none"]
REASONS = ("damaged: its last line says", "expected a last line 'TAXONSHA256 ")


class Scene:
    """Folders that are whole, and what commands say of them without the file that will be damaged."""

    def __init__(self, program, meter, result, folder):
        self.program, self.meter, self.result, self.folder, self.work = program, meter, result, folder, folder / "work"
        self.whole = {"done": folder / "done", "stopped": folder / "stopped"}
        for name, config in (("done", DONE), ("stopped", STOPPED)):
            (folder / f"{name}.yaml").write_text(config)
        self.do(0, "run", folder / "done.yaml", "--out", self.whole["done"], "--reproducible", *QUIET)
        self.do(0, "evaluate", self.whole["done"] / RUN, "--estimator", "iwae", "n_importance=3", *QUIET)
        self.do(0, "collect", self.whole["done"])
        stopped = self.whole["stopped"]
        for _ in range(20):
            if not (stopped / RUN / "checkpoint.prev.h5").exists():
                self.do(75, "run", folder / "stopped.yaml", "--out", stopped, "--reproducible", "--max-time", "0.05s", *QUIET)
        self.finished = folder / "finished"
        self.do(0, "run", folder / "stopped.yaml", "--out", self.finished, "--reproducible", *QUIET)
        self.truth = {}
        for name, remove in (("result.h5", lambda: shutil.rmtree(self.work / RUN)), ("evaluation-iwae.h5", lambda: (self.work / RUN / "evaluation-iwae.h5").unlink())):
            self.fresh("done")
            remove()
            self.truth[name] = self.do(0, "collect", self.work) and self.tables(self.do(0, "table", self.work))

    def do(self, code, *arguments):
        p = self.meter.run(self.program, *arguments)
        if p.returncode != code:
            raise SystemExit(f"{arguments}: exit code {p.returncode}: {p.stderr}")
        return p

    def fresh(self, name):
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.whole[name], self.work)

    def tables(self, p):
        return (self.work / "compare.csv").read_bytes(), taxon.content(self.work / "compare.h5"), p.stdout

    def same(self, name, before):
        """Whether a file was made again as it was."""
        path = self.work / name
        return path.exists() and taxon.whole(path) and taxon.content(path) == taxon.content(before / name)


def collected(s, name, p):
    return s.tables(s.meter.run(s.program, "table", s.work)) == s.truth[name]


def tabled(s, name, p):
    return p.stdout == s.truth[name][2]


def untouched(s, name, p):
    return not (s.work / "new.h5").exists() and len(list((s.work / RUN).glob("evaluation-*.h5"))) == 1


def remade(s, name, p):
    return s.same(RUN / name, s.whole["done"])


def compared(s, name, p):
    return s.same(name, s.whole["done"])


def resumed(s, name, p):
    return (s.work / RUN / "result.h5").read_bytes() == (s.finished / RUN / "result.h5").read_bytes()


def anything(s, name, p):
    return True


# (folder, file, arguments, exit code, whether the file is named, what must hold). In arguments, "." is the folder and "RUN" the run's.
CASES = [
    ("done", "result.h5", ["collect", "."], 3, True, collected),
    ("done", "result.h5", ["table", "."], 3, True, tabled),
    ("done", "result.h5", ["status", "."], 3, True, anything),
    ("done", "result.h5", ["evaluate", "RUN", "--estimator", "elbo", *QUIET], 65, True, untouched),
    ("done", "result.h5", ["sample", "RUN", "-n", "3", "-o", "new.h5"], 65, True, untouched),
    ("done", "result.h5", ["reproduce", "RUN/result.h5", *QUIET], 65, True, untouched),
    ("done", "result.h5", ["run", "done.yaml", "--out", ".", "--reproducible", *QUIET], 0, True, remade),
    ("done", "evaluation-iwae.h5", ["collect", "."], 3, True, collected),
    ("done", "evaluation-iwae.h5", ["table", "."], 3, True, tabled),
    ("done", "evaluation-iwae.h5", ["status", "."], 3, True, anything),
    ("done", "evaluation-iwae.h5", ["evaluate", "RUN", "--estimator", "iwae", "n_importance=3", *QUIET], 0, True, remade),
    ("done", "../../../compare.h5", ["collect", "."], 0, False, compared),
    ("stopped", "checkpoint.h5", ["status", "."], 3, True, anything),
    ("stopped", "checkpoint.h5", ["run", "stopped.yaml", "--out", ".", "--reproducible", *QUIET], 0, True, resumed),
    ("stopped", "checkpoint.prev.h5", ["run", "stopped.yaml", "--out", ".", "--reproducible", *QUIET], 0, False, resumed),
]


def argument(scene, a):
    if a == ".":
        return scene.work
    if a.endswith(".yaml"):
        return scene.folder / a
    return scene.work / a.replace("RUN", str(RUN)) if a.startswith("RUN") or a == "new.h5" else a


def check(program, meter, result, folder, count, seed):
    scene, rng, refused, silent = Scene(program, meter, result, folder), random.Random(seed), 0, 0
    for i in range(count):
        kind, name, arguments, code, named, holds = CASES[i % len(CASES)]
        scene.fresh(kind)
        path = scene.work / RUN / name
        before = path.read_bytes()
        what, data = taxon.mutated(before, rng)
        while data == before:
            what, data = taxon.mutated(before, rng)
        path.write_bytes(data)
        p = meter.run(program, *(argument(scene, a) for a in arguments), timeout=120)
        case = f"{i}: {arguments[0]} with {path.name}, {what}"
        told = [line for line in (p.stderr + p.stdout).splitlines() if path.name in line and any(r in line for r in REASONS)]
        refused, silent = refused + bool(told), silent + (not told)
        result.check(p.returncode == code, f"{case}: exit code {p.returncode}, not {code}: {p.stderr[-500:]}")
        result.check(told or not named, f"{case}: no line that names it and its check sum: {p.stderr[-500:]}")
        result.check(p.returncode != code or holds(scene, pathlib.Path(name).name, p), f"{case}: not {holds.__name__}")
        result.check(not list(scene.work.rglob("*.part")), f"{case}: a part is left")
    print(f"{count} damaged files of taxon: {refused} refused by their check sum, {silent} replaced without being read", flush=True)


if __name__ == "__main__":
    taxon.campaign(check, __doc__.splitlines()[0])
