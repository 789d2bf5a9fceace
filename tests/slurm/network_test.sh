#!/usr/bin/env bash
# Ill networks at the start of a training on two nodes of slurm/local-cluster: an interface with the same address on both,
# at which MPI waits for ever without a word, one as Docker makes it, which is left out, and frames that are too large.
# Needs root; exits with 77 where it cannot run, and says why.
# Usage: network_test.sh LOCKSTEP
set -euo pipefail
source "$(dirname "$0")/two_nodes.sh" "$1" --no-slurm
network=$(cat "$LOCKSTEP_CLUSTER_DIR/network").0/24

cat >small.cfg <<END
[data]
source = synthetic
synthetic_samples = 32
height = 12
width = 12
[model]
depth = 8
[train]
batch = 16
epochs = 1
[parallel]
threads = 1
[watchdog]
network_s = 4
END

fail() {
  echo "network_test: $1"
  tail -n 40 ./*.log
  exit 1
}

# train RUN EXIT_CODE [WORD ...]: of mpirun, before the program
train() {
  local run=$1 expected=$2 code=0
  shift 2
  timeout 60 "$cluster" mpirun "$@" "$LOCKSTEP" train small.cfg --set "run.name=$run" >"$run.log" 2>&1 || code=$?
  [ $code = "$expected" ] || fail "$run ended with $code, not $expected"
}
says() { grep -q -F -- "$2" "$1.log" || fail "$1 does not say '$2'"; }

# Processes of lockstep on the nodes.
ranks_left() {
  local process net
  for process in /proc/[0-9]*; do
    [ "$(cat "$process/comm" 2>/dev/null)" = lockstep ] || continue
    net=$(readlink "$process/ns/net" 2>/dev/null) || continue
    ! grep -q -x -F "$net" "$LOCKSTEP_CLUSTER_DIR"/spaces/*/net || echo "${process#/proc/}"
  done
}
on_both() { for node in n1 n2; do "$cluster" run $node bash -ec "$1"; done; }

on_both 'ip link add test0 type veth peer name peer0; ip link set peer0 up; ip link set test0 up; ip addr add 172.16.0.1/16 dev test0'
begin=$SECONDS
train silent 76
[ $((SECONDS - begin)) -le 30 ] || fail "it took $((SECONDS - begin)) s to say so"
says silent "rank 0 on n1 (eth0 ${network%.0/24}.1/24, test0 172.16.0.1/16) and rank 1 on n2 (eth0 ${network%.0/24}.2/24, test0 172.16.0.1/16) do not hear"
says silent "Both hosts have the address 172.16.0.1 (test0)"
says silent "mpirun --mca btl_tcp_if_include $network, or OMPI_MCA_btl_tcp_if_include=$network"
[ "$(grep -c 'lockstep: error' silent.log)" = 1 ] || fail "more than one error"
! compgen -G 'runs/silent/network-*' || fail "what the ranks knew is left"
for try in $(seq 50); do
  [ -n "$(ranks_left)" ] || break
  sleep 0.1
done
[ -z "$(ranks_left)" ] || fail "ranks are left: $(ranks_left)"
train named 0 --mca btl_tcp_if_include "$network"

on_both 'ip link set test0 down; ip link set test0 name docker0; ip link set docker0 up; ip addr show dev docker0 | grep -q 172.16.0.1'
train docker 0

# Frames that the switch does not take, and no segments that a virtual link would carry in one.
on_both 'ip link del docker0; ip link set eth0 mtu 9000 gso_max_segs 1'
train jumbo 76
says jumbo "an MTU larger than the switch's?"
echo "an address that two nodes have was named, and the network between them; docker0 was left out; frames that got lost were noticed"
