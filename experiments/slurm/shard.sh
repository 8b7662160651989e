#!/usr/bin/env bash
# One task of the job array that submit.sh makes: shard.sh TAXON CONFIG SHARDS CPUS REQUEUES [taxon run arguments]
# Before its time limit Slurm signals this shell, which tells taxon to stop. A run that stopped (exit code 75) has a checkpoint:
# the task goes back into the queue and continues from there.
set -u
taxon=$1 config=$2 shards=$3 cpus=$4 requeues=$5
shift 5
task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
restarts=${SLURM_RESTART_COUNT:-0}
echo "$(date -u +%FT%TZ) shard $SLURM_ARRAY_TASK_ID/$shards on $(uname -n), restart $restarts"

"$taxon" run "$config" --shard "$SLURM_ARRAY_TASK_ID/$shards" --threads "$cpus" --jobs 1 --progress plain "$@" &
pid=$!
trap 'kill -USR1 "$pid"' USR1 TERM
while :; do # a trap ends `wait`, with a code above 128, before the process has ended or at that very moment
  wait "$pid"
  code=$?
  [ "$code" -gt 128 ] || break
  kill -0 "$pid" 2>/dev/null && continue
  wait "$pid" 2>/dev/null
  again=$?
  [ "$again" -eq 127 ] || code=$again
  break
done

if [ "$code" -eq 75 ] && [ "$restarts" -lt "$requeues" ]; then
  echo "$(date -u +%FT%TZ) stopped with checkpoints: back into the queue"
  scontrol requeue "$task" && exit 75
fi
exit "$code"
