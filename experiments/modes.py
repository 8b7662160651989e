"""The table of modes from a finished comparison: modes.py COMPARE.csv PUBLISHED.tsv OUT, which writes OUT.csv and OUT.md.

Means over seeds with their standard errors. KL between densities, data to model, is the truth's mean log-likelihood of the test rows
less the model's; of a model evaluated on fewer rows minus the entropy less the model's, with the error of these rows added."""
import collections
import csv
import math
import statistics
import sys

MEASURED = (("mode_count", "modes"), ("mode_high_quality", "high quality"), ("mode_kl", "KL of mode counts"),
            ("smoothed_kl", "smoothed KL(data, model)"), ("smoothed_reverse_kl", "smoothed KL(model, data)"))


def read(path):
    """runs[dataset][label][seed][quantity] = (value, error), likelihoods under the estimator's name."""
    runs = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(dict)))
    for r in csv.DictReader(open(path, newline="")):
        quantity = r["name"] if r["quantity"] == "mean_log_likelihood" and r["split"] == "test" else r["quantity"]
        if r["value"] and (not r["name"] or quantity == r["name"]):
            runs[r["dataset"]][r["label"]][r["seed"]][quantity] = float(r["value"]), float(r["error"] or 0)
    return runs


def of_seeds(values):
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def between_densities(seeds):
    """What it is by, KL(data, model) and its error; None without a likelihood."""
    if all("exact" in s for s in seeds):
        return "exact", *of_seeds([s["true_log_likelihood_test"][0] - s["exact"][0] for s in seeds])
    if all("quadrature" in s for s in seeds):
        value, error = of_seeds([-s["entropy"][0] - s["quadrature"][0] for s in seeds])
        return "quadrature", value, math.hypot(error, statistics.mean(s["quadrature"][1] for s in seeds))
    return None


def rows_of(runs):
    for dataset, labels in runs.items():
        for label, by_seed in labels.items():
            seeds = [s for s in by_seed.values() if s.get("status", (1, 0))[0] == 0]
            kl = between_densities(seeds) if seeds else None
            for quantity, _ in MEASURED:
                values = [s[quantity][0] for s in seeds if quantity in s]
                if values:
                    yield dataset, label, quantity, "estimate", *of_seeds(values), len(values)
            if kl:
                yield dataset, label, "kl", kl[0], *kl[1:], len(seeds)


def shown(value, error, percent=False):
    scale = 100 if percent else 1
    value, error = scale * value, scale * error
    if not error > 0:
        return f"{value:.4g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} +- {error:.{decimals}f}"


def page(rows, published):
    heads = ["model", *(name for _, name in MEASURED), "KL(data, model)", "by", "seeds", "published: modes, high quality, KL; steps"]
    out = []
    for dataset in dict.fromkeys(r[0] for r in rows):
        out += [f"## {dataset}", "", "| " + " | ".join(heads) + " |", "| --- " + "| --: " * 6 + "| --- | --: | --- |"]
        for label in dict.fromkeys(r[1] for r in rows if r[0] == dataset):
            own = {r[2]: r for r in rows if r[:2] == (dataset, label)}
            cells = [shown(*own[q][4:6], q == "mode_high_quality") + " %" * (q == "mode_high_quality") if q in own else "" for q, _ in MEASURED]
            kl = own.get("kl")
            p = published.get((dataset, label))
            said = f"{p['modes']}, {p['quality']} %" + f", {p['kl']}" * bool(p["kl"]) + f"; {p['steps']} steps; {p['source']}" if p else ""
            cells += [shown(*kl[4:6]) if kl else "", kl[3] if kl else "", str(max(r[6] for r in own.values())), said]
            out.append("| " + " | ".join([label, *cells]) + " |")
        out.append("")
    return out


def main(compare, published, out):
    rows = list(rows_of(read(compare)))
    with open(published, newline="") as f:
        beside = {(r["dataset"], r["label"]): r for r in csv.DictReader(f, delimiter="\t")}
    with open(f"{out}.csv", "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow("dataset model quantity by value std_error n_seed".split())
        w.writerows((*r[:4], f"{r[4]:.6g}", f"{r[5]:.3g}", r[6]) for r in rows)
    with open(f"{out}.md", "w") as f:
        f.write("# Modes of a ring and a grid of normals\n\n"
                "Made by `taxon run experiments/configs/modes.yaml` and `experiments/modes.py results/modes/compare.csv\n"
                "experiments/configs/modes_published.tsv results/tables/modes`. Means over seeds +- their standard error; nats. 20,000 steps of 100\n"
                "rows, 10,000 samples. A mode is found by one sample within 3 deviations, high quality is the share of such samples; KL of mode counts\n"
                "counts every sample (Lin et al. count those of high quality). Smoothed: of both sides with the same noise N(0, sigma^2 I), an\n"
                "estimate for every model; KL(data, model) between the densities themselves where there is a likelihood. Published values have nets,\n"
                "steps and sample numbers of their own.\n\n")
        f.write("\n".join(page(rows, beside)))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
