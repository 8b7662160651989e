#!/usr/bin/python3
"""Times against sizes, peak memory and start-up, beside what they should be: scaling.py TAXON PREFIX [--quick]

Writes PREFIX.csv, PREFIX.md and, by gnuplot, PREFIX.svg."""
import csv
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

import h5py

FULL = {"hidden": [250, 500, 1000, 2000, 4000], "dim": [64, 196, 784, 1536, 3072], "batch": [1, 10, 100, 1000]}
QUICK = {"hidden": [8, 16, 32], "dim": [12, 24, 48], "batch": [1, 4, 16]}
PANELS = (("hidden", "train"), ("dim", "train"), ("batch", "train"), ("dim", "sample"))
TITLES = {("hidden", "train"): "hidden width", ("dim", "train"): "dimension", ("batch", "train"): "batch", ("dim", "sample"): "samples, dimension"}


class Family:
    """products(h, d): multiply-adds of one row, in a training step and in a sample; limits: exponents that they tend to."""

    def __init__(self, growth, hidden, dim, train, sample):
        self.growth, self.limit = growth, {"hidden": hidden, "dim": dim, "batch": 1}
        self.products = {"train": train, "sample": sample}


# Masked weights are not counted; NADE's and MADE's samples are drawn in O(D H), one variable after the other.
FAMILIES = {
    "fvbn": Family("B D²", None, 2, lambda h, d: 2 * d * d / 2, lambda h, d: d * d / 2),
    "nade": Family("B D H", 1, 1, lambda h, d: 5 * d * h, lambda h, d: 2 * d * h),
    "made": Family("B D H", 1, 1, lambda h, d: 5 * d * h / 2, lambda h, d: 2 * d * h / 2),
    "nice": Family("B (H² + D H)", 2, 1, lambda h, d: 12 * (h * h + d * h), lambda h, d: 4 * (h * h + d * h)),
    "vae": Family("B D H", 1, 1, lambda h, d: 5 * d * h + 180 * h, lambda h, d: d * h + 20 * h),
    "gan": Family("B (H² + D H)", 2, 1, lambda h, d: 11 * h * h + 9 * d * h + 200 * h, lambda h, d: h * h + d * h + 100 * h),
}

# The workloads of `taxon bench`, as runs: view, model, batch.
RUNS = {
    "fvbn-logistic": ("binarised", {"name": "fvbn"}, 100),
    "vae-500-20": ("binarised", {"name": "vae", "latent": 20, "hidden": [500], "activation": "tanh"}, 100),
    "made-500": ("binarised", {"name": "made", "hidden": [500]}, 100),
    "nade-500": ("binarised", {"name": "nade", "hidden": [500]}, 100),
    "gan-1200": ("binarised", {"name": "gan", "latent": 100, "generator_hidden": [1200, 1200], "discriminator_hidden": [1200, 1200]}, 100),
    "nice-4x5x1000": ("dequantised", {"name": "nice", "couplings": 4, "hidden": [1000] * 5}, 200),
}
BOUND_MB, BOUND_BYTES = 150, 32  # and the data set as stored
START_SECONDS, LIST_SECONDS = 1, 0.05
DATA_MB = 70000 * 784 / 1e6


def slope(x, y):
    """Least squares of log y on log x: the slope and its standard error."""
    x, y = [math.log(v) for v in x], [math.log(v) for v in y]
    n, mx, my = len(x), statistics.fmean(x), statistics.fmean(y)
    sxx = sum((a - mx) ** 2 for a in x)
    b = sum((a - mx) * (c - my) for a, c in zip(x, y)) / sxx
    rest = sum((c - my - b * (a - mx)) ** 2 for a, c in zip(x, y))
    return b, math.sqrt(rest / (n - 2) / sxx)


