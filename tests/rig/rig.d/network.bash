# shellcheck shell=bash disable=SC2154 # names come from name_rig
# The rig's network: each host on a cable to one bridge, the machine itself on another cable.
#
# The bridge has a network namespace of its own, because in the machine's one the FORWARD chain of an engine would eat
# its frames. All hardware addresses are fixed and all neighbours are known beforehand: nobody asks for an address, so
# that a host which is gone is silent, as it is behind a cloud's router, and one that comes back is reachable at once.

# Of a host, or of the machine (0).
address_of() {
  echo "$subnet.$([ "$1" = 0 ] && echo 1 || echo $((10 + $1)))"
}

hardware_of() {
  printf '02:52:%s:%s:00:%02x' "${name: -4:2}" "${name: -2:2}" "$1"
}

# Prints the first three numbers of a network that the machine has no other use for. The caller holds the global lock.
choose_subnet() {
  local seed try
  seed=$((16#${name: -6}))
  for try in {0..63}; do
    subnet=10.$((128 + (seed / 256 + try) % 96)).$((seed % 256))
    if [ -z "$(ip -4 -o addr show to "$subnet.0/24")" ] && [ -z "$(ip -4 route show root "$subnet.0/24")" ]; then
      echo "$subnet"
      return
    fi
  done
  die "no free network 10.x.y.0/24 found"
}

# In the rig's mount namespace, whose /run/netns only it sees.
network_up() {
  mkdir -p /run/netns
  mount -n -t tmpfs tmpfs /run/netns
  ip netns add fabric
  ip link add "$link" address "$(hardware_of 0)" type veth peer name uplink netns fabric
  ip -n fabric -batch - <<EOF
link set lo up
link add br0 type bridge
link set br0 up
link set uplink master br0 up
EOF
  ip netns exec fabric sysctl -q -w net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true
  ip addr add "$subnet.1/24" dev "$link"
  ip link set "$link" up
}

# Who is who, for a namespace with a cable to the bridge (N = 0: the machine).
neighbours() {
  local n=$1 device=$2 other
  for ((other = 0; other <= hosts; other++)); do
    [ "$other" = "$n" ] || echo "neigh replace $(address_of "$other") lladdr $(hardware_of "$other") dev $device nud permanent"
  done
}

network_host_up() {
  local n=$1
  ip netns del "h$n" 2>/dev/null || true
  ip -n fabric link del "h$n" 2>/dev/null || true
  ip netns add "h$n"
  ip -n "h$n" link add eth0 address "$(hardware_of "$n")" type veth peer name "h$n" netns fabric
  ip -n fabric link set "h$n" master br0 up
  {
    echo link set lo up
    echo "addr add $(address_of "$n")/24 dev eth0"
    echo link set eth0 up
    neighbours "$n" eth0
  } | ip -n "h$n" -batch -
}
