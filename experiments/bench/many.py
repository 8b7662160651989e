#!/usr/bin/python3
"""What status, table and collect take on many finished runs: many.py TAXON PREFIX [--runs N,N,...] [--folder DIR] [--small]

For each N (100, 1000, 10000) a folder of N runs of 1 MB: ten seeds of a MADE on Fashion-MNIST, each copied under other labels of one
width, whose bytes take the place of the first one's, and summed up anew. Runs of DIR that are there already are kept. Writes
PREFIX.md, a row a command: the first look at the folder, the next one, and one after ten runs more. --small: runs of a few KB,
to see that it works."""
import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

SEEDS, MARK = 10, b"TAXONSHA256 "
TRAILER = len(MARK) + 65
CACHE = "compare.cache"
FULL = """datasets: [{name: fashion_mnist, view: binarised}]
train: {epochs: 1, max_steps: 20, batch: 100}
models: [{model: made, label: m0000, hidden: [100]}]
evaluate: {estimators: [exact], splits: [valid, test], n_sample: 100}
"""
SMALL = """datasets: [{name: bars, n_train: 50, n_valid: 20, n_test: 20}]
train: {epochs: 1}
models: [{model: made, label: m0000, hidden: [4]}]
evaluate: {estimators: [exact], splits: [test], n_sample: 4}
"""


def trained(taxon, folder, small):
    """The folder of one data set and view, with the label m0000 and its seeds."""
    config = folder / "many.yaml"
    config.write_text(f"seeds: {list(range(SEEDS))}\n" + (SMALL if small else FULL))
    subprocess.run([taxon, "run", config, "--out", folder / "base", "--progress", "none"], check=True, stdout=subprocess.DEVNULL)
    return next((folder / "base").glob("*/m0000")).parent


def relabelled(data, label):
    """A result of m0000 as one of another label: the same bytes but for those of the label, and the sum of them."""
    data = data[:-TRAILER].replace(b"m0000", label.encode())
    return data + MARK + hashlib.sha256(data).hexdigest().encode() + b"\n"


def fill(base, out, runs):
    """Labels m0000 to m(runs / SEEDS - 1); the last may have fewer seeds."""
    for seed in range(SEEDS):
        data = (base / "m0000" / f"seed-{seed}" / "result.h5").read_bytes()
        lines = (base / "m0000" / f"seed-{seed}" / "metrics.jsonl").read_bytes()
        for i in range((runs - seed + SEEDS - 1) // SEEDS):
            run = out / base.name / f"m{i:04d}" / f"seed-{seed}"
            if not (run / "result.h5").exists():
                run.mkdir(parents=True, exist_ok=True)
                (run / "metrics.jsonl").write_bytes(lines)
                (run / "result.h5").write_bytes(relabelled(data, run.parent.name))


def add(base, out, label):
    """One more model: SEEDS runs."""
    for seed in range(SEEDS):
        run = out / base.name / label / f"seed-{seed}"
        run.mkdir(parents=True)
        (run / "result.h5").write_bytes(relabelled((base / "m0000" / run.name / "result.h5").read_bytes(), label))


def measured(*command):
    """Seconds, seconds of processors and peak MiB of a command, whose exit code must be 0."""
    with tempfile.TemporaryFile() as out:
        start = time.monotonic()
        # A process begins with the peak of the one it was forked from: env is small.
        p = subprocess.Popen(["/usr/bin/env", *map(str, command)], stdout=out, stderr=out)
        _, status, used = os.wait4(p.pid, 0)
        seconds = time.monotonic() - start
        if status:
            out.seek(0)
            sys.exit(f"{command}: {out.read().decode()[-2000:]}")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def cold(out):
    """Forgets what is known of the folder: the cache, and as root what the system holds of the disk."""
    (out / CACHE).unlink(missing_ok=True)
    os.sync()
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
    except OSError:
        return "files in memory"
    return "files on disk"


def rows(taxon, base, out):
    """(command, what is known, seconds, CPU seconds, MiB) of all that is measured."""
    time.sleep(3)  # a file that was written a moment ago may change unseen, and is not kept
    for command in ("status", "table", "collect"):
        known = cold(out)
        if command == "collect":
            for name in ("compare.h5", "compare.csv"):
                (out / name).unlink(missing_ok=True)
        yield command, f"nothing, {known}", *measured(taxon, command, out)
        yield command, "all", *measured(taxon, command, out)
    for i, command in enumerate(("status", "table", "collect")):
        add(base, out, f"n{i:04d}")
        yield command, f"all but {SEEDS * (i + 1)}", *measured(taxon, command, out)
    for i in range(3):
        shutil.rmtree(out / base.name / f"n{i:04d}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("taxon")
    parser.add_argument("prefix")
    parser.add_argument("--runs", default="100,1000,10000")
    parser.add_argument("--folder")
    parser.add_argument("--small", action="store_true")
    a = parser.parse_args()
    taxon = os.path.realpath(a.taxon)
    lines = ["| runs | MB | command | known before | seconds | CPU seconds | runs a second | peak MiB |", "| --: | --: | --- | --- | --: | --: | --: | --: |"]
    with tempfile.TemporaryDirectory(prefix="taxon-many-", dir=a.folder) as work:
        base = trained(taxon, pathlib.Path(work), a.small)
        for runs in map(int, a.runs.split(",")):
            out = pathlib.Path(a.folder or work, f"many-{runs}")
            fill(base, out, runs)
            size = sum(f.stat().st_size for f in out.glob("*/*/seed-*/result.h5"))
            for command, known, seconds, cpu, peak in rows(taxon, base, out):
                lines.append(f"| {runs} | {size / 1e6:.0f} | `{command}` | {known} | {seconds:.2f} | {cpu:.2f} | {runs / seconds:.0f} | {peak:.0f} |")
                print(lines[-1], flush=True)
    pathlib.Path(a.prefix + ".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
