#!/usr/bin/env bash
# Reproduces published numbers, row by row: experiments/published.sh [--out DIR] [--threads N] [ROW or CONFIG ...]
# Rows are those of experiments/configs/published/rows.tsv, all without arguments. A row trains what it needs, evaluates it and is
# then written to results/tables/published.csv and .md at once. What is there already is kept: the same command continues.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/experiments/setup.sh"
rows="$root/experiments/configs/published/rows.tsv"
out="$root/results/published" threads=() wanted=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=${2:?--out needs a folder}; shift 2 ;;
    --threads) threads=(--threads "${2:?--threads needs a number}"); shift 2 ;;
    -h | --help) sed -n '2,4s/^# //p' "$0"; echo "rows:"; tail -n +2 "$rows" | cut -f1,2 | sed 's/^/  /'; exit 0 ;;
    -*) echo "unknown option $1; usage: $0 [--out DIR] [--threads N] [ROW or CONFIG ...]" >&2; exit 64 ;;
    *) cut -f1,2 "$rows" | tail -n +2 | tr '\t' '\n' | grep -qx -- "$1" || { echo "unknown row '$1'; $0 --help lists them" >&2; exit 64; }
       wanted+=("$1"); shift ;;
  esac
done
[ -n "${TAXON_DATA:-}" ] || { echo "TAXON_DATA is not set: these rows need mnist, binarized_mnist and the density sets there" >&2; exit 66; }
need "${build_packages[@]}" python3 python3-numpy python3-h5py
build release taxon
taxon="$root/build/release/taxon"

is_wanted() { # ROW CONFIG
  [ ${#wanted[@]} -eq 0 ] && return 0
  local w
  for w in "${wanted[@]}"; do [ "$w" = "$1" ] || [ "$w" = "$2" ] && return 0; done
  return 1
}

# Whoever stops one command means all of them.
stop_if_asked() { case $1 in 75 | 130 | 143) exit "$1" ;; esac; }

failed=0
declare -A trained
while IFS=$'\t' read -r row config run estimate estimator options _; do
  is_wanted "$row" "$config" || continue
  if [ -z "${trained[$config]:-}" ]; then
    trained[$config]=yes
    "$taxon" run "$root/experiments/configs/published/$config.yaml" --out "$out/$config" "${threads[@]}" --progress plain >/dev/null || {
      stop_if_asked $?
      failed=1
    }
  fi
  folder="$out/$config/$run/seed-0"
  [ -e "$folder/result.h5" ] || { echo "$row: no result of $run" >&2; failed=1; continue; }
  if [ "$estimator" != - ]; then # what was made with these options is kept
    [ "$options" = - ] && options=
    # shellcheck disable=SC2086 # options are words
    "$taxon" evaluate "$folder/result.h5" --estimator "$estimator" "${threads[@]}" $options || { stop_if_asked $?; failed=1; continue; }
  fi
  if [ "$estimator" = ais ]; then # how far ais may be off on this model
    "$taxon" evaluate "$folder/result.h5" --estimator bdmc "${threads[@]}" n_example=20 || { stop_if_asked $?; failed=1; }
  fi
  echo "$row: $estimate of $run"
  /usr/bin/python3 "$root/experiments/published.py" "$rows" "$out" "$root/results/tables/published"
done < <(tail -n +2 "$rows")
exit $failed
