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

# Behind a delay line (delay.c) a host has a bridge of its own.
bridge_of() {
  [ -e "$state/h$1/slow" ] && echo "s$1" || echo br0
}

# In the rig's namespaces. $2 is the delay of one way.
slow_down() {
  local n=$1 device=/dev/net/tun
  speed_up "$n"
  [ -e $device ] || { device=$root/tun && { [ -e "$device" ] || mknod "$device" c 10 200; }; }
  nsenter --net=/run/netns/fabric "$root/delay" "$device" "a$n" "b$n" "$2" 3>&- &
  echo $! >"$state/h$n/slow"
  until ip -n fabric link show "b$n" >/dev/null 2>&1; do
    kill -0 $! 2>/dev/null || return 1
    sleep 0.01
  done
  ip -n fabric -batch - <<EOF
link add s$n type bridge
link set s$n up
link set a$n txqueuelen 10000 master br0 up
link set b$n txqueuelen 10000 master s$n up
EOF
  ip -n fabric link set "h$n" master "s$n" 2>/dev/null || true # a host that is off has no cable
  until passes "a$n" && passes "b$n"; do sleep 0.01; done
}

passes() {
  bridge -n fabric link show dev "$1" | grep -q 'state forwarding'
}

speed_up() {
  local n=$1
  [ -e "$state/h$n/slow" ] || return 0
  kill -KILL "$(cat "$state/h$n/slow")" || true
  rm -f "$state/h$n/slow"
  ip -n fabric link set "h$n" master br0 2>/dev/null || true
  ip -n fabric link del "s$n"
}

# The registry listens on the machine's loopback, and once more on the bridge, over the same files. Engines allow plain
# HTTP to 127.0.0.0/8 only: so hosts find it at the same address, from where their connections are led to the bridge.
registry_up() {
  local address
  for address in 127.0.0.1 "$subnet.1"; do
    cat >"$state/registry-$address.yml" <<EOF
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $root/registry}, delete: {enabled: true}}
http: {addr: "$address:$registry", secret: $name}
EOF
    docker-registry serve "$state/registry-$address.yml" >>"$state/registry.log" 2>&1 3>&- &
  done
}

registry_host_up() {
  nsenter --net="/run/netns/h$1" sysctl -q -w net.ipv4.conf.all.route_localnet=1
  nsenter --net="/run/netns/h$1" iptables -w -t nat -A OUTPUT -p tcp -d 127.0.0.1 --dport "$registry" -j DNAT --to "$subnet.1:$registry"
  nsenter --net="/run/netns/h$1" iptables -w -t nat -A POSTROUTING -p tcp -d "$subnet.1" --dport "$registry" -j MASQUERADE
}

registry_answers() {
  curl -s -o /dev/null --max-time 5 "http://127.0.0.1:$registry/v2/" && curl -s -o /dev/null --max-time 5 "http://$subnet.1:$registry/v2/"
}

choose_port() {
  local port=$((20000 + 16#${name: -6} % 10000))
  while [ -n "$(ss -Hltn "sport = :$port")" ]; do port=$((port + 1)); done
  echo "$port"
}

network_host_up() {
  local n=$1
  ip netns del "h$n" 2>/dev/null || true
  ip -n fabric link del "h$n" 2>/dev/null || true
  ip netns add "h$n"
  ip -n "h$n" link add eth0 address "$(hardware_of "$n")" type veth peer name "h$n" netns fabric
  ip -n fabric link set "h$n" master "$(bridge_of "$n")" up
  {
    echo link set lo up
    echo "addr add $(address_of "$n")/24 dev eth0"
    echo link set eth0 up
    neighbours "$n" eth0
  } | ip -n "h$n" -batch -
  [ "$registry" = none ] || registry_host_up "$n"
}
