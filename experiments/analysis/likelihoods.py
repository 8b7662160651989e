"""How likely are the test data under each model, and what does its number say? likelihoods.py RESULTS_FOLDER OUT_FIGURE

A panel for each data set, view and measure: between panels, as between kinds, numbers have no order. Bars: standard error over seeds, over
examples where there is one seed. A star: not the model itself is evaluated, but what evaluated_model says. pandas and matplotlib."""
import sys

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

MARK = {"exact": ("o", "full", "exact"), "lower_bound": (9, "full", "at least"), "upper_bound": (8, "full", "at most"),
        "estimate": ("o", "none", "estimate")}

if len(sys.argv) != 3:
    sys.exit(__doc__)
folder, figure = sys.argv[1:]
d = pd.read_csv(f"{folder}/compare.csv", keep_default_na=False, na_values={"value": [""], "error": [""]})
d["by"] = d.label + ", " + d.name + (d.evaluated_model != "model").map({True: "*", False: ""})
d = d[(d.quantity == "mean_log_likelihood") & (d.split == "test") & (d.chosen == 1)].dropna(subset=["value"])
seeds = d.groupby(["dataset", "view", "measure", "by", "kind"], sort=False).agg(
    mean=("value", "mean"), over_seeds=("value", "sem"), over_examples=("error", "mean")).reset_index()
seeds["error"] = seeds.over_seeds.fillna(seeds.over_examples)  # of one seed
panels = list(seeds.groupby(["dataset", "view", "measure"], sort=False))
if not panels:
    sys.exit(f"{folder}/compare.csv: no likelihood of the test split")
fig, axes = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 1.5 + 0.28 * max(len(p) for _, p in panels)), squeeze=False)
for ax, ((dataset, view, measure), p) in zip(axes[0], panels):
    p = p.sort_values(["kind", "mean"], key=lambda c: c.map(list(MARK).index) if c.name == "kind" else -c)
    for kind, k in p.assign(y=range(len(p))).groupby("kind"):
        marker, fill, words = MARK[kind]
        ax.errorbar(k["mean"], k.y, xerr=k.error, fmt="C0", ls="none", marker=marker, ms=8, fillstyle=fill, label=words)
    ax.set(yticks=range(len(p)), yticklabels=p.by, xlabel=f"mean test log-likelihood, nat ({measure} measure)", title=f"{dataset}, {view}")
    ax.invert_yaxis()
    ax.legend()
fig.tight_layout()
fig.savefig(figure)