def upper(points):
    """The upper half of the range, at least three points."""
    return points[-max(3, (len(points) + 1) // 2):]


def bench(taxon, axis, phase, sizes, seconds):
    command = [taxon, "bench", "--vary", f"{axis}={','.join(map(str, sizes))}", "--phase", phase, "--seconds", str(seconds), "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def exponents(axis, phase, rows):
    """For each family, its points and the exponents measured (with error) and by products alone over the same sizes."""
    out = {}
    for family, theory in FAMILIES.items():
        points = [(r[axis], r["median_ms"]) for r in rows if r["name"] == family]
        if not points:
            continue
        last = upper(points)
        counted = [theory.products[phase](r["hidden"], r["dim"]) * r["batch"] for r in rows if r["name"] == family]
        out[family] = (points, slope(*zip(*last)), slope([p[0] for p in last], upper(counted))[0])
    return out


def run_once(taxon, view, model, batch, steps):
    """One training in a process of its own: seconds to the first batch, peak memory in MB, parameters. Validation follows the last step."""
    spec = {
        "dataset": {"name": "fashion_mnist", "view": view},
        "model": model,
        "train": {"batch": batch, "max_steps": steps},
        "evaluate": {"estimators": [], "splits": ["test"], "n_sample": 0},
        "seed": 0,
    }
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        p = subprocess.Popen([taxon, "run-one", "--folder", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        p.stdin.write(json.dumps(spec))
        p.stdin.close()
        told = p.stdout.readline()
        first = time.monotonic() - start
        p.stdout.read()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        p.stdout.close()
        if p.returncode or "epoch 1" not in told:
            raise SystemExit(f"scaling.py: {model['name']}: run-one ended with {p.returncode}")
        with h5py.File(f"{folder}/result.h5") as f:
            return first, usage.ru_maxrss * 1024 / 1e6, int(f["cost/n_parameter"][()])


def list_seconds(taxon, times):
    spent = []
    for _ in range(times):
        start = time.monotonic()
        subprocess.run([taxon, "list", "models"], check=True, stdout=subprocess.DEVNULL)
        spent.append(time.monotonic() - start)
    return statistics.median(spent)


def number(x):
    return f"{x:.0f}" if x >= 99.5 else f"{x:.3g}"


def table(heads, rows, words=1):
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * words + " --: |" * (len(heads) - words)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows]) + "\n"


def marked(value, bound):
    return number(value) + ("" if value <= bound else " (above)")


def growth_table(axis, phase, sizes, fits):
    rows = []
    for family, (points, (b, error), counted) in fits.items():
        limit = FAMILIES[family].limit[axis]
        rows.append((family, *(number(t) for _, t in points), f"{b:.2f} ± {error:.2f}", f"{counted:.2f}", str(limit), FAMILIES[family].growth))
    heads = ("family", *map(str, sizes), "exponent", "of products", "in the limit", "products grow as")
    return table(heads, rows)


def markdown(place, sizes, fits, runs, listed, figure):
    parts = [f"""# How times grow

{place["processor"]}, {place["cores"]} cores, {place["threads"]} threads; taxon {place["version"]} ({place["build"]}, {place["real"]}, {place["instruction_set"]}); {place["blas_config"]},
kernels for {place["blas_core"]}. Made by `experiments/bench/scaling.sh`. Milliseconds are medians of many repetitions. What does not vary is hidden width
H = 500, dimension D = 784, batch B = 100; VAE and MADE have one hidden layer, G and D of the GAN and each of NICE's four couplings two, FVBN none.

An exponent is the slope of log time on log size over the upper half of the range (at least three sizes), with its standard error. Beside it: the slope
of the number of multiply-adds over the same sizes, and the exponent that this tends to. Time grows more slowly than products where something else takes
its share: the optimiser moves 24 bytes a parameter whatever the batch, small products run below the full GEMM rate, and a time an op is constant. So the
exponent in the batch is 0 for few rows and 1 for many.

![Times against sizes]({figure})
"""]
    for axis, phase in PANELS:
        what = "Step against" if phase == "train" else "Samples: 100 of them, against"
        parts.append(f"## {what} {TITLES[axis, 'train']}, ms\n")
        parts.append(growth_table(axis, phase, sizes[axis], fits[axis, phase]))
        if phase == "sample":
            parts.append("FVBN, NADE and MADE draw one variable after the other, D steps a sample; NICE, VAE and GAN in one pass.\n")
    parts.append("## Memory and start-up\n")
    parts.append(f"""Each row is a process of its own that trains on Fashion-MNIST for a few steps, validates and writes its result: peak memory in MB beside {BOUND_MB} + the data set
as stored ({DATA_MB:.1f}) + {BOUND_BYTES} bytes a parameter; seconds from the start of the process until the first batch is done, the data set unpacked and
checked (goal: {START_SECONDS}). `taxon list models` takes {marked(1e3 * listed, 1e3 * LIST_SECONDS)} ms (goal: {1e3 * LIST_SECONDS:.0f}).
""")
    rows = [(name, str(n), marked(peak, bound(n)), number(bound(n)), marked(first, START_SECONDS)) for name, (first, peak, n) in runs.items()]
    parts.append(table(("workload", "parameters", "peak, MB", "bound, MB", "first batch, s"), rows))
    return "\n".join(parts)


def bound(parameters):
    return BOUND_MB + DATA_MB + BOUND_BYTES * parameters / 1e6


def tidy(fits, runs, listed):
    out = io.StringIO()
    w = csv.writer(out, lineterminator="\n")
    w.writerow("quantity of axis size value std_error beside".split())
    for (axis, phase), families in fits.items():
        for family, (points, (b, error), counted) in families.items():
            for size, ms in points:
                w.writerow([f"{phase}_ms", family, axis, size, f"{ms:.6g}", "", ""])
            last = upper(points)
            w.writerow([f"{phase}_exponent", family, axis, f"{last[0][0]}..{last[-1][0]}", f"{b:.6g}", f"{error:.3g}", f"{counted:.6g}"])
    for name, (first, peak, n) in runs.items():
        w.writerow(["peak_memory_mb", name, "parameters", n, f"{peak:.6g}", "", f"{bound(n):.6g}"])
        w.writerow(["first_batch_s", name, "parameters", n, f"{first:.6g}", "", START_SECONDS])
    w.writerow(["list_s", "taxon", "", "", f"{listed:.6g}", "", LIST_SECONDS])
    return out.getvalue()


COLOURS = {"fvbn": "#0072b2", "nade": "#56b4e9", "made": "#009e73", "nice": "#d55e00", "vae": "#cc79a7", "gan": "#e69f00"}


def plot(fits, path):
    """Four panels, log-log, one key for all below them."""
    text = [f"set terminal svg size 900,760 font 'Helvetica,13' background rgb 'white'\nset output '{path}'"]
    text.append("set multiplot\nset logscale xy\nset grid lc rgb '#dddddd'\nset format '%g'\nset border 3\nset tics nomirror\nset ylabel 'ms' offset 1")
    for i, (axis, phase) in enumerate(PANELS):
        families = fits[axis, phase]
        left, bottom = i % 2 * 0.5, 0.53 - i // 2 * 0.46
        sizes = [p[0] for p in max((f[0] for f in families.values()), key=len)]
        tics = ", ".join(f"'{s}' {s}" for s in sizes)
        for family, (points, *_) in families.items():
            text.append(f"$p{i}{family} << E\n" + "\n".join(f"{s} {t:.6g}" for s, t in points) + "\nE")
        what = "training step" if phase == "train" else "100 samples"
        text.append(f"set origin {left},{bottom}\nset size 0.5,0.46\nset title '{what}'\nset xlabel '{TITLES[axis, 'train']}'\nset xtics ({tics})")
        text.append(f"set xrange [{sizes[0] / 1.2}:{sizes[-1] * 1.2}]")
        # The second panel has all families: its key serves all.
        text.append("set key at screen 0.5,0.02 center bottom horizontal maxrows 1 samplen 2" if i == 1 else "unset key")
        text.append("plot " + ", ".join(f"$p{i}{f} with linespoints lw 2 pt 7 ps 0.6 lc rgb '{COLOURS[f]}' title '{f.upper()}'" for f in families))
    subprocess.run(["gnuplot"], input="\n".join(text) + "\nunset multiplot\n", text=True, check=True)


def replace(path, make):
    """make(part) writes; the old file or the new one, never a part."""
    part = f"{path}.part"
    try:
        make(part)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)


def write(text):
    def make(path):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    return make


def main(taxon, prefix, quick=False):
    sizes, seconds = (QUICK, 0.005) if quick else (FULL, 2)
    names, steps = (list(RUNS)[:1], 2) if quick else (RUNS, 5)
    fits = {}
    for axis, phase in PANELS:
        print(f"{phase}, {axis}: {sizes[axis]}", file=sys.stderr)
        place = bench(taxon, axis, phase, sizes[axis], seconds)
        fits[axis, phase] = exponents(axis, phase, place["rows"])
    print("memory and start-up", file=sys.stderr)
    runs = {name: run_once(taxon, *RUNS[name], steps) for name in names}
    listed = list_seconds(taxon, 3 if quick else 20)
    replace(f"{prefix}.csv", write(tidy(fits, runs, listed)))
    replace(f"{prefix}.md", write(markdown(place, sizes, fits, runs, listed, f"{os.path.basename(prefix)}.svg")))
    replace(f"{prefix}.svg", lambda path: plot(fits, path))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], ["--quick"]):
        raise SystemExit("usage: scaling.py TAXON PREFIX [--quick]")
    main(sys.argv[1], sys.argv[2], quick=len(sys.argv) == 4)
