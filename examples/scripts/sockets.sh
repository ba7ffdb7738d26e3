#!/bin/sh
# The sockets of a container's processes, as ss(8) sees them: state, queues, peers, and of TCP round trips, windows, retransmissions.
#     sockets.sh CONTAINER_ID
# prints a line for each, on the container's host, whichever network the container is in.
# Needs ss (Debian: iproute2) and nsenter (util-linux), and root, or sudo without a password.
set -u

me=sockets.sh id=${1:-}

fail() {
    echo "$me: $2" >&2
    exit "$1"
}

[ -n "$id" ] || fail 2 "usage: sockets.sh CONTAINER_ID"
command -v ss >/dev/null || fail 127 "ss is not installed on this host (Debian: apt-get install iproute2)"
command -v nsenter >/dev/null || fail 127 "nsenter is not installed on this host (Debian: apt-get install util-linux)"
root=
[ "$(id -u)" = 0 ] || {
    sudo -n true 2>/dev/null || fail 126 "only root, or who may sudo without a password, sees whose sockets they are"
    root='sudo -n'
}
pids=$(grep -lsF -e "$id" /proc/[0-9]*/cgroup | cut -d / -f 3)
[ -n "$pids" ] || fail 1 "no process of container $id is to be seen on this host"
first=$(echo "$pids" | head -n 1)

# The network is the container's, the numbers of processes are the host's.
# shellcheck disable=SC2086 # $root is no word or two
all=$($root nsenter --net --target "$first" ss -H -O -a -t -u -n -p -i -m 2>&1) || {
    echo "$all" >&2
    fail 126 "this kernel does not let us into the container's network"
}
echo "$all" | awk -v pids="$pids" '
    BEGIN { count = split(pids, list, "\n"); for (i = 1; i <= count; i++) ours[list[i]] = 1 }
    {
        rest = $0
        while (match(rest, /pid=[0-9]+/)) {
            if (substr(rest, RSTART + 4, RLENGTH - 4) in ours) { sub(/ +$/, ""); print; next }
            rest = substr(rest, RSTART + RLENGTH)
        }
    }'
