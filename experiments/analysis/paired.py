"""On which examples is the better of two models better? paired.py RESULTS_FOLDER OUT_FIGURE

The two likeliest models with exact likelihoods (a bound would move the cloud by an unknown amount), example by example, means over the seeds
that both have, a panel for each data set and view. The error of the difference is that of pairs: examples that are hard are hard for
both. Axes leave out the last 0.2 % on each side, which the title counts. xarray and matplotlib."""
import math
import sys

import h5py
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

if len(sys.argv) != 3:
    sys.exit(__doc__)
folder, figure = sys.argv[1:]
pairs = []
with h5py.File(f"{folder}/compare.h5") as f:
    tests = [group for group in f if f"{group}/test/log_likelihood" in f and "exact" in f[group]["test/estimator"].asstr()[()]]
for group in tests:
    with xr.open_dataset(f"{folder}/compare.h5", group=f"{group}/test", engine="h5netcdf") as c:
        ll = c.log_likelihood.sel(estimator="exact").where((c.kind.sel(estimator="exact") == "exact") & (c.chosen == 1))
        means = ll.mean(["seed", "example"]).dropna("model")
        if means.size >= 2:
            best = means.sortby(means, ascending=False).model.values[:2]
            both = ll.sel(model=best).dropna("example", how="all").dropna("seed").mean("seed").values
            if both.size and np.ptp(both[0] - both[1]) > 0:
                pairs.append((group, *best, *both))
if not pairs:
    sys.exit(f"{folder}/compare.h5: no two models with exact likelihoods of the same examples")
fig, axes = plt.subplots(1, len(pairs), figsize=(5.5 * len(pairs), 5.5), squeeze=False)
for ax, (group, a, b, of_a, of_b) in zip(axes[0], pairs):
    difference = of_a - of_b
    mean, error = difference.mean(), difference.std(ddof=1) / math.sqrt(difference.size)
    digits = max(0, 1 - math.floor(math.log10(error)))
    low, high = np.quantile([of_a, of_b], [0.002, 0.998])
    beyond = np.sum((np.minimum(of_a, of_b) < low) | (np.maximum(of_a, of_b) > high))
    ax.plot(of_b, of_a, ".", ms=2)
    ax.axline((low, low), slope=1, color="k", lw=0.8)
    ax.set(xlim=(low, high), ylim=(low, high), xlabel=f"log-likelihood of an example by {b}, nat", ylabel=f"by {a}, nat")
    ax.set_title(f"{group}: {mean:.{digits}f} ± {error:.{digits}f} nat; above the line for\n"
                 f"{np.mean(difference > 0):.0%} of {difference.size} examples, {beyond} of which lie outside", fontsize=10)
fig.tight_layout()
fig.savefig(figure)
