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
    games = list(dict.fromkeys(game for _, game in found))
    names = ", ".join(f"'{game.replace('_', ' ')}' {i}" for i, game in enumerate(games))
    tics = [f"set xtics ({names}) rotate by 40 right", "set bmargin 8", f"set xrange [-0.5:{len(games) - 0.5}]", "set yrange [0:1.2]", "set key top right horizontal"]
    whole = {d: next(r for other, r in order if other == d and r)["mode_count"] for d in points}
    e.figure([(title, "", "", tics, [("points pt 7 ps 1.1", dataset, [(games.index(game), m[at] / (whole[dataset] if at == 0 else 1))
               for game, m in of_set if np.isfinite(m[at])]) for dataset, of_set in points.items()])
              for title, at in (("share of the modes found", 0), ("share of samples near a mode", 1))], (1000, 430))
    for r in rows:
        print(f"{r[0]}, {r[1]}: {r[4]:.1f} modes, {100 * r[6]:.1f} % of high quality, KL {r[10]:.3g}, reverse {r[12]:.3g}")


main()
