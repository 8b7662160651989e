#!/usr/bin/env bash
# taxon beside PyTorch on this machine: experiments/bench/compare.sh [--rounds N] [--seconds S] [--out PREFIX]
# Each round (3) times both with one and with two threads, in turn, every workload for S seconds (3 to 6). Writes PREFIX.md and
# PREFIX.csv (results/tables/speed) when all is done; 10 minutes a round.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/experiments/setup.sh"
rounds=3 seconds=() out="$root/results/tables/speed"
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
    --seconds) seconds=(--seconds "${2:?--seconds needs a number}"); shift 2 ;;
    --out) out=$(realpath -m "${2:?--out needs a path}"); shift 2 ;;
    -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) echo "unknown option $1; usage: $0 [--rounds N] [--seconds S] [--out PREFIX]" >&2; exit 64 ;;
  esac
done
[[ $rounds =~ ^[1-9][0-9]*$ ]] || { echo "--rounds: expected a number from 1, found '$rounds'" >&2; exit 64; }
need "${build_packages[@]}" python3 python3-torch libopenblas0-openmp
build release taxon
taxon="$root/build/release/taxon"
work=$(mktemp -d "${TMPDIR:-/tmp}/taxon-compare-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The peer's best: OpenBLAS with OpenMP, and the kernels that fit the processor, also where this OpenBLAS does not know it.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS OMP_NUM_THREADS OMP_WAIT_POLICY
openmp=$(dirname "$(dpkg-query -L libopenblas0-openmp | grep -m1 '/libopenblas\.so\.0$')")
core=$("$taxon" bench fvbn-logistic --seconds 0.01 --json |
  /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["environment"].get("OPENBLAS_CORETYPE", ""))')
peer() { # THREADS
  env LD_LIBRARY_PATH="$openmp" OMP_NUM_THREADS="$1" ${core:+OPENBLAS_CORETYPE="$core"} /usr/bin/python3 "$here/peer.py" "$1" "${seconds[@]}"
}

for ((round = 1; round <= rounds; round++)); do
  mkdir "$work/$round"
  for threads in 1 2; do
    echo "round $round of $rounds, threads: $threads" >&2
    peer "$threads" >"$work/$round/peer-$threads.txt"
    "$taxon" bench --threads "$threads" "${seconds[@]}" --json >"$work/$round/taxon-$threads.json"
  done
done
/usr/bin/python3 "$here/compare.py" "$work" "$out"
cat "$out.md"
