#!/bin/bash
# The reproduction table: its configurations, its list of rows, the committed table, and how a row is made, at toy size:
# test_published.sh TAXON
set -u
taxon=$(realpath "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
list=$root/experiments/configs/published/rows.tsv
folder=$(mktemp -d "${TMPDIR:-/tmp}/taxon published XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
. "$root/tests/support/judge.sh"

# Every configuration is understood, and every row names a run of one.
mkdir config
for f in "$root"/experiments/configs/published/*.yaml; do
    judge "config $(basename "$f")" "$taxon" config "$f"
    cp judged.txt "config/$(basename "$f" .yaml)"
done
check_rows() {
    /usr/bin/python3 - "$list" "$root/results/tables/published.csv" <<'P'
import csv, os, re, sys
rows = list(csv.DictReader(open(sys.argv[1], encoding="utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE))
names = [r["row"] for r in rows]
assert len(names) == len(set(names)) > 30
for r in rows:
    assert None not in r.values() and None not in r, r
    text = open(f"config/{r['config']}", encoding="utf-8").read()
    data, label = r["run"].split("/")
    labels = re.findall(r"(?:model|label): (\S+)", text)
    assert label in labels, (r["row"], label, labels)
    name, view = data.rsplit("-", 1)
    assert re.search(rf"name: {name}\b", text), r["row"]
    assert view == "raw" or f"view: {view}" in text, r["row"]
    assert (r["published"] == "-") == (r["seen"] == "-") == (r["source"] == "-"), r["row"]
    if r["published"] != "-":
        float(r["published"])
        assert r["seen"].split(",")[0].split(";")[0] in ("file", "transcription", "memory"), r["seen"]
table = list(csv.DictReader(open(sys.argv[2], encoding="utf-8", newline="")))
assert list(table[0]) == ("model data view measure estimator kind value std_error n published source seen seed epochs wall_s "
                          "command remark").split()
made = [t["command"].split()[-1] for t in table]
assert made == [n for n in names if n in made], "order of the rows, or a row that is not in the list"
of = {r["row"]: r for r in rows}
for t, n in zip(table, made):
    assert t["published"] == of[n]["published"].replace("-", "", of[n]["published"] == "-"), n
    assert float(t["value"]) and float(t["std_error"]) > 0 and int(t["n"]) > 0 and t["kind"] in ("exact", "lower_bound", "upper_bound", "estimate"), n
P
}
judge "rows and table" check_rows

# A row of each sort at toy size.
cat >toy.yaml <<'E'
experiment: toy
seeds: [0]
datasets: [{name: bernoulli_mixture, n_train: 400, n_valid: 100, n_test: 150}]
train: {epochs: 2, batch: 50}
models:
  - {model: chow_liu}
  - {model: made, label: made_2, hidden: [9], masks: 2, order: random}
  - {model: vae, latent: 2, hidden: [8]}
  - {model: vae, label: lost, latent: 2, hidden: [8], train: {optimizer: sgd, learning_rate: 1e12}}
evaluate: {estimators: [exact, elbo], n_sample: 0, splits: [test]}
E
run=out/toy/bernoulli_mixture-raw
judge "toy runs, of which one diverges" bash -c '"$1" run toy.yaml --out out/toy --progress none; [ $? = 3 ]' _ "$taxon"
judge "ensemble" "$taxon" evaluate $run/made_2/seed-0 --estimator ensemble n_ordering=2
judge "iwae" "$taxon" evaluate $run/vae/seed-0 --estimator iwae n_importance=7
judge "ais" "$taxon" evaluate $run/vae/seed-0 --estimator ais n_example=30 n_step=20 n_chain=3
judge "bdmc" "$taxon" evaluate $run/vae/seed-0 --estimator bdmc n_example=10 n_step=20 n_chain=3
row() { printf '%s\t' "$1" toy "bernoulli_mixture-raw/$2" "$3" "$4" - "$5" "${6:--}" "${7:--}" - -; printf '%s\n' "${8:--}"; }
{
    printf 'row\tconfig\trun\testimate\testimator\toptions\tpublished\tsource\tseen\tpaper_epochs\tunit\tremark\n'
    row tree chow_liu exact - -9.125 "a paper" file "a word"
    row one made_2 ensemble@1 ensemble -
    row two made_2 ensemble@2 ensemble -
    row bound vae iwae iwae -
    row chains vae ais ais -
    row missing nowhere exact - -
    row lost lost elbo - -
} >rows.tsv
judge "table is made" /usr/bin/python3 "$root/experiments/published.py" rows.tsv out table
cp judged.txt said.txt
judge "a diverged run is said to be one" grep -q 'lost: .*the run is diverged' said.txt
check_table() {
    /usr/bin/python3 - table.csv "$run" <<'P'
import csv, sys, h5py, numpy as np
t = {r["command"].split()[-1]: r for r in csv.DictReader(open(sys.argv[1], newline=""))}
assert list(t) == ["tree", "one", "two", "bound", "chains"]
ll = lambda run, file, name: h5py.File(f"{sys.argv[2]}/{run}/seed-0/{file}.h5")[f"likelihood/test/{name}/log_likelihood"][:]
tree, two = ll("chow_liu", "result", "exact"), ll("made_2", "evaluation-ensemble", "ensemble")
near = lambda text, x: abs(float(text) - x) < 1e-4
assert near(t["tree"]["value"], tree.mean()) and near(t["tree"]["std_error"], tree.std(ddof=1) / np.sqrt(150))
assert near(t["two"]["value"], two.mean()) and near(t["two"]["std_error"], two.std(ddof=1) / np.sqrt(150))
assert not near(t["one"]["value"], two.mean()) and t["one"]["kind"] == "exact"
assert near(t["bound"]["value"], ll("vae", "evaluation-iwae", "iwae").mean()) and t["bound"]["kind"] == "lower_bound"
bound, ais = ll("vae", "evaluation-iwae", "iwae"), ll("vae", "evaluation-ais", "ais")
assert len(ais) == 30 and near(t["chains"]["value"], bound.mean() + (ais - bound[:30]).mean()) and t["chains"]["n"] == "30"
assert near(t["chains"]["std_error"], np.sqrt(bound.var(ddof=1) / 150 + (ais - bound[:30]).var(ddof=1) / 30))
assert f"these alone: {ais.mean():.2f}" in t["chains"]["remark"] and "BDMC gap" in t["chains"]["remark"]
assert t["tree"]["published"] == "-9.125" and t["tree"]["seen"] == "file" and t["one"]["published"] == ""
assert t["tree"]["remark"].startswith("a word") and "k = 7" in t["bound"]["remark"] and "Monte Carlo error" in t["bound"]["remark"]
assert t["bound"]["n"] == "150" and t["bound"]["epochs"] == "2" and "published.sh bound" in t["bound"]["command"]
P
}
judge "the table's numbers" check_table
cp table.csv former.csv
rm -r $run/chow_liu
judge "a row without its run is kept" /usr/bin/python3 "$root/experiments/published.py" rows.tsv out table
judge "as it was" cmp table.csv former.csv
cp $run/made_2/seed-0/evaluation-ensemble.h5 $run/vae/seed-0/evaluation-iwae.h5
judge "an evaluation of another run is refused" bash -c '! /usr/bin/python3 "$1" rows.tsv out table' _ "$root/experiments/published.py"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
