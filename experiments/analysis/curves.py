"""Had each model stopped improving when its training ended? curves.py RESULTS_FOLDER OUT_FIGURE

The validation score of every run, which chose its epoch, against steps: solid where it is the likelihood, dashed where it is a
bound of it; the dot is the epoch that was kept. Runs without a score are left out. h5py and matplotlib."""
import glob
import sys

import h5py
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt

if len(sys.argv) != 3:
    sys.exit(__doc__)
folder, figure = sys.argv[1:]
panels = {}
for path in sorted(glob.glob(f"{glob.escape(folder)}/*/*/seed-*/result.h5")):
    with h5py.File(path) as f:
        a = f.attrs
        if a["score"] != "none" and a["epochs"] > 0 and "train/valid_log_likelihood" in f:
            curve = f["train/step"][()], f["train/valid_log_likelihood"][()], a["best_epoch"]
            panels.setdefault((a["dataset"], a["view"], a["measure"]), []).append((a["label"], a["score"], *curve))
if not panels:
    sys.exit(f"{folder}: no finished run whose epochs have a validation score")
fig, axes = plt.subplots(1, len(panels), figsize=(6 * len(panels), 4.5), squeeze=False)
for ax, ((dataset, view, measure), runs) in zip(axes[0], panels.items()):
    labels = list(dict.fromkeys(label for label, *_ in runs))
    for label, score, step, value, best in runs:
        colour = f"C{labels.index(label) % 10}"
        name = f"{label} ($\\geq$)" if score == "elbo" else label
        ax.plot(step, value, "--" if score == "elbo" else "-", color=colour, label=name)
        ax.plot(step[best - 1], value[best - 1], "o", color=colour)
    entries = dict(zip(*reversed(ax.get_legend_handles_labels())))
    ax.legend(entries.values(), entries.keys())
    ax.set(xlabel="optimiser steps", ylabel=f"mean validation log-likelihood, nat ({measure} measure)", title=f"{dataset}, {view}")
fig.tight_layout()
fig.savefig(figure)
