#!/bin/bash
# The configuration of modes at toy size, and the numbers of its table against the runs' own files: test_modes.sh TAXON
set -u
taxon=$(realpath "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
/usr/bin/python3 -c 'import h5py, numpy' 2>/dev/null || { echo "skipped: needs python3 with h5py and numpy"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/taxon modes XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
. "$root/tests/support/judge.sh"
judge "every model runs" "$taxon" run "$root/experiments/configs/modes.yaml" --out runs --progress none 'seeds=[0, 1]' train.epochs=1 \
    'datasets=[{name: ring, n_train: 500, n_valid: 20, n_test: 60}]' 'evaluate.metrics=[{metric: mode, n_sample: 50}, {metric: smoothed, n_sample: 50}]' \
    'evaluate.estimators=[exact, elbo, {estimator: quadrature, n_node: 31, n_example: 40}]' evaluate.n_sample=10
judge "the table is made" /usr/bin/python3 "$root/experiments/modes.py" runs/compare.csv "$root/experiments/configs/modes_published.tsv" modes
judge "its numbers are those of the runs" /usr/bin/python3 - <<'PYTHON'
import csv, glob, h5py, numpy as np
table = {(r["model"], r["quantity"]): r for r in csv.DictReader(open("modes.csv"))}
def of(label, read):
    values = []
    for path in sorted(glob.glob(f"runs/ring-raw/{label}/seed-*/result.h5")):
        with h5py.File(path) as f:
            values.append(read(f))
    return np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))
def exact(f):
    return f["metrics/true_log_likelihood_test"][()] - f["likelihood/test/exact/log_likelihood"][()].mean()
def quadrature(f):
    return -f["metrics/entropy"][()] - f["likelihood/test/quadrature/log_likelihood"][()].mean()
for label, quantity, read in (("made_mog", "kl", exact), ("maf", "kl", exact), ("vae", "kl", quadrature),
                              ("wgan_gp", "mode_kl", lambda f: f["metrics/mode_kl"][()]), ("gan", "smoothed_kl", lambda f: f["metrics/smoothed_kl"][()])):
    value, error = of(label, read)
    row = table[label, quantity]
    assert abs(float(row["value"]) - value) < 1e-4 * abs(value), (label, row, value)
    assert (label == "vae" and float(row["std_error"]) > error) or abs(float(row["std_error"]) - error) < 1e-2 * error, (label, row, error)
    assert row["n_seed"] == "2", row
assert len({model for model, _ in table}) == 9, table.keys()
PYTHON
judge "published values stand beside" grep -q '^| pacgan .*7.9 +- 0.1, 95.6 +- 2.0 %' modes.md
judge "the committed table has the same columns" cmp <(head -1 modes.csv) <(head -1 "$root/results/tables/modes.csv")

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
