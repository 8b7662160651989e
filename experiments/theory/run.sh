#!/usr/bin/env bash
# Claims of the tutorial as experiments: experiments/theory/run.sh [--quick] [--out FOLDER] [NAME...]   (all of them unless named)
# Writes NAME.csv and NAME.svg to results/tables/theory, or to FOLDER; runs are kept in results/theory.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/experiments/setup.sh"
quick=() out="$root/results/tables/theory" runs="$root/results/theory" names=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=(--quick); runs="$root/results/theory-quick"; shift ;;
    --out) out=$(realpath -m "${2:?--out needs a folder}"); shift 2 ;;
    -h | --help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
    -*) echo "unknown option $1; usage: $0 [--quick] [--out FOLDER] [NAME...]" >&2; exit 64 ;;
    *) [ -r "$here/$1.py" ] && [ "$1" != theory ] || { echo "$1: no such experiment; there are: $(cd "$here" && ls ./*.py | sed 's|./||; s|\.py||' | grep -v '^theory$' | tr '\n' ' ')" >&2; exit 66; }
       names+=("$1"); shift ;;
  esac
done
need "${build_packages[@]}" python3 python3-numpy python3-h5py gnuplot-nox
build release taxon
if [ ${#names[@]} -eq 0 ]; then
  for f in "$here"/*.py; do names+=("$(basename "$f" .py)"); done
fi
for name in "${names[@]}"; do
  [ "$name" = theory ] && continue
  echo "$name:" >&2
  /usr/bin/python3 "$here/$name.py" "$root/build/release/taxon" "$runs" "$out" "${quick[@]}"
done
