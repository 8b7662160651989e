#!/usr/bin/env bash
# A Slurm of one node for tests, all of it in a folder and on loopback, without systemd or root:
#   slurm.sh start FOLDER   then: export SLURM_CONF=FOLDER/slurm.conf
#   slurm.sh stop FOLDER
# 77: slurm-wlm is not installed. The folder's path has no blanks and few characters: sockets lie in it.
set -euo pipefail
PATH=$PATH:/usr/sbin

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

write_config() {
  local me host=${HOSTNAME:-$(uname -n)} controller node
  me=$(id -un) controller=$(free_port) node=$(free_port)
  cat >"$1/slurm.conf" <<C
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$node
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$1/munge.socket,cred_expire=2
StateSaveLocation=$1/state
SlurmdSpoolDir=$1/spool
SlurmctldPidFile=$1/slurmctld.pid
SlurmdPidFile=$1/slurmd.pid
SlurmctldLogFile=$1/slurmctld.log
SlurmdLogFile=$1/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,sched_min_interval=100000,bf_interval=1
MinJobAge=300
KillWait=10
NodeName=one NodeHostname=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=one Default=YES MaxTime=INFINITE State=UP
C
}

stop() {
  local pid
  for name in slurmd slurmctld munged; do
    pid=$(cat "$1/$name.pid" 2>/dev/null) || continue
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
  done
}

start() {
  local name
  for name in munged slurmctld slurmd sbatch; do
    command -v "$name" >/dev/null || { echo "skipped: $name is not installed (Debian: slurm-wlm)"; exit 77; }
  done
  mkdir -p "$1/state" "$1/spool"
  chmod 755 "$1" "$1/state" "$1/spool"
  head -c 128 /dev/urandom >"$1/munge.key"
  chmod 600 "$1/munge.key"
  write_config "$1"
  # Daemons keep no descriptor of the caller's: who waits for the end of its output would wait for them.
  exec 3>&1 >"$1/start.log" 2>&1 </dev/null
  munged --force --socket="$1/munge.socket" --key-file="$1/munge.key" --pid-file="$1/munged.pid" --log-file="$1/munged.log" \
    --seed-file="$1/munge.seed" 3>&-
  export SLURM_CONF="$1/slurm.conf"
  slurmctld -c -f "$SLURM_CONF" 3>&-
  slurmd -N one -f "$SLURM_CONF" 3>&-
  for _ in $(seq 150); do
    sinfo -h -o %T 2>/dev/null | grep -qx idle && return
    sleep 0.2
  done
  cat "$1/"*.log >&3
  stop "$1"
  exit 1
}

case ${1-} in
  start | stop) "$1" "${2:?a folder}" ;;
  *) echo "usage: slurm.sh start|stop FOLDER" >&2; exit 64 ;;
esac
