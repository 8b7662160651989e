#!/usr/bin/env bash
# Where the time of workloads goes, by perf: experiments/bench/profile.sh [--threads N] [--out FILE] [WORKLOAD ...]
# Writes FILE (results/tables/profile.md): of the processor's time in training steps and samples with N threads (1), what BLAS
# multiplies, what it packs and clears for that, the optimiser, taxon's other passes, and what the system and waiting take.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/experiments/setup.sh"
threads=1 out="$root/results/tables/profile.md" workloads=()
while [ $# -gt 0 ]; do
  case $1 in
    --threads) threads=${2:?--threads needs a number}; shift 2 ;;
    --out) out=$(realpath -m "${2:?--out needs a path}"); shift 2 ;;
    -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    -*) echo "unknown option $1; usage: $0 [--threads N] [--out FILE] [WORKLOAD ...]" >&2; exit 64 ;;
    *) workloads+=("$1"); shift ;;
  esac
done
[ ${#workloads[@]} -gt 0 ] || workloads=(vae-500-20 gan-1200 nice-4x5x1000 made-500 nade-500 fvbn-logistic)
need "${build_packages[@]}" linux-perf
build release taxon
taxon="$root/build/release/taxon" work=$(mktemp -d "${TMPDIR:-/tmp}/taxon-profile-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Samples of one workload and phase, by kind. What measures the floor (copies, products at its shape) is left out, or small.
row() { # WORKLOAD PHASE
  perf record -q -F 2000 -o "$work/data" "$taxon" bench "$1" --phase "$2" --threads "$threads" --seconds 10 >"$work/out" || return 1
  perf report -i "$work/data" --no-children --sort symbol --stdio 2>/dev/null |
    awk -v name="$1" -v phase="$2" '
      /^#|^$|loop_affine|tx_bench_|fill_split/ { next }
      { share = $1 + 0; all += share }
      / [sd]gemm_(small_)?kernel/ { products += share; next }
      / [sd]gemm_/ { packing += share; next }
      / fold_(adam|sgd|rmsprop|adagrad)/ { optimiser += share; next }
      / \[k\] | 0x0/ { waiting += share; next }
      { passes += share }
      END { printf "| %s | %s | %.0f %% | %.0f %% | %.0f %% | %.0f %% | %.0f %% |\n", name, phase, 100 * products / all, 100 * packing / all,
            100 * optimiser / all, 100 * passes / all, 100 * waiting / all }'
}

{
  echo "# Where the time goes"
  echo
  echo "Of the processor's time, with $threads thread$([ "$threads" = 1 ] || echo s): $(grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'). Made by \`experiments/bench/profile.sh\`."
  echo "*Products* are OpenBLAS's kernels, *packing* what it copies and clears for them, *passes* all else that taxon computes,"
  echo "*system* page faults, interrupts and threads that wait for each other."
  echo
  echo "| workload | phase | products | packing | optimiser | passes | system |"
  echo "| --- | --- | --: | --: | --: | --: | --: |"
  for workload in "${workloads[@]}"; do
    row "$workload" train
    [ "$workload" = fvbn-logistic ] || row "$workload" sample
  done
} >"$work/table"
mv "$work/table" "$out"
cat "$out"
