# Nodes on one machine; for `source`. A node is a set of namespaces (network, host name, IPC, mounts with a /dev/shm and
# a /tmp of its own) that a sleeping process holds. Its eth0 is one end of a cable (veth); the other end, named as the
# node, is a port of the switch (a bridge) in the namespaces of "head", the login node. Addresses: node nI 10.77.K.I,
# head 10.77.K.254, this machine 10.77.K.253 by its interface lockstepK. K is the first that is free.
#   $dir/spaces/NODE/   holder (its process), net (its network namespace)
# Needs $dir and fail().

is_node() { [[ $1 =~ ^n[1-9][0-9]*$ ]] && [ -d "$dir/spaces/$1" ]; }
network() { cat "$dir/network"; }
node_names() { ls "$dir/spaces" | grep -v '^head$' | sort -V; }
address_of() { if [ "$1" = head ]; then echo "$(network).254"; else echo "$(network).${1#n}"; fi; }

# The processes in the namespaces of a node, whoever started them. The number of a namespace may come again when the node
# is dead: it is a process of this cluster if its /dev/shm bears the cluster's id.
processes_of() {
  local net process
  net=$(cat "$dir/spaces/$1/net" 2>/dev/null) || return 0
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/ns/net" 2>/dev/null)" = "$net" ] &&
      grep -q -F " tmpfs $(cat "$dir/id") " "$process/mountinfo" 2>/dev/null && echo "${process#/proc/}"
  done
  return 0
}

is_alive() {
  local pid
  pid=$(cat "$dir/spaces/$1/holder" 2>/dev/null) && [ -n "$pid" ] &&
    [ "$(readlink "/proc/$pid/ns/net" 2>/dev/null)" = "$(cat "$dir/spaces/$1/net")" ]
}

