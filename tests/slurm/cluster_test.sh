#!/usr/bin/env bash
# slurm/local-cluster without Slurm: its nodes are apart, its links can be cut and slowed, nodes die and come back, and
# nothing is left of it in the end. Needs root; exits with 77 where it cannot run, and says why.
# Usage: cluster_test.sh
set -euo pipefail
cluster=$(realpath "$(dirname "$0")/../../slurm/local-cluster")
"$cluster" check --no-slurm || exit 77
PATH=$PATH:/usr/sbin:/sbin
top=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-cluster-test.XXXXXX")
export LOCKSTEP_CLUSTER_DIR=$top/first
cd "$top"

stop() {
  for left in "$top"/*/; do LOCKSTEP_CLUSTER_DIR=${left%/} "$cluster" down >/dev/null 2>&1 || true; done
  rm -rf --one-file-system "$top"
}
trap stop EXIT

fail() {
  echo "cluster_test: $*"
  "$cluster" status || true
  exit 1
}

# reaches FROM TO: nobody listens there, so a refusal is an answer.
reaches() {
  local code=0
  "$cluster" run "$1" timeout 2 bash -c "exec 3<>/dev/tcp/$2/9" 2>/dev/null || code=$?
  [ $code != 124 ]
}

same() { [ "$2" = "$3" ] || fail "$1: '$2', not '$3'"; }

! "$cluster" up 2 --no-slurm --rate fast 2>words || fail "a rate that is none was taken"
grep -q "no such rate: 'fast'" words || fail "$(cat words)"
[ ! -e "$LOCKSTEP_CLUSTER_DIR" ] || fail "what could not start left something"

"$cluster" up 2 --no-slurm --rate 1gbit
interface=lockstep$(cut -d. -f3 "$LOCKSTEP_CLUSTER_DIR/network")
id=$(cat "$LOCKSTEP_CLUSTER_DIR/id")
ip link show "$interface" >/dev/null

# Apart: names, /dev/shm, /tmp; what was in /tmp before is the same on all.
same "name of n2" "$("$cluster" run n2 hostname)" n2
"$cluster" run n1 touch /dev/shm/of-n1 /tmp/of-n1
! "$cluster" run n2 ls /dev/shm/of-n1 2>/dev/null || fail "n2 sees the /dev/shm of n1"
! "$cluster" run n2 ls /tmp/of-n1 2>/dev/null || fail "n2 sees the /tmp of n1"
"$cluster" run n1 touch "$top/of-all"
"$cluster" run n2 ls "$top/of-all" >/dev/null

# Links.
reaches n1 n2 || fail "n1 does not reach n2"
"$cluster" cut n2
! reaches n1 n2 || fail "n2 is heard although its link is down"
"$cluster" status | grep -q '^n2 .* cut' || fail "status does not say that n2 is cut"
"$cluster" mend n2
reaches n1 n2 || fail "the link is up again, but n1 does not reach n2"
"$cluster" rate n2 100mbit
"$cluster" run n2 tc qdisc show dev eth0 | grep -q 'tbf .*rate 100Mbit' || fail "n2's link is not slow"
"$cluster" run head tc qdisc show dev n2 | grep -q 'tbf .*rate 100Mbit' || fail "the way to n2 is not slow"
"$cluster" run n1 tc qdisc show dev eth0 | grep -q 'tbf .*rate 1Gbit' || fail "n1's link has another rate"

# A node dies with all that runs on it, and comes back with the rate of its link.
"$cluster" run n2 sleep 1000 &
sleeper=$!
for try in $(seq 50); do [ "$(cat /proc/$sleeper/comm)" != sleep ] || break; sleep 0.1; done
"$cluster" kill n2
! wait "$sleeper" || fail "a process of a dead node ended well"
"$cluster" status | grep -q '^n2 .* dead' || fail "status does not say that n2 is dead"
! reaches n1 n2 || fail "a dead node answers"
! "$cluster" run n2 true 2>words || fail "a dead node runs a program"
"$cluster" start n2
reaches n1 n2 || fail "n2 is back, but n1 does not reach it"
! "$cluster" run n2 ls /tmp/of-n1 2>/dev/null || fail "n2 is not as after a boot"
"$cluster" run n2 tc qdisc show dev eth0 | grep -q 'tbf .*rate 100Mbit' || fail "n2's link has another rate than before"

# Open MPI 5.0.11's mpirun was seen to hang once in sixty such starts: it gets a second try.
ranks() { timeout 30 "$cluster" mpirun "$@" bash -c 'hostname; sleep 0.2' 2>/dev/null | sort | tr '\n' ' '; }
same "ranks of mpirun" "$(ranks --per-node 2 || ranks --per-node 2)" "n1 n1 n2 n2 "
same "one rank" "$(ranks -n 1 || ranks -n 1)" "n1 "

# Another cluster beside it; the end of one is not the other's.
LOCKSTEP_CLUSTER_DIR=$top/second "$cluster" up 1 --no-slurm
LOCKSTEP_CLUSTER_DIR=$top/second "$cluster" down
reaches n2 n1 || fail "the end of one cluster disturbed another"

"$cluster" run n1 setsid bash -c 'sleep 1000 & sleep 1000' &  # runs on when the cluster ends
sleep 0.3
"$cluster" down
! ip link show "$interface" 2>/dev/null || fail "the interface $interface is left"
left=$(for process in /proc/[0-9]*; do ! grep -q -F " $id " "$process/mountinfo" 2>/dev/null || echo "${process#/proc/}"; done)
[ -z "$left" ] || fail "processes are left: $(ps -o pid,args -p $left)"
! grep -F "$top" /proc/self/mountinfo || fail "mounts are left"
[ ! -e "$LOCKSTEP_CLUSTER_DIR" ] || fail "files are left: $(find "$LOCKSTEP_CLUSTER_DIR")"
echo "nodes apart, links cut and slowed, a node dead and back; nothing is left"
