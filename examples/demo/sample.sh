#!/bin/sh
# One sample of a container's main process, seen from its host: when, which, how busy, how large.
#     sample.sh CONTAINER_ID
# prints, on one line:
#     time=2026-11-20T13:22:00Z container=3f9c2a1b pid=4711 cpu_s=1.25 rss_kb=20480 threads=9
# The main process is the oldest whose control group's path names the container, under cgroup v1 and
# v2 alike. A container that is gone, or a host where its processes cannot be seen, is said and no
# failure: a sample must not end a trial.
set -u

id=${1:-}
if [ -z "$id" ]; then
    echo "usage: sample.sh CONTAINER_ID" >&2
    exit 2
fi

# Prints the oldest process of the container: the smallest start time, field 22 of stat.
main_process() {
    grep -lFs -- "$id" /proc/[0-9]*/cgroup | while IFS=/ read -r _ _ pid _; do
        start=$(fields "$pid" 20) && echo "$start $pid"
    done | sort -n | head -n 1 | cut -d ' ' -f 2
}

# fields PID N: field N of /proc/PID/stat, counted behind the name, which may hold blanks and brackets.
fields() {
    line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    echo "${line##*) }" | cut -d ' ' -f "$2"
}

now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
short=$(printf %.12s "$id")
pid=$(main_process)
if [ -z "$pid" ] || ! user=$(fields "$pid" 12) || ! kernel=$(fields "$pid" 13) ||
    ! status=$(cat "/proc/$pid/status" 2>/dev/null); then
    echo "time=$now container=$short no process to be seen"
    exit 0
fi

hertz=$(getconf CLK_TCK 2>/dev/null || echo 100)
echo "$status" | awk -v now="$now" -v id="$short" -v pid="$pid" -v ticks="$((user + kernel))" \
    -v hertz="$hertz" '
    $1 == "VmRSS:" { rss = $2 }
    $1 == "Threads:" { threads = $2 }
    END {
        printf "time=%s container=%s pid=%s cpu_s=%.2f rss_kb=%d threads=%d\n",
            now, id, pid, ticks / hertz, rss, threads
    }'
