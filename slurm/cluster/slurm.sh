# Slurm on the nodes of nodes.sh, with daemons of its own; for `source`. Needs $dir, $SLURM_CONF and fail().

write_conf() {
  local nodes=$1 cpus=$2 memory_mib
  memory_mib=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
  cat >"$SLURM_CONF" <<END
ClusterName=lockstep
SlurmctldHost=head($(network).254)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/pids/slurmctld
SlurmdPidFile=$dir/pids/%n
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,preempt_send_user_signal
MpiDefault=pmix
ReturnToService=2
JobRequeue=1
KillWait=5
SlurmdTimeout=10
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
END
  local n
  for n in $(seq "$nodes"); do
    echo "NodeName=n$n NodeAddr=$(network).$n CPUs=$cpus RealMemory=$((memory_mib / nodes))"
  done >>"$SLURM_CONF"
  cat >>"$SLURM_CONF" <<END
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 GraceTime=20
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF
END
}

start_munge() {
  mkdir -p "$dir/munge"
  chmod 755 "$dir/munge"
  mungekey --create --keyfile="$dir/munge/key" --bits=1024
  in_space head munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" \
    --pid-file="$dir/pids/munged" --log-file="$dir/log/munged.log" --seed-file="$dir/munge/seed" \
    >"$dir/log/munged.out" 2>&1 || fail "munged did not start: $(cat "$dir/log/munged.out")"
}

start_slurmctld() {
  in_space head slurmctld -f "$SLURM_CONF" >"$dir/log/slurmctld.out" 2>&1 ||
    fail "slurmctld did not start: $(cat "$dir/log/slurmctld.out")"
}

start_slurmd() {
  local node=$1
  mkdir -p "$dir/spool/$node"
  rm -rf "$dir/spool/${node:?}"/*pmix*  # of steps that died; a requeued step has the same number
  in_space "$node" slurmd -N "$node" -f "$SLURM_CONF" >>"$dir/log/$node.out" 2>&1 ||
    fail "slurmd of $node did not start: $(cat "$dir/log/$node.out" "$dir/log/$node.log")"
}

wait_until_idle() {
  local nodes=$1 try
  for try in $(seq 100); do
    [ "$(sinfo --noheader --Node --partition=low --states=idle 2>/dev/null | wc -l)" = "$nodes" ] && return
    sleep 0.2
  done
  sinfo --Node --long >&2 || true
  tail -n 20 "$dir"/log/*.log >&2
  fail "the nodes are not idle after 20 s"
}

cancel_jobs() {
  local try
  scancel --user=root >/dev/null 2>&1 || return 0
  for try in $(seq 50); do
    [ -n "$(squeue --noheader 2>/dev/null)" ] || return 0
    sleep 0.2
  done
}
