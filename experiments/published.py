"""The reproduction table from finished runs: published.py ROWS.tsv RESULTS OUT, which writes OUT.csv and OUT.md.

ROWS says which number of which run stands beside which published one (experiments/configs/published/rows.tsv). Rows whose run is
not there yet, or diverged, keep what OUT.csv already has of them, so that any may be made again alone."""
import csv
import json
import os
import sys

import h5py

COLUMNS = ("model data view measure estimator kind value std_error n published source seen seed epochs wall_s command "
           "remark").split()
SIGNS = {"exact": "=", "lower_bound": "≥", "upper_bound": "≤", "estimate": "~"}


def find(folder, row):
    """The estimate's array attributes, the run's file and the seconds that the evaluation took."""
    name, _, prefix = row["estimate"].partition("@")
    with h5py.File(f"{folder}/result.h5") as run:
        root = dict(run.attrs)
        if root["status"] != "complete":
            print(f"{row['row']}: {folder}: the run is {root['status']}", file=sys.stderr)
            raise FileNotFoundError(folder)
        seconds = float(run["timing/train_seconds"][()])
    path = f"{folder}/evaluation-{name}.h5" if row["estimator"] != "-" else f"{folder}/result.h5"
    with h5py.File(path) as f:
        ll = dict(f[f"likelihood/test/{name}/log_likelihood"].attrs)
        seconds += float(f[f"timing/evaluation_test_{name}"][()])
        if path != f"{folder}/result.h5" and f.attrs["run_sha256"] != root["content_sha256"]:
            raise ValueError(f"{path} evaluates another run")
    return ll, root, seconds, prefix


def bdmc(folder):
    path = f"{folder}/evaluation-bdmc.h5"
    if not os.path.exists(path):
        return []
    with h5py.File(path) as f:
        s = json.loads(f["likelihood/simulated/bdmc/log_likelihood"].attrs["settings"])
    return [f"BDMC gap on simulated data {s['gap_mean']:.3f} +- {s['gap_error']:.3f}"]


def beside(folder):
    """ais on some rows beside a bound of all of them: their difference where both are, added to the bound's mean, is what ais would
    have on all, with a far smaller error than the mean of the few. Value, error and a remark; None without such a bound."""
    with h5py.File(f"{folder}/evaluation-ais.h5") as f:
        ais, example = (f[f"likelihood/test/ais/{name}"][()] for name in ("log_likelihood", "example"))
    for file, name in (("evaluation-iwae.h5", "iwae"), ("result.h5", "elbo")):
        if not os.path.exists(f"{folder}/{file}"):
            continue
        with h5py.File(f"{folder}/{file}") as f:
            if f"likelihood/test/{name}" not in f:
                continue
            bound = f[f"likelihood/test/{name}/log_likelihood"][()]
        if len(bound) <= max(example) or len(bound) == len(ais):
            continue
        above = ais - bound[example]
        error = above.std(ddof=1) / len(above) ** 0.5
        total = (error ** 2 + bound.var(ddof=1) / len(bound)) ** 0.5
        return (bound.mean() + above.mean(), total,
                [f"{name} of all {len(bound)} rows {bound.mean():.2f}, ais above it by {above.mean():.2f} +- {error:.2f} on {len(above)} of them "
                 f"(these alone: {ais.mean():.2f} +- {ais.std(ddof=1) / len(ais) ** 0.5:.2f})"])
    return None


