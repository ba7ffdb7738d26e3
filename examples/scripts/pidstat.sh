#!/bin/sh
# How busy each process of a container is: CPU, memory, disk and switches by pidstat(1), a line per process and interval.
#     pidstat.sh CONTAINER_ID [SECONDS [INTERVAL]]
# looks for SECONDS (10) every INTERVAL seconds (1), on the container's host. A column that this user may not see is -1.
# Needs pidstat (Debian: sysstat); what others read and write on disks is told to root alone.
set -u

me=pidstat.sh id=${1:-} seconds=${2:-10} interval=${3:-1}

fail() {
    echo "$me: $2" >&2
    exit "$1"
}

[ -n "$id" ] || fail 2 "usage: pidstat.sh CONTAINER_ID [SECONDS [INTERVAL]]"
command -v pidstat >/dev/null || fail 127 "pidstat is not installed on this host (Debian: apt-get install sysstat)"
root=
[ "$(id -u)" = 0 ] || ! sudo -n true 2>/dev/null || root='sudo -n'
pids=$(grep -lsF -e "$id" /proc/[0-9]*/cgroup | cut -d / -f 3 | paste -s -d , -)
[ -n "$pids" ] || fail 1 "no process of container $id is to be seen on this host"
count=$((seconds / interval))
# shellcheck disable=SC2086 # $root is no word or two
LC_ALL=C exec $root pidstat -h -H -u -r -d -w -p "$pids" "$interval" "$((count > 0 ? count : 1))"
