#!/bin/bash
# The quick comparison at tiny size, through the command: test_quick.sh TAXON. The same content for 1 and 2 threads, and
# files, table and pictures that programs which share no code with the command find right. Data sets of the
# configuration that are not installed are left out; two built-in ones are added.
set -u
taxon=$(realpath "$1")
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
config=$tests/../experiments/configs/quick.yaml
folder=$(mktemp -d "${TMPDIR:-/tmp}/taxon quick XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export OPENBLAS_NUM_THREADS=1 # of NumPy
. "$tests/support/judge.sh"

# The configuration's data sets, a few rows of each.
rows='n_train: 200, n_valid: 70, n_test: 66'
sets=
while read -r name view; do
    if "$taxon" data check "$name" >/dev/null 2>missing.txt; then
        sets+="{name: $name, view: $view, $rows}, "
    else
        echo "skipped: $name ($view): $(head -n 1 missing.txt)"
    fi
done < <("$taxon" config "$config" | awk '/^[a-z]/ { inside = /^datasets:/ }
    inside && $1 == "-" && $2 == "name:" { name = $3 }
    inside && $1 == "view:" { print name, $2 }')
sets+="{name: bars, $rows}, {name: grid, $rows}"

parzen='{estimator: parzen, n_sample: 200, n_valid: 50}'
run() {
    "$taxon" run "$config" --out "$1" --threads "$2" --jobs "$3" --progress none "datasets=[$sets]" train.batch=50 \
        train.max_steps=40 \
        "evaluate.estimators=[exact, {estimator: elbo, n_repeat: 300}, $parzen]" \
        evaluate.n_sample=70
}
judge "1 thread" run "one thread" 1 2
judge "2 threads" run "two threads" 2 1

shopt -s globstar
files=("one thread"/**/result.h5)
echo "${#files[@]} runs"
same_content() {
    /usr/bin/python3 - "$@" <<'P'
import sys, h5py
content = lambda path: h5py.File(path).attrs["content_sha256"]
differ = [path for path in sys.argv[1:] if content(path) != content(path.replace("one thread", "two threads", 1))]
sys.exit("content depends on the number of threads: " + ", ".join(differ) if differ or not sys.argv[1:] else 0)
P
}
judge "the same content for 1 and 2 threads" same_content "${files[@]}"
judge "rules of files" /usr/bin/python3 "$tests/check_schema.py" "${files[@]}" "one thread/compare.h5"
judge "likelihoods, by NumPy" /usr/bin/python3 "$tests/check_numpy.py" "${files[@]}"
judge "self-test of the NumPy program" /usr/bin/python3 "$tests/check_numpy.py" --self-test \
    "one thread/bars-raw/made/seed-0/result.h5"

"$taxon" table "one thread" --format json >table.json
"$taxon" table "one thread" >table.txt
table() {
    /usr/bin/python3 - "$@" <<'P'
"""Every likelihood has its row, of the kind that its file says, in JSON and in text; a run without one says none."""
import json, sys, h5py
signs = {"exact": "=", "lower_bound": ">=", "upper_bound": "<=", "estimate": "~", "none": "none"}
stored, printed = set(), set()
for path in sys.argv[1:]:
    with h5py.File(path) as file:
        run = tuple(file.attrs[name] for name in ("dataset", "view", "label"))
        attributes = [e["log_likelihood"].attrs for e in file.get("likelihood/test", {}).values()]
        stored |= {run + (a["kind"], a["mean"]) for a in attributes} or {run + ("none", None)}
listed = {tuple(row[key] for key in ("dataset", "view", "label", "kind", "log_likelihood"))
          for row in json.load(open("table.json"))["rows"]}
data = label = ()
for line in open("table.txt"):  # further likelihoods of a model stand below it, indented
    if " measure, " in line:
        data = tuple(line.split(":")[0].split(", "))
    words = line.split()
    label = label if line.startswith(" ") or not words else words[0]
    printed |= {data + (label, kind) for kind, sign in signs.items() if sign in words}
different = stored ^ listed | {row for row in stored if row[:4] not in printed}
sys.exit("files and table differ: " + "; ".join(map(str, different)) if different or not stored else 0)
P
}
judge "the table lists every run with its kind" table "${files[@]}"

pictures() {
    /usr/bin/python3 - "$@" <<'P'
"""A PNG of 8 bits a channel beside every run: signature, chunks and their sums, as many bytes as its size asks for."""
import struct, sys, zlib
def check(path):
    data = open(path, "rb").read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "signature"
    at, pixels, kinds = 8, b"", []
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body), "sum"
        pixels += body if kind == b"IDAT" else b""
        header = body if kind == b"IHDR" else header
        kinds.append(kind)
        at += 12 + size
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND", "order of chunks"
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    levels = zlib.decompress(pixels)
    assert depth == 8 and len(levels) == height * (1 + width * {0: 1, 2: 3, 3: 1}[colour]), "number of pixels"
    assert len(set(levels)) > 1, "one shade only"
for result in sys.argv[1:]:
    path = result.replace("result.h5", "samples.png")
    try:
        check(path)
    except (AssertionError, OSError, KeyError, struct.error, zlib.error) as error:
        sys.exit(f"{path}: {error!r}")
P
}
judge "pictures of samples" pictures "${files[@]}"

csv() {
    /usr/bin/python3 - "$@" <<'P'
"""compare.csv: rows of one length, numbers that are numbers, and the means of the files to the last bit."""
import csv, sys, h5py
with open("one thread/compare.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file, strict=True))
assert all(None not in row and None not in row.values() for row in rows), "rows of different lengths"
values = [float(row["value"]) for row in rows if row["value"]]
assert len(values) > 10 * len(sys.argv[1:]), f"{len(values)} numbers only"
means = {(r["dataset"], r["view"], r["label"], r["split"], r["name"]): float(r["value"]) for r in rows
         if r["quantity"] == "mean_log_likelihood"}
for path in sys.argv[1:]:
    with h5py.File(path) as file:
        run = tuple(file.attrs[name] for name in ("dataset", "view", "label"))
        for split, estimators in file["likelihood"].items():
            for name, estimate in estimators.items():
                found, mean = means.get(run + (split, name)), estimate["log_likelihood"].attrs["mean"]
                assert found == mean, f"{run}, {name}: {found} in compare.csv, {mean} in the file"
P
}
judge "compare.csv" csv "${files[@]}"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
