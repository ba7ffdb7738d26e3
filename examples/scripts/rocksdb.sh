#!/bin/sh
# What RocksDB keeps in a folder of a container: its files by kind, the largest of them, and the last statistics in its LOG.
#     rocksdb.sh CONTAINER_ID [FOLDER]
# looks below FOLDER (/data) of the container from its host, so that the image needs no shell. There may be several databases.
# Needs root, or sudo without a password, or to be the container's user. Statistics are in a LOG every
# stats_dump_period_sec (10 minutes), if its level is `info`.
set -u

me=rocksdb.sh id=${1:-} folder=${2:-/data}

fail() {
    echo "$me: $2" >&2
    exit "$1"
}

[ -n "$id" ] || fail 2 "usage: rocksdb.sh CONTAINER_ID [FOLDER]"
pid=$(grep -lsF -e "$id" /proc/[0-9]*/cgroup | cut -d / -f 3 | head -n 1)
[ -n "$pid" ] || fail 1 "no process of container $id is to be seen on this host"
root=
[ "$(id -u)" = 0 ] || [ -r "/proc/$pid/root/." ] || {
    sudo -n true 2>/dev/null || fail 126 "only root, who may sudo without a password, and the container's user may look into it"
    root='sudo -n'
}

# A link in the container would lead somewhere on the host.
path=/proc/$pid/root
rest=${folder#/}
while [ -n "$rest" ]; do
    path=$path/${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
    case $path in */..) fail 2 "'$folder' leads upwards" ;; esac
    # shellcheck disable=SC2086 # $root is no word or two
    ! $root test -L "$path" || fail 1 "'${path#/proc/*/root}' is a link in the container: name the folder that it leads to"
done
# shellcheck disable=SC2086
$root test -d "$path" || fail 1 "the container has no folder '$folder'"
# shellcheck disable=SC2086
databases=$($root find -P "$path" -xdev -type f -name CURRENT -printf '%h\n' 2>/dev/null | sort)
[ -n "$databases" ] || fail 1 "there is no database of RocksDB below '$folder'"

echo "$databases" | while IFS= read -r database; do
    echo "database $folder${database#"$path"}"
    # shellcheck disable=SC2086
    $root find -P "$database" -maxdepth 1 -type f -printf '%s %f\n' 2>/dev/null | awk '
        {
            kind = $2
            if (kind ~ /\./) sub(/.*\./, "", kind); else sub(/-.*/, "", kind)
            if (kind ~ /^(old|[0-9]+)$/) kind = "LOG"
            count[kind]++; bytes[kind] += $1; all += $1
            if ($2 ~ /\.sst$/ && $1 > largest) { largest = $1; name = $2 }
        }
        END {
            for (kind in count) printf "  %-10s %6d files %15.0f bytes\n", kind, count[kind], bytes[kind] | "sort"
            close("sort")
            printf "  %-10s %6s       %15.0f bytes\n", "all", "", all
            if (name != "") printf "  the largest table is %s with %.0f bytes\n", name, largest
        }'
    # shellcheck disable=SC2086
    $root find -P "$database" -maxdepth 1 -type f -name LOG -exec tail -c 4000000 {} \; 2>/dev/null | awk '
        /DUMPING STATS/ { text = ""; lines = 0; inside = 1 }
        inside && lines < 400 { text = text "  " $0 "\n"; lines++ }
        END { printf "%s", text == "" ? "  its LOG has no statistics (yet)\n" : text }'
done
