#!/bin/bash
# The examples of experiments/analysis on a tiny comparison: what each draws are the numbers of the comparison: test_analysis.sh TAXON
set -u
taxon=$(realpath "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
analysis=$root/experiments/analysis
/usr/bin/python3 -c 'import h5py, h5netcdf, matplotlib, pandas, xarray' 2>/dev/null || { echo "skipped: needs python3 with h5py, xarray, h5netcdf, pandas and matplotlib"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/taxon analysis XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
. "$root/tests/support/judge.sh"
export OPENBLAS_NUM_THREADS=1 MPLCONFIGDIR=$folder PYTHONDONTWRITEBYTECODE=1 # of the readers

awk 'BEGIN { srand(7); for (i = 0; i < 400; i++) { a = 8 * rand(); for (j = 0; j < 9; j++) printf "%d%s", (a + 2 * rand()) % 8, j < 8 ? "," : "\n" } }' >grey.csv
cat >tiny.yaml <<'YAML'
experiment: tiny
seeds: [0, 1]
datasets:
  - {name: bars, n_train: 300, n_valid: 60, n_test: 80}
  - {path: grey.csv, type: levels, levels: 8, view: dequantised, split_key: 1}
models:
  - {model: independent}
  - {model: made, hidden: [20]}
  - {model: nice, hidden: [10]}
  - {model: vae, latent: 2, hidden: [20]}
  - {model: rbm, view: raw, hidden: 8, train: {optimizer: sgd, learning_rate: 0.05}}
  - {model: gan, latent: 2, generator_hidden: [10], discriminator_hidden: [10]}
train: {epochs: 4, batch: 50}
evaluate: {estimators: [exact, elbo, {estimator: ais_log_z, n_chain: 10, n_step: 200}, {estimator: parzen, n_sample: 50, n_valid: 20}], n_sample: 50}
YAML
judge "the comparison" "$taxon" run tiny.yaml --out "a comparison" --progress none

cat >drawn.py <<'P'
"""drawn.py SCRIPT: runs it and compares the artists of its figure with the comparison, read here in another way."""
import csv, glob, math, os, runpy, sys
import h5py, numpy as np
name, script, picture = os.path.basename(sys.argv[1]), sys.argv[1], "figure.png"
sys.argv = [script, "a comparison", picture]
runpy.run_path(script, run_name="__main__")
import matplotlib.pyplot as plt
axes = plt.gcf().axes
pixels = plt.imread(picture)
assert pixels.shape[0] > 300 and pixels.shape[1] > 600 and pixels.std() > 0.05, pixels.shape
rows = [r for r in csv.DictReader(open("a comparison/compare.csv")) if r["split"] == "test" and r["quantity"] == "mean_log_likelihood"]
assert len(axes) == 2, len(axes)
for ax, (data, view, measure) in zip(axes, (("bars", "raw", "counting"), ("grey", "dequantised", "lebesgue"))):
    assert data in ax.get_title() and view in ax.get_title(), ax.get_title()
    assert "nat" in ax.get_xlabel() + ax.get_ylabel(), ax.get_xlabel()
    mine = [r for r in rows if (r["dataset"], r["view"]) == (data, view)]
    if name == "likelihoods.py":
        assert measure in ax.get_xlabel()
        names = [t.get_text().rstrip("*") for t in ax.get_yticklabels()]
        mark = {"exact": "o", "lower_bound": 9, "upper_bound": 8, "estimate": "o"}
        drawn = {}
        for container in ax.containers:
            line, _, (bars,) = container.lines
            for x, y, bar in zip(line.get_xdata(), line.get_ydata(), bars.get_segments()):
                drawn[names[int(y)]] = x, (bar[1][0] - bar[0][0]) / 2, line.get_marker(), line.get_fillstyle()
        assert drawn.keys() == {f"{r['label']}, {r['name']}" for r in mine}, (drawn.keys(), len(mine))
        for key, (x, error, marker, fill) in drawn.items():
            of = [r for r in mine if f"{r['label']}, {r['name']}" == key]
            values = [float(r["value"]) for r in of]
            assert len(values) == 2 and abs(x - np.mean(values)) < 1e-9 and abs(error - np.std(values, ddof=1) / math.sqrt(2)) < 1e-9, (key, x, error, values)
            assert marker == mark[of[0]["kind"]] and (fill == "none") == (of[0]["kind"] == "estimate"), (key, marker, fill)
        assert data == "grey" or {r["kind"] for r in mine} == {"exact", "lower_bound", "upper_bound"}
    if name == "curves.py":
        lines = [l for l in ax.lines if l.get_marker() == "None"]
        wanted = []
        for path in sorted(glob.glob(f"a comparison/{data}-{view}/*/seed-*/result.h5")):
            with h5py.File(path) as f:
                if f.attrs["score"] != "none" and f.attrs["epochs"]:
                    wanted.append((f.attrs["score"], f["train/step"][()], f["train/valid_log_likelihood"][()]))
        assert len(lines) == len(wanted) >= 6, (len(lines), len(wanted))
        for (score, step, value), line in zip(wanted, lines):
            assert np.array_equal(line.get_xdata(), step) and np.array_equal(line.get_ydata(), value, equal_nan=True)
            assert line.get_linestyle() == ("--" if score == "elbo" else "-"), (score, line.get_linestyle())
    if name == "paired.py":
        means = {}
        for r in mine:
            if r["kind"] == "exact":
                means.setdefault(r["label"], []).append(float(r["value"]))
        b, a = sorted(means, key=lambda m: np.mean(means[m]))[-2:]
        assert a in ax.get_ylabel() and b in ax.get_xlabel(), (a, b, ax.get_xlabel())
        def rows_of(m):
            return np.mean([h5py.File(p)["likelihood/test/exact/log_likelihood"][()] for p in glob.glob(f"a comparison/{data}-{view}/{m}/seed-*/result.h5")], 0)
        cloud = ax.lines[0]
        assert np.allclose(cloud.get_xdata(), rows_of(b), atol=1e-9) and np.allclose(cloud.get_ydata(), rows_of(a), atol=1e-9)
        said = float(ax.get_title().split(": ")[1].split(" ±")[0])
        error = float(ax.get_title().split("± ")[1].split(" nat")[0])
        assert abs(said - (np.mean(means[a]) - np.mean(means[b]))) <= 0.06 * error, (said, error)
P
for script in likelihoods curves paired; do
    judge "$script.py draws the numbers of the comparison" /usr/bin/python3 drawn.py "$analysis/$script.py"
done

cat >implicit.yaml <<'YAML'
experiment: implicit
seeds: [0]
datasets: [{name: grid, n_train: 100, n_valid: 20, n_test: 20}]
models: [{model: gan, latent: 2, generator_hidden: [10], discriminator_hidden: [10]}]
train: {epochs: 1, batch: 50}
evaluate: {estimators: [exact], n_sample: 10}
YAML
judge "a comparison without likelihoods" "$taxon" run implicit.yaml --out implicit --progress none
says_why() { ! /usr/bin/python3 "$analysis/$script.py" implicit none 2>why.txt && grep -q '^implicit.*: no ' why.txt && [ ! -e none ]; }
for script in likelihoods curves paired to_arviz; do
    judge "$script.py says why it draws nothing" says_why
done

arviz_layout() {
    /usr/bin/python3 "$analysis/to_arviz.py" "a comparison" arviz && /usr/bin/python3 - <<'P'
import csv, glob, xarray as xr
files = sorted(glob.glob("arviz/*/*.nc"))
assert len(files) == 4, files
means = {(r["dataset"], r["label"]): float(r["value"]) for r in csv.DictReader(open("a comparison/compare.csv"))
         if r["quantity"] == "mean_log_likelihood" and r["name"] == "exact" and r["seed"] == "0"}
for path in files:
    for engine in ("h5netcdf", "netcdf4"):
        ll = xr.open_dataset(path, group="log_likelihood", engine=engine).x
        assert ll.dims == ("chain", "draw", "example") and ll.shape[:2] == (1, 1) and {"chain", "draw", "example"} <= set(ll.coords), ll
        _, data, model = path.split("/")
        assert abs(float(ll.mean()) - means[data.split("-")[0], model[:-3]]) < 1e-9, path
P
}
judge "to_arviz.py has the layout of InferenceData" arviz_layout

if command -v Rscript >/dev/null && Rscript -e 'library(rhdf5)' >/dev/null 2>&1; then
    cat >drawn.R <<'R'
# The script with another matplot, which looks at what it is given, and draws it.
commandArgs <- function(...) c("a comparison", "bits.png")
panels <- 0
matplot <- function(x, y, ..., main, xlab) {
  group <- sub(":.*", "", main)
  models <- sort(basename(dirname(dirname(Sys.glob(file.path("a comparison", group, "*", "seed-0", "result.h5"))))))
  models <- Filter(function(m) any(h5ls(file.path("a comparison", group, m, "seed-0", "result.h5"))$group == "/likelihood/test/exact"), models)
  stopifnot(ncol(y) == length(models), grepl("at most", xlab) == grepl("dequantised", group))
  csv <- read.csv(file.path("a comparison", "compare.csv"))
  csv <- csv[paste(csv$dataset, csv$view, sep = "-") == group & csv$seed == 0 & csv$name == "exact" & csv$quantity == "bits_per_dim", ]
  for (i in seq_along(models)) { # the mean of the middles of the bins, up to half a bin and to what lies beyond the last
    width <- x[2] - x[1]
    stopifnot(sum(y[, i]) >= 0.95 * csv_n(group))
    stopifnot(abs(sum((x + width / 2) * y[, i]) / sum(y[, i]) - csv$value[csv$label == models[i]]) < width)
  }
  panels <<- panels + 1
  graphics::matplot(x, y, ..., main = main, xlab = xlab)
}
csv_n <- function(group) if (group == "bars-raw") 80 else 40
source(Sys.getenv("SCRIPT"))
stopifnot(panels == 2)
R
    judge "bits.R draws the numbers of the comparison" env SCRIPT="$analysis/bits.R" Rscript drawn.R
    judge "a comparison of one model" "$taxon" run tiny.yaml --out single --progress none "models=[{model: made, hidden: [20]}]" datasets.1.path=grey.csv
    judge "bits.R draws one model" Rscript "$analysis/bits.R" single single.png
    judge "its picture is one" /usr/bin/python3 -c 'import matplotlib.image as m; p = m.imread("bits.png"); assert p.shape[:2] == (450, 1200) and p[..., :3].std() > 0.05, (p.shape, p.std())'
else
    echo "skipped: bits.R needs R with rhdf5"
fi

if command -v octave-cli >/dev/null && command -v gnuplot >/dev/null; then
    cat >drawn.m <<'M'
source(getenv('SCRIPT'));
for ax = findobj(gcf, 'type', 'axes')'
  for l = findobj(ax, 'type', 'line')'
    printf('%s\t%.17g\t%.17g\n', get(get(ax, 'title'), 'string'), get(l, 'xdata'), get(l, 'ydata'));
  end
  for t = findobj(ax, 'type', 'text')'
    printf('text\t%s\t%.17g\n', strtrim(get(t, 'string')), get(t, 'position')(1));
  end
end
M
    octave_draws() {
        SCRIPT=$analysis/cost.m octave-cli drawn.m "a comparison" cost.svg >drawn.txt && /usr/bin/python3 - <<'P'
import csv, xml.etree.ElementTree as tree
rows = list(csv.DictReader(open("a comparison/compare.csv")))
sign = {"exact": "=", "lower_bound": ">=", "upper_bound": "<=", "estimate": "~"}
points, texts = set(), set()
for r in rows:
    if (r["seed"], r["split"], r["quantity"], r["evaluated_model"]) == ("0", "test", "mean_log_likelihood", "model"):
        (cost,) = [s["value"] for s in rows if s["seed"] == "0" and s["quantity"] == "sample_seconds_per_1000" and (s["dataset"], s["label"]) == (r["dataset"], r["label"])]
        points.add((f"{r['dataset']}, {r['view']}, {r['measure']} measure", float(r["value"]), float(cost)))
        texts.add((f"{sign[r['kind']]} {r['label']}, {r['name']}", float(r["value"])))
drawn = [line.rstrip("\n").split("\t") for line in open("drawn.txt")]
assert {(a, float(b), float(c)) for a, b, c in drawn if a != "text"} == points and len(points) == 7, (drawn, points)
assert {(b, float(c)) for a, b, c in drawn if a == "text"} >= texts, (drawn, texts)
assert len(tree.parse("cost.svg").findall(".//{http://www.w3.org/2000/svg}path")) > 10
P
    }
    judge "cost.m draws the numbers of the comparison" octave_draws
else
    echo "skipped: cost.m needs octave-cli and gnuplot"
fi

for f in "$analysis"/*.py "$analysis"/*.R "$analysis"/*.m "$analysis"/*.jl; do
    judge "$(basename "$f") is in the README" grep -q "\`$(basename "$f")\`" "$analysis/README.md"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