def entry(row, results):
    folder = f"{results}/{row['config']}/{row['run']}/seed-0"
    ll, root, seconds, prefix = find(folder, row)
    settings = json.loads(ll["settings"])
    value, error = float(ll["mean"]), float(ll["std_error"])
    remarks = [] if row["remark"] == "-" else [row["remark"]]
    if prefix:
        at = settings["curve_n"].index(int(prefix))
        value, error = settings["curve_mean"][at], settings["curve_std_error"][at]
        remarks.append(f"{prefix} ordering" + "s" * (prefix != "1"))
    elif ll["evaluated_model"] != "model":
        remarks.append(ll["evaluated_model"])
    if row["unit"] != "-":
        value -= settings["mean_log_jacobian"]
        remarks.append("+- of the likelihood on [0,1]")
    if ll["mc_error"] > 0:
        remarks.append(f"Monte Carlo error {ll['mc_error']:.3f}")
    if row["estimate"] == "ais":
        remarks += [f"{settings['n_step']} steps, {settings['n_chain']} chains", f"acceptance {settings['mean_acceptance']:.2f}"]
        all_rows = beside(folder)
        if all_rows:
            value, error = all_rows[:2]
            remarks += all_rows[2]
        remarks += bdmc(folder)
    if row["estimate"] == "iwae":
        remarks.append(f"k = {settings['n_importance']}")
    epochs = int(root["epochs"])
    if root["best_epoch"] and epochs > 1:
        remarks.append(f"epoch {root['best_epoch']} best on valid")
    if row["paper_epochs"] != "-":
        remarks.append(f"the paper: {row['paper_epochs']} epochs")
    blank = {k: "" if row[k] == "-" else row[k] for k in ("published", "source", "seen")}
    return {"model": root["label"], "data": root["dataset"], "view": root["view"], "measure": root["measure"],
            "estimator": ll["estimator"], "kind": ll["kind"], "value": f"{value:.4f}", "std_error": f"{error:.4f}",
            "n": int(ll["n_example"]), **blank, "seed": int(root["seed"]), "epochs": epochs, "wall_s": f"{seconds:.0f}",
            "command": f"./experiments/published.sh {row['row']}", "remark": "; ".join(remarks)}


def read_former(path):
    if not os.path.exists(path):
        return {}
    with open(path, newline="", encoding="utf-8") as f:
        return {e["command"].split()[-1]: e for e in csv.DictReader(f)}


def cell(e):
    published = e["published"]
    gap = f"{float(e['value']) - float(published):+.2f}" if published else ""
    ours = f"{SIGNS[e['kind']]} {float(e['value']):.2f} ± {float(e['std_error']):.2f}"
    source = f"{e['source']} ({e['seen']})" if published else ""
    return [e["model"], e["data"], e["view"], e["estimator"], ours, e["n"], published, gap, source, e["epochs"], e["wall_s"],
            e["remark"]]


def markdown(entries):
    heads = ["model", "data", "view", "by", "ours, nats", "n", "published", "ours − published", "source (seen as)", "epochs",
             "seconds", "remark"]
    lines = ["# Published numbers and ours", "",
             "Mean test log-likelihoods in nats, higher is better. = exact, ≥ a lower bound, ~ an estimate; ± is the standard error over",
             "the n test examples. *Seen as* tells how a published number was seen: in a file of its authors or of others, in a",
             "transcription of the paper, or from memory only (unverified). Each row: `./experiments/published.sh ROW`, seed 0; the epoch",
             "is chosen on valid, nothing on test. `ais` costs too much for all rows: its value is a bound's mean over all plus what ais adds",
             "to it on the n rows, where there is such a bound. Seconds are wall time of training and evaluation on the machine at hand.", "",
             "| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(str(c) for c in cell(e)) + " |" for e in entries]
    return "\n".join(lines) + "\n"


def main():
    rows_path, results, out = sys.argv[1:]
    with open(rows_path, newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    former, entries = read_former(out + ".csv"), []
    for row in rows:
        try:
            entries.append(entry(row, results))
        except FileNotFoundError:
            if row["row"] in former:
                entries.append(former[row["row"]])
    for path, text in ((out + ".csv", None), (out + ".md", markdown(entries))):
        with open(path + ".part", "w", newline="", encoding="utf-8") as f:
            if text is None:
                w = csv.DictWriter(f, COLUMNS, lineterminator="\n")
                w.writeheader()
                w.writerows(entries)
            else:
                f.write(text)
        os.replace(path + ".part", path)


if __name__ == "__main__":
    main()
