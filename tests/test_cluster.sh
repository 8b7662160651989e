#!/bin/bash
# A comparison in shards, by GNU parallel and by a Slurm of one node: test_cluster.sh TAXON
# Shards that end in any order, stop, go back into the queue and continue must leave the files of one command that does all.
# What is not installed is left out; 77 where that is everything.
set -u
taxon=$(realpath "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/taxon-cluster-XXXXXX")
trap '"$root/tests/support/slurm.sh" stop "$folder/slurm"; rm -rf "$folder"' EXIT
cd "$folder" || exit 1
passed=0 failed=0 left_out=0
ok() { passed=$((passed + 1)); }
fail() {
  failed=$((failed + 1))
  echo "FAILED: $1"
}
holds() { if grep -qE -- "$2" "$3"; then ok; else fail "$1: no '$2' in $3"; sed 's/^/    /' "$3" | tail -20; fi; }

cat >config.yaml <<'Y'
experiment: shards
seeds: [0, 1, 2]
datasets: [{name: bars, n_train: 1000, n_valid: 100, n_test: 100}]
train: {epochs: 100000, max_steps: 40000, batch: 10}
models: [{model: made, hidden: [32]}, {model: independent}]
evaluate: {estimators: [exact], n_sample: 20}
Y

# same NAME FOLDER: every result, compare.h5 and compare.csv are those of one command.
same() {
  local file n=0
  for file in $(cd whole && find . -name result.h5 -o -name 'compare.*[5v]'); do
    cmp -s "whole/$file" "$2/$file" || { fail "$1: $2/$file differs"; return; }
    n=$((n + 1))
  done
  if [ $n -eq 8 ]; then ok; else fail "$1: $n files"; fi
}

"$taxon" run config.yaml --out whole --reproducible --progress none >/dev/null 2>&1 || fail "the whole comparison"

by_parallel() {
  parallel --jobs 3 --will-cite --quote "$taxon" run config.yaml --out parallel --jobs 1 --threads 1 --reproducible --shard {}/3 \
    ::: 1 2 3 >parallel.txt 2>parallel.err || fail "parallel ended with $?"
  same "shards by parallel, of which one has collected" parallel
}

finished() { for _ in $(seq 600); do [ -z "$(squeue -h)" ] && return; sleep 0.2; done; fail "Slurm: $(squeue)"; }

by_slurm() {
  export SLURM_CONF=$folder/slurm/slurm.conf
  local submit=("$root/experiments/slurm/submit.sh" --taxon "$taxon" --shards 2)
  "${submit[@]}" --bogus >out.txt 2>&1
  if [ $? -eq 64 ]; then ok; else fail "an unknown option of submit.sh"; fi
  "${submit[@]}" config.yaml --out elsewhere >out.txt 2>&1
  if [ $? -eq 64 ] && grep -q "the folder is named before the config" out.txt && [ -z "$(squeue -h)" ]; then ok; else fail "--out behind the config is submitted"; fi
  "${submit[@]}" config.yaml train.epochs=0 >out.txt 2>&1
  if [ $? -eq 78 ] && [ -z "$(squeue -h)" ]; then ok; else fail "a bad config is submitted"; fi
  # The signal that Slurm sends before a time limit, to the batch shell alone.
  "${submit[@]}" --out queue config.yaml --reproducible >out.txt 2>&1 || fail "submit.sh: $(cat out.txt)"
  holds "submit.sh" '^array [0-9]+: 2 tasks; job [0-9]+ collects into queue$' out.txt
  local job metrics=queue/bars-raw/made/seed-0/metrics.jsonl
  job=$(sed -nE 's/^array ([0-9]+):.*/\1/p' out.txt)
  for _ in $(seq 300); do [ -s $metrics ] && break; sleep 0.1; done
  scancel --batch --signal=USR1 "${job}_1"
  finished
  holds "a signalled shard" 'made/seed-[0-9].* stopped in epoch [0-9]+ of .* with a checkpoint' queue/slurm/shard-1.log
  holds "a stopped shard" 'stopped with checkpoints: back into the queue' queue/slurm/shard-1.log
  holds "a requeued shard" 'restart 1' queue/slurm/shard-1.log
  same "shards of which one went back into the queue" queue
  holds "the collecting job" ' 6 runs' queue/slurm/collect.log
}

if command -v parallel >/dev/null && parallel --version 2>/dev/null | grep -q '^GNU parallel'; then
  by_parallel
else
  echo "left out: GNU parallel is not installed"
  left_out=$((left_out + 1))
fi
mkdir slurm
"$root/tests/support/slurm.sh" start "$folder/slurm"
case $? in
  0) by_slurm ;;
  77) left_out=$((left_out + 1)) ;;
  *) fail "Slurm did not start" ;;
esac
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] || exit 1
[ $left_out -lt 2 ] || exit 77
