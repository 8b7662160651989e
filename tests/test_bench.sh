#!/bin/bash
# `taxon bench` as a command; the table that compares it with a peer, made from numbers known beforehand; the study of growth
# at toy sizes: test_bench.sh TAXON
set -u
taxon=$(realpath "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/taxon bench XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
. "$root/tests/support/judge.sh"

# Refusals.
refused() { # CODE MESSAGE ARGUMENT...
    local code=$1 message=$2
    shift 2
    "$taxon" bench "$@" >out.txt 2>err.txt
    [ $? -eq "$code" ] && grep -qF -- "$message" err.txt && [ ! -s out.txt ]
}
judge "an unknown workload is refused" refused 64 "unknown workload 'vae-500-2': did you mean 'vae-500-20'?" vae-500-2
judge "with the list" refused 64 "vae-500-20, gan-1200, dcgan-64-128, nice-4x5x1000, realnvp-6x2x500, maf-5x500, ica-784, made-500, nade-500, fvbn-logistic, rbm-500-cd1, pixelcnn-7x32" fvbn-logistic nothing
judge "no time" refused 64 "0" --seconds 0
judge "no threads" refused 64 "--threads" --threads 0
judge "no such phase" refused 64 "expected train, sample or evaluate, found 'validate'" --phase validate
judge "no such axis" refused 64 "expected hidden=N,..., dim=N,... or batch=N,..., found 'width=3'" --vary width=3
judge "no sizes" refused 64 "sizes from 1 to 100000" --vary dim=
judge "a size of 0" refused 64 "found 'dim=3,0'" --vary dim=3,0
judge "what is no size" refused 64 "found 'dim=3;4'" --vary "dim=3;4"
judge "an unknown family" refused 64 "unknown family 'mad': did you mean 'made'?; there are fvbn, nade, made" --vary dim=3 mad

# Lines and document.
judge "lines" "$taxon" bench --seconds 0.01 --threads 1 fvbn-logistic
cp judged.txt lines.txt
judge "a line is as the peer's" grep -qE '^fvbn-logistic +train +batch +100 +[0-9.]+ ms +[0-9]+ img/s  \(n=[0-9]+\)  floor +[0-9.]+ ms, share +[0-9]+ %$' lines.txt
judge "kernels, rates and memory are said" bash -c 'grep -q "kernels for" lines.txt && grep -q "GEMM [0-9]* GFLOP/s" lines.txt && grep -q "^peak memory [0-9]* MB" lines.txt'
judge "what taxon set is said" grep -q '^OPENBLAS_NUM_THREADS=1, set by taxon' lines.txt
judge "no other workload" bash -c '[ "$(grep -c "img/s" lines.txt)" = 1 ]'
OMP_PROC_BIND=true "$taxon" bench --seconds 0.01 --threads 2 --json made-500 vae-500-20 >two.json 2>err.txt
check_json() {
    /usr/bin/python3 - <<'P'
import json
d = json.load(open("two.json"))
assert d["threads"] == 2 and d["environment"]["OMP_PROC_BIND"] == "true" and d["blas_core"] and d["peak_memory_mb"] > 1
assert d["gemm_gflops"] > 0 and d["copy_gbytes"] > 0 and d["processor"] and isinstance(d["warnings"], list)
assert [(r["name"], r["phase"], r["batch"]) for r in d["rows"]] == [
    ("vae-500-20", "train", 100), ("vae-500-20", "sample", 1000), ("made-500", "train", 100), ("made-500", "sample", 100)]
near = lambda a, b: abs(a - b) <= 1e-9 * abs(b)
for r in d["rows"]:
    assert r["n"] >= 5 and r["growths"] == 0
    assert near(r["images_per_second"], r["batch"] / r["median_ms"] * 1e3) and near(r["share"], r["floor_ms"] / r["median_ms"])
    assert near(r["floor_ms"], 1e3 * (r["gflop"] / r["gemm_gflops"] + r["gbyte"] / r["copy_gbytes"])) and r["gunit"] == 0
assert near(d["rows"][0]["gflop"], 0.41)
P
}
judge "document" check_json
judge "one phase" bash -c '"$1" bench vae-500-20 --phase sample --seconds 0.01 >one.txt && [ "$(grep -c img/s one.txt)" = 1 ] && grep -q "^vae-500-20 *sample" one.txt' _ "$taxon"
judge "a phase that is not there" bash -c '"$1" bench parzen-10000 --phase train --seconds 0.01; [ $? = 64 ]' _ "$taxon"
judge "sizes" bash -c '"$1" bench --vary batch=3,5 --phase train --seconds 0.01 made >sizes.txt && [ "$(grep -cE "^made .*batch +[35] .*hidden  500, dim  784$" sizes.txt)" = 2 ]' _ "$taxon"
if grep -q avx2 /proc/cpuinfo; then
    old() { OPENBLAS_CORETYPE=Nehalem "$taxon" bench --seconds 0.01 fvbn-logistic | grep -q '^warning: OpenBLAS uses kernels for .*older than this processor'; }
    judge "old kernels are warned of" old
    judge "fitting ones are not" bash -c '! grep -q "older than this processor" lines.txt'
fi

# A stop leaves whole lines and says so.
stopped() {
    "$taxon" bench --seconds 60 fvbn-logistic made-500 --json >out.txt 2>err.txt &
    local process=$!
    sleep 2
    kill -INT $process
    wait $process
    [ $? = 75 ] && grep -q "stopped" err.txt && [ ! -s out.txt ]
}
set -m # else a child in the background ignores the interrupt
judge "a stop" stopped
set +m

# The table: three rounds whose ratios are known.
canned() { # ROUND VAE_1 VAE_2 OURS_1 OURS_2 INCREMENTAL
    mkdir -p "rounds/$1"
    local t
    for t in 1 2; do
        local vae=$2 ours=$4
        [ $t = 2 ] && vae=$3 ours=$5
        {
            echo "# torch 1.2.3, $t threads"
            printf '%-20s %-8s batch %5d %10.3f ms %10.0f img/s  (n=%d)\n' vae-500-20 train 100 "$vae" 1 9 made-500 sample 100 900 1 9 made-500-incremental sample 100 "$6" 1 9
        } >"rounds/$1/peer-$t.txt"
        cat >"rounds/$1/taxon-$t.json" <<J
{"processor": "P", "cores": 2, "version": "v", "build": "Release", "real": "float", "instruction_set": "i", "blas_config": "B", "blas_core": "C",
 "gemm_gflops": 200, "copy_gbytes": 20, "rows": [
 {"name": "vae-500-20", "phase": "train", "batch": 100, "median_ms": $ours, "share": 0.5},
 {"name": "made-500", "phase": "sample", "batch": 100, "median_ms": 4.5, "share": 0.25},
 {"name": "iwae-50", "phase": "evaluate", "batch": 100, "median_ms": 30, "share": 0.8}]}
J
    done
}
canned 1 8 6 4 2.5 36
canned 2 8 10 4 2 27
canned 3 8 9 2 1.6 45
judge "table is made" /usr/bin/python3 "$root/experiments/bench/compare.py" rounds table
check_table() {
    /usr/bin/python3 - <<'P'
import csv
rows = {(r["workload"], r["phase"], r["quantity"]): r for r in csv.DictReader(open("table.csv", newline=""))}
def holds(key, median, low, high, goal=""):
    r = rows[key]
    assert [float(r[k]) for k in ("median", "low", "high")] == [median, low, high] and r["goal"] == goal, r
holds(("vae-500-20", "train", "ratio_two"), 4, 2.4, 5, "2.5")      # 6/2.5, 8/2, 8/1.6: the better thread count of each round
holds(("vae-500-20", "train", "ratio_one"), 2, 2, 4, "1.3")
holds(("vae-500-20", "train", "two_threads"), 1.6, 1.25, 2, "1.7")
holds(("made-500", "sample", "ratio_two"), 200, 200, 200, "100")
holds(("made-500-incremental", "sample", "ratio_two"), 8, 6, 10, "7")
holds(("iwae-50", "evaluate", "share_2"), 0.8, 0.8, 0.8)
assert ("iwae-50", "evaluate", "ratio_two") not in rows
text = open("table.md").read()
assert "P, 2 cores; taxon v (Release, float, i); B, kernels for\nC; torch 1.2.3." in text and "Rounds: 3." in text
assert "| vae-500-20 | train | 100 | 8 | 1 | 2 | 4 | 2.4 .. 5 | 2.5 |" in text
assert "| made-500-incremental | sample | 100 | 36 | 1 | 4.5 | 8 | 6 .. 10 | 7 |" in text
assert "| vae-500-20 | train | 100 | 8 | 4 | 2 | 2 .. 4 | 1.3 |" in text
assert "| vae-500-20 | train | 100 | 4 | 0.5 | 2 | 0.5 |  | 1.6 (below) | 1.25 .. 2 | 1.7 |" in text
P
}
judge "its numbers" check_table
cp table.md former.md
sed -i '/incremental/d' rounds/2/peer-2.txt
judge "a round with a row less is refused" bash -c '! /usr/bin/python3 "$1" rounds table' _ "$root/experiments/bench/compare.py"
judge "the former table is kept" bash -c 'cmp table.md former.md && [ ! -e table.md.part ]'
judge "usage of compare.sh" bash -c '"$1" --rounds none; [ $? = 64 ] && "$1" --round 2; [ $? = 64 ]' _ "$root/experiments/bench/compare.sh"
judge "the peer is a program" /usr/bin/python3 -m py_compile "$root/experiments/bench/peer.py"

# How times grow.
judge "growth at toy sizes" /usr/bin/python3 "$root/experiments/bench/scaling.py" "$taxon" growth --quick
check_growth() {
    /usr/bin/python3 - "$root/experiments/bench" <<'P'
import csv, math, sys
import xml.dom.minidom
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import scaling
rows = list(csv.DictReader(open("growth.csv", newline="")))
count = lambda quantity, axis: sum(r["quantity"] == quantity and r["axis"] == axis for r in rows)
assert (count("train_ms", "hidden"), count("train_ms", "dim"), count("train_ms", "batch"), count("sample_ms", "dim")) == (15, 18, 18, 18)
assert (count("train_exponent", "hidden"), count("sample_exponent", "dim")) == (5, 6)
assert count("peak_memory_mb", "parameters") == count("first_batch_s", "parameters") == 1 and rows[-1]["quantity"] == "list_s"
assert all(float(r["value"]) > 0 for r in rows if r["quantity"].endswith(("_ms", "_s", "_mb")))
beside = {(r["quantity"], r["of"], r["axis"]): r["beside"] for r in rows}
assert float(beside["train_exponent", "fvbn", "dim"]) == 2 and float(beside["train_exponent", "gan", "batch"]) == 1
b, error = scaling.slope([1, 10, 100], [3, 30 * 1.25, 300])  # logs 0, a + e, 2a: the slope is 1, the residuals -e/3, 2e/3, -e/3
e = math.log(1.25)
assert abs(b - 1) < 1e-12 and abs(error - math.sqrt(6 * e * e / 9 / (2 * math.log(10) ** 2))) < 1e-12
assert scaling.upper([1, 2, 3, 4, 5]) == [3, 4, 5] and scaling.upper([1, 2, 3, 4]) == [2, 3, 4] and len(scaling.upper(list(range(9)))) == 5
text = open("growth.md").read()
assert text.count("| gan | ") == 4 and "![Times against sizes](growth.svg)" in text and "| fvbn-logistic | 615440 |" in text
assert sum(t.firstChild is not None and "training step" in t.toxml() for t in xml.dom.minidom.parse("growth.svg").getElementsByTagName("text")) == 3
P
}
judge "its numbers and figure" check_growth
judge "usage of scaling.sh" bash -c '"$1" --quik; [ $? = 64 ]' _ "$root/experiments/bench/scaling.sh"
judge "nothing is left of a failure" bash -c '! /usr/bin/python3 "$1" /bin/false other && [ -z "$(ls | grep other)" ]' _ "$root/experiments/bench/scaling.py"
rm -rf "$root/experiments/bench/__pycache__"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
