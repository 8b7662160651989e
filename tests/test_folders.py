#!/usr/bin/python3
"""Folders as they become: test_folders.py TAXON

Copied runs, two sets of rows under one name, evaluations that only some runs have, several bounds of one model, damaged results, somebody who
looks while a run starts: no number may change, or go missing, without a word."""
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "support"))
import taxon as tx

CONFIG = """seeds: [0, 1]
datasets: [{name: bars, n_train: 75, n_valid: 20, n_test: 20}]
train: {epochs: 1}
models: [{model: independent}, {model: vae, latent: 2, hidden: [4]}, {model: rbm, hidden: 3}]
evaluate: {estimators: [exact, elbo], metrics: [mmd], n_sample: 25}
"""


def table(taxon, out, *options):
    return json.loads(tx.run(taxon, "table", out, "--format", "json", *options).stdout)


def left_out(done):
    return [line for line in done.stderr.splitlines() if "left out: " in line]


def check_bounds(taxon, out, check):
    """Of several upper bounds the lowest comes first, of lower bounds the highest."""
    run = out / "bars-raw/rbm/seed-0"
    for name, steps in (("ais_log_z-short", 1), ("ais_log_z", 300)):
        tx.run(taxon, "evaluate", run, "--estimator", "ais_log_z", "--name", name, f"n_step={steps}", "n_chain=2")
    rows = [r for r in table(taxon, out)["rows"] if r["label"] == "rbm"]
    values = [r["log_likelihood"] for r in rows]
    check([r["kind"] for r in rows] == ["upper_bound"] * 2 and values[1] - values[0] > 0.001, f"upper bounds: {values}")
    for name, n in (("iwae", 2), ("iwae-many", 400)):
        tx.run(taxon, "evaluate", out / "bars-raw/vae/seed-0", "--estimator", "iwae", "--name", name, f"n_importance={n}")
    values = [r["log_likelihood"] for r in table(taxon, out)["rows"] if r["label"] == "vae"]
    check(len(values) == 3 and values == sorted(values, reverse=True), f"lower bounds: {values}")


def check_quality(taxon, out, check):
    """An estimate on rows that one model drew itself takes no other model's metrics out of the tables."""
    before = table(taxon, out, "--quality")["rows"]
    tx.run(taxon, "evaluate", out / "bars-raw/vae/seed-0", "--estimator", "bdmc", "n_example=2", "n_step=4", "n_chain=2")
    check("simulated" in {r["split"] for r in table(taxon, out)["rows"]}, "bdmc was not evaluated")
    check(len(before) == 9 and table(taxon, out, "--quality")["rows"] == before == table(taxon, out)["metrics"], "metrics of models without bdmc")


def check_copies(taxon, out, check):
    before, read = table(taxon, out), tx.run(taxon, "table", out)
    shutil.copytree(out / "bars-raw/vae", out / "bars-raw/vae copied")
    done = tx.run(taxon, "table", out, "--format", "json")
    check(done.returncode == 3 and json.loads(done.stdout) == before, "copied runs count as seeds")
    check(len(left_out(done)) == 2 and "vae copied/seed-0/result.h5: data set, view, label and seed are those of" in done.stderr, f"copies: {done.stderr}")
    shutil.rmtree(out / "bars-raw/vae copied")
    check(tx.run(taxon, "table", out).stdout == read.stdout, "after the copies were removed")


def check_twins(taxon, out, check):
    """Other training rows under one name: tables of their own, told apart, none lost. The model in the middle has them."""
    other = out.parent / "other"
    tx.run(taxon, "run", "config.yaml", "--out", other, "--progress", "none", "datasets.0.n_train=60", "models=[{model: made, hidden: [4]}]")
    shutil.copytree(other / "bars-raw/made", out / "bars-raw/made")
    rows = table(taxon, out)["rows"]
    labels = {}
    for r in rows:
        labels.setdefault(r["dataset"], set()).add(r["label"])
    check(sorted(map(sorted, labels.values())) == [["independent", "rbm", "vae"], ["made"]], f"sets of one name: {labels}")
    check(all(d.startswith("bars (") and len(d) == len("bars (12345678)") for d in labels), f"sets of one name: {list(labels)}")
    tree = tx.run(taxon, "table", out, "--tree").stdout
    check(all(any(line.startswith(m + " ") for line in tree.splitlines()) for m in ("independent", "rbm", "vae", "made")), f"tree:\n{tree}")
    check({(r["dataset"], r["label"]) for r in table(taxon, out, "--quality")["rows"]} == {(d, m) for d in labels for m in labels[d]}, "metrics of sets of one name")
    done = tx.run(taxon, "collect", out)
    with tx.h5py.File(out / "compare.h5") as f:
        check(done.returncode == 0 and f["bars-raw"].attrs["dataset_sha256"] == "several", f"compare.h5: {done.stderr}")
    shutil.rmtree(out / "bars-raw/made")


def check_messages(taxon, out, check):
    """Each damaged file has one line, whatever was said before it, and a cache that cannot be written says nothing."""
    cache = out / "compare.cache"
    for path, how in ((out / "bars-raw/independent/seed-0/result.h5", "a much longer message than the next"), (out / "bars-raw/vae/seed-1/result.h5", "")):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data if how else b"x")
    done = tx.run(taxon, "table", out)
    check(done.returncode == 3 and len(left_out(done)) == 2 and all("/result.h5: " in line for line in left_out(done)), f"damaged: {done.stderr}")
    check(done.stderr.splitlines()[-1] == "taxon: 2 files left out" and not cache.exists(), f"the last line: {done.stderr}")


def check_lookers(taxon, check):
    """A run that starts while somebody looks waits for that moment."""
    folder = pathlib.Path("looked/bars-raw/independent/seed-0")
    folder.mkdir(parents=True)
    fd = os.open(folder, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    p = subprocess.Popen([taxon, "run", "config.yaml", "--out", "looked", "--progress", "none", "models=[{model: independent}]", "seeds=[0]"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=tx.hear_signals)
    time.sleep(0.25)
    os.close(fd)
    said = p.communicate(timeout=60)[1]
    check(p.returncode == 0, f"started while somebody looked: {p.returncode}, {said}")


def main(taxon):
    failures = tx.Failures()
    check = failures.check
    with tempfile.TemporaryDirectory(prefix="taxon folders ") as folder:
        os.chdir(folder)
        pathlib.Path("config.yaml").write_text(CONFIG, encoding="utf-8")
        out = pathlib.Path(folder, "out")
        done = tx.run(taxon, "run", "config.yaml", "--out", out, "--progress", "none")
        check(done.returncode == 0, f"the comparison: {done}")
        check_bounds(taxon, out, check)
        check_quality(taxon, out, check)
        check_copies(taxon, out, check)
        check_twins(taxon, out, check)
        check_messages(taxon, out, check)
        check_lookers(taxon, check)
        os.chdir("/")
    failures.end()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(os.path.realpath(sys.argv[1]))
