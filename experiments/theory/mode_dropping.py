"""The same GAN under every divergence on two sets of known modes: modes found, share of samples near one, and the divergences between
data and samples under the same noise, mean and standard error over seeds. A run that diverged has no numbers and is counted."""
import json

import h5py
import numpy as np
import theory as th

NUMBERS = ("mode_count", "mode_high_quality", "mode_kl", "smoothed_kl", "smoothed_reverse_kl")


def main():
    e = th.Experiment("mode_dropping")
    quick = ["seeds=[0]", "train.epochs=1", "train.max_steps=5", "evaluate.metrics=[{metric: mode, n_sample: 100}, {metric: smoothed, n_sample: 100}]"]
    found, order = {}, []
    for path in e.run("runs", *(quick if e.quick else [])):
        with h5py.File(path) as f:
            game = json.loads(f["config/json"][()])["model"]["game"]
            key = (str(f.attrs["dataset"]), game)
            done = str(f.attrs["status"]) == "complete"
            found.setdefault(key, []).append([float(f[f"metrics/{n}"][()]) for n in NUMBERS] if done else None)
            real = {n: float(f[f"metrics/{n}_real"][()]) for n in NUMBERS} if done else {}
            order.append((key[0], real))
    rows, points = [], {}
    for (dataset, game), runs in found.items():
        values = np.array([r for r in runs if r is not None])
        mean = values.mean(0) if len(values) else np.full(len(NUMBERS), np.nan)
        error = values.std(0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.full(len(NUMBERS), np.nan)
        rows.append((dataset, game, len(values), len(runs) - len(values), *(float(v) for pair in zip(mean, error) for v in pair)))
        points.setdefault(dataset, []).append((game, mean))
    for dataset in points:
        real = next(r for d, r in order if d == dataset and r)
        rows.append((dataset, "real rows", 1, 0, *(v for n in NUMBERS for v in (real[n], float("nan")))))
    e.table(("dataset game seeds diverged " + " ".join(f"{n} {n}_error" for n in NUMBERS)).split(), rows)
    log = ["set logscale xy", "set format xy '10^{%L}'", "set key outside right"]
    e.figure([(dataset, "KL(data || model), smoothed", "KL(model || data), smoothed", log,
               [("points pt 7 ps 1.2", game, [(max(m[3], 1e-4), max(m[4], 1e-4))]) for game, m in games if np.isfinite(m[3])]) for dataset, games in points.items()], (1200, 420))
    for r in rows:
        print(f"{r[0]}, {r[1]}: {r[4]:.1f} modes, {100 * r[6]:.1f} % of high quality, KL {r[10]:.3g}, reverse {r[12]:.3g}")


main()
