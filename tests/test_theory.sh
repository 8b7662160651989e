#!/bin/bash
# Every experiment of experiments/theory runs, at toy size: test_theory.sh TAXON
set -u
taxon=$(realpath "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
/usr/bin/python3 -c 'import h5py, numpy' 2>/dev/null && command -v gnuplot >/dev/null || { echo "skipped: needs gnuplot, and python3 with h5py and numpy"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/taxon theory XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
. "$root/tests/support/judge.sh"
for f in "$root"/experiments/theory/*.py; do
    name=$(basename "$f" .py)
    [ "$name" = theory ] && continue
    judge "$name" /usr/bin/python3 "$f" "$taxon" "$folder/runs" "$folder/tables" --quick
    judge "figure of $name" grep -q '</svg>' "tables/$name.svg"
    judge "committed $name" cmp <(head -1 "tables/$name.csv") <(head -1 "$root/results/tables/theory/$name.csv")
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