# What the shell of a node's holder does: $1 node, $2 the cluster's directory.
furnish='
  set -e
  hostname "$1"
  mount -t tmpfs -o mode=1777 "$(cat "$2/id")" /dev/shm
  ip link set lo up
  mount --bind "$2/hosts" /etc/hosts
  if [ "$1" != head ]; then  # /tmp shows what lay in it
    for entry in /tmp/*; do
      case $entry in *spmix_*|*pmix*|*prte*|*ompi*) continue ;; esac
      name=${entry#/tmp/}
      if [ -d "$entry" ] && [ ! -L "$entry" ]; then
        mkdir -p "$2/tmp/$1/$name"
        mount --bind "$entry" "$2/tmp/$1/$name"
      fi
    done
    mount --rbind "$2/tmp/$1" /tmp
  fi
  readlink /proc/self/ns/net >"$3/net"
  echo $$ >"$3/holder"
  exec sleep infinity'

start_space() {
  local name=$1 space=$dir/spaces/$1 try
  mkdir -p "$space" "$dir/tmp/$name"
  chmod 1777 "$dir/tmp/$name"
  rm -f "$space/holder"
  setsid unshare --net --uts --ipc --mount --propagation private bash -c "$furnish" node "$name" "$dir" "$space" \
    </dev/null >"$dir/log/$name.space" 2>&1 &
  for try in $(seq 300); do
    [ -s "$space/holder" ] && return
    kill -0 $! 2>/dev/null || break
    sleep 0.02
  done
  fail "the namespaces of $name cannot be made: $(cat "$dir/log/$name.space")"
}

# enter NODE COMMAND...: becomes a process of the node, in the current folder.
enter() {
  local node=$1 pid
  shift
  pid=$(cat "$dir/spaces/$node/holder" 2>/dev/null) && is_alive "$node" || fail "node $node is not up"
  exec nsenter --target "$pid" --net --uts --ipc --mount -- bash -c '
    cd "$2" 2>/dev/null || {
      echo "local-cluster: $1 does not see $2: nodes share with this machine what is outside /tmp, and what was in it when the cluster started" >&2
      exit 66
    }
    shift 2
    exec "$@"' bash "$node" "$PWD" "$@"
}
in_space() { (cd / && enter "$@"); }

# The switch, and this machine's way to it.
start_head() {
  local k taken
  taken=$(ip -4 route show table all)
  for k in $(seq 254); do
    [[ $taken != *10.77.$k.* ]] || continue
    echo "10.77.$k" >"$dir/network"
    write_hosts "$1"
    [ -e "$dir/spaces/head/holder" ] || start_space head
    # Of two clusters that start at once, one gets the name.
    ip link add "lockstep$k" type veth peer name uplink netns "$(cat "$dir/spaces/head/holder")" 2>"$dir/log/uplink" || continue
    ip addr add "10.77.$k.253/24" dev "lockstep$k"
    ip link set "lockstep$k" up
    in_space head bash -ec 'ip link add switch type bridge
      ip addr add "$1.254/24" dev switch
      ip link set switch up
      ip link set uplink master switch up' head "10.77.$k"
    return
  done
  fail "no free network 10.77.K.0/24: $(cat "$dir/log/uplink")"
}

# Written in place: the nodes have the file itself as /etc/hosts.
write_hosts() {
  local n
  {
    echo "127.0.0.1 localhost"
    echo "$(network).254 head"
    for n in $(seq "$1"); do echo "$(network).$n n$n"; done
  } >"$dir/hosts"
}

# A node that comes back has the one that it had: the others remember it.
hardware_address() { printf '02:00:0a:4d:%02x:%02x' "$(network | cut -d. -f3)" "${1#n}"; }

connect() {
  local node=$1 pid
  pid=$(cat "$dir/spaces/$node/holder")
  in_space head bash -ec 'ip link del "$1" 2>/dev/null || true  # of the node as it was before it died
    ip link add "$1" type veth peer name eth0 netns "$2" address "$3"
    ip link set "$1" master switch up' head "$node" "$pid" "$(hardware_address "$node")"
  in_space "$node" bash -ec 'ip addr add "$1/24" dev eth0; ip link set eth0 up' "$node" "$(address_of "$node")"
  ! [ -e "$dir/spaces/$node/rate" ] || shape "$node" "$(cat "$dir/spaces/$node/rate")"
}

# shape NODE RATE: both directions of its link. The burst is two of the largest segments that TCP hands to a link.
shape() {
  local node=$1 rate=$2 tbf="burst 128kb latency 20ms"
  if [ "$rate" = none ]; then
    rm -f "$dir/spaces/$node/rate"
    in_space "$node" tc qdisc del dev eth0 root 2>/dev/null || true
    in_space head tc qdisc del dev "$node" root 2>/dev/null || true
    return
  fi
  in_space "$node" tc qdisc replace dev eth0 root tbf rate "$rate" $tbf &&
    in_space head tc qdisc replace dev "$node" root tbf rate "$rate" $tbf || fail "no such rate: '$rate'; 1gbit, 100mbit or none"
  echo "$rate" >"$dir/spaces/$node/rate"
}

# Whether a node can speak to another: a firewall that drops what bridges carry makes programs hang. Nobody listens at
# the port, so that the answer is a refusal, and no answer is a fault.
check_way() {
  local from=$1 to=$2 code=0
  in_space "$from" timeout 5 bash -c "exec 3<>/dev/tcp/$(address_of "$to")/9" 2>/dev/null || code=$?
  [ $code != 124 ] || fail "$from does not reach $to ($(address_of "$to")) although its link is up: does a firewall drop what bridges carry?"
}

# Until nobody is left: a process may have started another one meanwhile.
end_processes() {
  local try pids
  for try in $(seq 100); do
    pids=$(processes_of "$1")
    [ -n "$pids" ] || return 0
    kill -9 $pids 2>/dev/null || true
    sleep 0.02
  done
  fail "processes of $1 cannot be killed: $(echo $pids)"
}
