#!/usr/bin/env bash
# How times grow with sizes, memory and start-up on this machine: experiments/bench/scaling.sh [--quick] [--out PREFIX]
# Writes PREFIX.csv, PREFIX.md and PREFIX.svg (results/tables/scaling) when all is done; within 8 minutes on two cores.
# --quick: toy sizes, for a few seconds, to see that it works.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/experiments/setup.sh"
quick=() out="$root/results/tables/scaling"
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=(--quick); shift ;;
    --out) out=$(realpath -m "${2:?--out needs a path}"); shift 2 ;;
    -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) echo "unknown option $1; usage: $0 [--quick] [--out PREFIX]" >&2; exit 64 ;;
  esac
done
need "${build_packages[@]}" python3 python3-h5py gnuplot-nox
build release taxon
unset OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS OMP_NUM_THREADS OMP_WAIT_POLICY
/usr/bin/python3 "$here/scaling.py" "$root/build/release/taxon" "$out" "${quick[@]}"
cat "$out.md"
