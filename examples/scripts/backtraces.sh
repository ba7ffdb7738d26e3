#!/bin/sh
# What every thread of a container's processes is doing right now: backtraces by gdb(1).
#     backtraces.sh CONTAINER_ID [SECONDS]
# stops each process for as long as gdb reads it, a second or so, at most SECONDS (20) each: a measurement sees that.
# Needs gdb and timeout (Debian: gdb, coreutils), and root, or sudo without a password, or the container's user and a
# kernel.yama.ptrace_scope of 0.
set -u

me=backtraces.sh id=${1:-} seconds=${2:-20}

fail() {
    echo "$me: $2" >&2
    exit "$1"
}

[ -n "$id" ] || fail 2 "usage: backtraces.sh CONTAINER_ID [SECONDS]"
command -v gdb >/dev/null || fail 127 "gdb is not installed on this host (Debian: apt-get install gdb)"
root=
[ "$(id -u)" = 0 ] || ! sudo -n true 2>/dev/null || root='sudo -n'
pids=$(grep -lsF -e "$id" /proc/[0-9]*/cgroup | cut -d / -f 3)
[ -n "$pids" ] || fail 1 "no process of container $id is to be seen on this host"

# Nothing that lies beside a foreign program is run by gdb.
status=0
for pid in $pids; do
    echo "process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
    # shellcheck disable=SC2086 # $root is no word or two
    said=$($root timeout -k 5 "$seconds" gdb -nx -batch -p "$pid" -iex 'set auto-load no' -iex 'set debuginfod enabled off' \
        -iex 'set pagination off' -ex 'thread apply all backtrace' 2>&1 </dev/null)
    ended=$?
    echo "$said"
    case $said in
        *'Operation not permitted'* | *'ptrace: '*) status=126 ;;
        *) [ $ended = 0 ] || status=1 ;;
    esac
done
[ $status != 126 ] || fail 126 "gdb may not attach here: run as root, or set sysctl kernel.yama.ptrace_scope=0"
exit $status
