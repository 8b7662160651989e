"""What the experiments share: a run of the command, its files, the line by quadrature, a table and a figure."""
import argparse
import csv
import math
import pathlib
import subprocess

import h5py
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent

# The built-in set mixture_1d; check_truth compares it with what a run says of its own data.
WEIGHTS, CENTRES, DEVIATIONS = np.array([0.5, 0.3, 0.2]), np.array([-1.5, 0.5, 2.25]), np.array([0.6, 1.1, 0.25])
LINE = np.linspace(-12, 12, 48001)  # where integrals are sums: all densities here are smooth and vanish at its ends
STEP = LINE[1] - LINE[0]
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999", "#882255", "#117733", "#332288", "#ddcc77", "#aa4499")


def log_normal(x, mean, deviation):
    return -0.5 * ((x - mean) / deviation) ** 2 - np.log(deviation) - 0.5 * math.log(2 * math.pi)


def log_mixture(x, weights=WEIGHTS, centres=CENTRES, deviations=DEVIATIONS):
    terms = np.log(weights) + log_normal(np.asarray(x)[..., None], centres, deviations)
    largest = terms.max(-1, keepdims=True)
    return (largest + np.log(np.exp(terms - largest).sum(-1, keepdims=True)))[..., 0]


def integral(values):
    return float(values.sum() * STEP)


def kl(log_p, log_q):
    """KL(p || q) of densities on LINE, nats."""
    p = np.exp(log_p)
    return integral(np.where(p > 0, p * (log_p - log_q), 0))


def jensen_shannon(log_p, log_q):
    middle = np.logaddexp(log_p, log_q) - math.log(2)
    return (kl(log_p, middle) + kl(log_q, middle)) / 2


def minimise(f, start, step=0.5, until=1e-9):
    """Nelder and Mead's simplex (1965) for a few variables."""
    points = [np.array(start, float)] + [np.array(start, float) + step * e for e in np.eye(len(start))]
    points = sorted(((f(p), p) for p in points), key=lambda v: v[0])
    while max(np.abs(p - points[0][1]).max() for _, p in points) > until:
        centre, worst = np.mean([p for _, p in points[:-1]], 0), points[-1][1]
        tries = [(f(q), q) for q in (centre + k * (centre - worst) for k in (1, 2, 0.5, -0.5))]
        best = min(tries, key=lambda v: v[0])
        if best[0] < points[-1][0]:
            points[-1] = best
        else:
            points = [(f(q), q) for q in ((p + points[0][1]) / 2 for _, p in points)]
        points.sort(key=lambda v: v[0])
    return points[0][1], points[0][0]


class Experiment:
    """One of the scripts here: python3 NAME.py TAXON RUNS TABLES [--quick]; runs in RUNS/NAME, NAME.csv and NAME.svg in TABLES."""

    def __init__(self, name):
        options = argparse.ArgumentParser(prog=f"{name}.py")
        options.add_argument("taxon", type=pathlib.Path)
        options.add_argument("runs", type=pathlib.Path)
        options.add_argument("tables", type=pathlib.Path)
        options.add_argument("--quick", action="store_true", help="sizes at which all is tried and nothing is shown")
        a = options.parse_args()
        self.name, self.taxon, self.quick = name, a.taxon, a.quick
        self.runs, self.tables = a.runs / name, a.tables
        self.tables.mkdir(parents=True, exist_ok=True)

    def run(self, folder, *overrides, config=None):
        """All runs of a config, NAME.yaml unless told, into RUNS/NAME/FOLDER; finished ones are kept. Gives their files."""
        out = self.runs / folder
        command = [self.taxon, "run", HERE / (config or f"{self.name}.yaml"), *overrides, "--out", out, "--progress", "none"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 3):  # 3: some runs diverged, which is a result
            raise SystemExit(f"{self.name}: {' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr}")
        return sorted(out.glob("*/*/seed-*/result.h5"))

    def table(self, columns, rows):
        with open(self.tables / f"{self.name}.csv", "w", encoding="utf-8", newline="") as f:
            w = csv.writer(f, lineterminator="\n")
            w.writerow(columns)
            w.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in rows)

    def figure(self, panels, size=(900, 380)):
        """Panels side by side: (title, x label, y label, settings, [(kind, name, points[n,2..]), ...]); a kind may name its own colour."""
        path = self.tables / f"{self.name}.svg"
        text = [f"set terminal svg size {size[0]},{size[1]} font 'Helvetica,13' background rgb 'white'", f"set output '{path}'",
                "set border 3", "set tics nomirror", "set grid lc rgb '#dddddd'", f"set multiplot layout 1,{len(panels)}"]
        for i, (title, x, y, settings, series) in enumerate(panels):
            series = [(kind, name.replace("_", " "), points) for kind, name, points in series]
            for k, (_, _, points) in enumerate(series):
                text += [f"$d{i}_{k} << E", *(" ".join(f"{v:.6g}" for v in p) for p in points), "E"]
            text += [f"set title '{title}'", f"set xlabel '{x}'", f"set ylabel '{y}'", "unset logscale", "set autoscale",
                     "set key top right samplen 1.5", *settings]
            text.append("plot " + ", ".join(
                f"$d{i}_{k} with {kind if ' lc ' in kind else f'{kind} lc rgb {COLOURS[k % len(COLOURS)]!r}'} title '{name}'"
                for k, (kind, name, _) in enumerate(series)))
        subprocess.run(["gnuplot"], input="\n".join(text) + "\nunset multiplot\n", text=True, check=True)


def check_truth(path):
    """The density above is that of the data: their mean log-density on the test rows, by the run and by log_mixture."""
    with h5py.File(path) as f:
        x, said = f["data/test/x"][:, 0].astype(float), float(f["metrics/entropy"][()])
    p = log_mixture(LINE)
    own = -integral(np.exp(p) * p)
    if abs(own - said) > 1e-6 or not np.isfinite(log_mixture(x)).all():
        raise SystemExit(f"{path}: the entropy of the data is {said}, of the density in theory.py {own}")
    return own


def net(group, x, hidden, last=lambda a: a):
    """A multilayer perceptron from /parameters/NET: x[n,in] through layer_w0, layer_b0, ..."""
    n = 0
    while f"layer_w{n}" in group:
        n += 1
    for i in range(n):
        x = x @ group[f"layer_w{i}"][()].astype(float) + group[f"layer_b{i}"][()].astype(float)
        x = (hidden if i < n - 1 else last)(x)
    return x


def leaky_relu(a):
    return np.where(a > 0, a, 0.2 * a)


def sigmoid(a):
    return 0.5 * (1 + np.tanh(a / 2))
