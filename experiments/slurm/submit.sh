#!/usr/bin/env bash
# A comparison as a Slurm job array, and a job that collects its results when all tasks have ended:
#   submit.sh [options] CONFIG.yaml [KEY=VALUE ...] [flags of taxon run]
#
#   --shards N        tasks of the array (8): task K does every N-th run, from the K-th
#   --out DIR         folder of results (results/EXPERIMENT), which all nodes see
#   --cpus N          processors, and threads, of a task (1)
#   --time LIMIT      time limit of a task, as sbatch takes it (its partition's)
#   --before SECONDS  how long before that limit a task is told to stop (120): time for one checkpoint
#   --at-once N       tasks that may run at a time (all)
#   --partition NAME  where to run (the default partition)
#   --sbatch OPTION   any other option of sbatch, as --sbatch --mem=4G; may be given again
#   --requeues N      how often a task may go back into the queue (1000)
#   --taxon FILE      the command (build/release/taxon of this tree)
#
# Prints the number of the array and that of the collecting job. Logs: DIR/slurm/. The same call goes on where a comparison was
# left: finished runs are kept.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage() { sed -n '2,19s/^# \{0,1\}//p' "$0"; }
fail() { echo "submit.sh: $1" >&2; exit "$2"; }

shards=8 out='' cpus=1 before=120 at_once='' requeues=1000 taxon="$here/../../build/release/taxon" more=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --shards | --out | --cpus | --time | --before | --at-once | --partition | --sbatch | --requeues | --taxon)
      [ $# -ge 2 ] || fail "$1 needs an argument" 64 ;;&
    --shards) shards=$2 ;;
    --out) out=$2 ;;
    --cpus) cpus=$2 ;;
    --time) more+=("--time=$2") ;;
    --before) before=$2 ;;
    --at-once) at_once=%$2 ;;
    --partition) more+=("--partition=$2") ;;
    --sbatch) more+=("$2") ;;
    --requeues) requeues=$2 ;;
    --taxon) taxon=$2 ;;
    -*) fail "unknown option '$1'; --help lists them" 64 ;;
    *) break ;;
  esac
  shift 2
done
[ $# -ge 1 ] || fail "a config is missing; --help says more" 64
for n in "$shards" "$cpus" "$before" "${at_once#%}" "$requeues"; do
  [[ -z $n || $n =~ ^[0-9]+$ ]] || fail "expected a number; found '$n'" 64
done
config=$1
shift
command -v sbatch >/dev/null || fail "sbatch is not installed here" 66
command -v "$taxon" >/dev/null || fail "$taxon: not a program; build it, or name it with --taxon" 66
taxon=$(realpath "$(command -v "$taxon")")

values=()
for argument in "$@"; do
  [[ $argument == -o* || $argument == --out* ]] && fail "$argument: the folder is named before the config" 64
  [[ $argument != -* && $argument == *=* ]] && values+=("$argument")
done
# What is wrong with the config or the data is said here, and not in as many logs as there are tasks.
"$taxon" run "$config" --dry-run --shard "1/$shards" ${out:+--out "$out"} "$@" >/dev/null
[ -n "$out" ] || out=results/$("$taxon" config "$config" "${values[@]}" | sed -n "s/^experiment: *[\"']\{0,1\}\([^\"']*\).*/\1/p")
mkdir -p "$out/slurm"

# --signal=B: reaches the batch shell alone, which passes it on.
array=$(sbatch --parsable --job-name=taxon --array="1-$shards$at_once" --requeue --cpus-per-task="$cpus" --ntasks=1 \
  --signal="B:USR1@$before" --open-mode=append --output="$out/slurm/shard-%a.log" "${more[@]}" \
  "$here/shard.sh" "$taxon" "$config" "$shards" "$cpus" "$requeues" --out "$out" "$@")
collect=$(sbatch --parsable --job-name=taxon-collect --dependency="afterany:${array%%;*}" --ntasks=1 --requeue \
  --output="$out/slurm/collect.log" "${more[@]}" "$here/collect.sh" "$taxon" "$out")
echo "array ${array%%;*}: $shards tasks; job ${collect%%;*} collects into $out"
