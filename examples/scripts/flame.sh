#!/bin/sh
# Where the processes of a container spend their time: a flame graph by perf(1), as one SVG.
#     flame.sh CONTAINER_ID [SECONDS [HERTZ [svg|folded]]]
# samples all of them on their host for SECONDS (10) at HERTZ (99), and prints the picture, or with `folded` a line for
# each stack with its number of samples. Programs without frame pointers have short stacks.
# The output is <n>.out in the results: give it the ending .svg, and open it in a browser.
# Needs perf (Debian: linux-perf), and root, or sudo without a password, or a kernel.perf_event_paranoid below 2.
set -u

me=flame.sh id=${1:-} seconds=${2:-10} hertz=${3:-99} form=${4:-svg}

fail() {
    echo "$me: $2" >&2
    exit "$1"
}

[ -n "$id" ] || fail 2 "usage: flame.sh CONTAINER_ID [SECONDS [HERTZ [svg|folded]]]"
command -v perf >/dev/null || fail 127 "perf is not installed on this host (Debian: apt-get install linux-perf)"
root=
[ "$(id -u)" = 0 ] || ! sudo -n true 2>/dev/null || root='sudo -n'
pids=$(grep -lsF -e "$id" /proc/[0-9]*/cgroup | cut -d / -f 3 | paste -s -d , -)
[ -n "$pids" ] || fail 1 "no process of container $id is to be seen on this host"
work=$(mktemp -d) || exit
trap '$root rm -rf -- "$work"' EXIT
trap 'exit 143' TERM INT

# shellcheck disable=SC2086 # $root is no word or two
$root perf record -F "$hertz" -g -o "$work/data" -p "$pids" -- sleep "$seconds" >"$work/said" 2>&1 || {
    cat "$work/said" >&2
    fail 126 "perf cannot sample here: run as root, or set sysctl kernel.perf_event_paranoid=1"
}
# shellcheck disable=SC2086
$root perf script -i "$work/data" -F comm,ip,sym >"$work/stacks" 2>"$work/said" || {
    cat "$work/said" >&2
    fail 1 "perf cannot read what it has sampled"
}

# One line per stack, root first, frames parted by \001, which sorts before all that a name may hold.
awk '
    function add() {
        if (who != "" && stack != "")
            count[who "\001" stack]++
        stack = ""
    }
    /^$/ { add(); next }
    /^[^ \t]/ { add(); who = $0; sub(/[ \t:]+$/, "", who); next }
    {
        name = $0
        sub(/^[ \t]*[0-9a-f]+[ \t]*/, "", name)
        stack = (name == "" ? "[unknown]" : name) (stack == "" ? "" : "\001" stack)
    }
    END { add(); for (s in count) print s "\t" count[s] }' "$work/stacks" | LC_ALL=C sort >"$work/folded"
[ -s "$work/folded" ] || fail 1 "not one sample in $seconds s: the processes slept, or are gone"

if [ "$form" = folded ]; then
    tr ';\001\t' ':; ' <"$work/folded"
    exit
fi

# Each frame is as wide as its part of all samples; frames that neighbouring stacks have in common are one.
awk -F '\t' -v title="container $(printf %.12s "$id"), $seconds s at $hertz Hz" '
    function escape(text) {
        gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); gsub(/"/, "\\&quot;", text)
        gsub(/[\001-\010\013-\037]/, "?", text)
        return text
    }
    function hue(name,  i, h) {
        for (i = 1; i <= length(name); i++)
            h = (h * 31 + index(letters, substr(name, i, 1))) % 997
        return h % 50 + 5
    }
    function close_down_to(level) {
        for (; depth > level; depth--) {
            n++
            from[n] = start[depth]; to[n] = seen; at[n] = depth; label[n] = open[depth]
        }
    }
    BEGIN { letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789:<>[]()*&~, " }
    {
        frames = split($1, frame, "\001")
        for (same = 0; same < frames && same < depth && frame[same + 1] == open[same + 1];)
            same++
        close_down_to(same)
        while (depth < frames) {
            depth++
            open[depth] = frame[depth]; start[depth] = seen
        }
        deepest = depth > deepest ? depth : deepest
        seen += $2
    }
    END {
        close_down_to(0)
        width = 1200; row = 17; height = (deepest + 1) * row + 30
        printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"monospace\" font-size=\"11\">\n", width, height
        printf "<text x=\"4\" y=\"16\" font-size=\"13\">%s: %d samples</text>\n", escape(title), seen
        for (i = 1; i <= n; i++) {
            x = from[i] / seen * width; w = (to[i] - from[i]) / seen * width
            if (w < 0.2)
                continue
            y = height - at[i] * row - 5; fits = int((w - 6) / 6.7)
            name = escape(label[i])
            printf "<g><title>%s: %d samples, %.1f %%</title>", name, to[i] - from[i], (to[i] - from[i]) / seen * 100
            printf "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"hsl(%d,85%%,65%%)\" stroke=\"white\" stroke-width=\"0.4\"/>", x, y, w, row - 1, hue(label[i])
            if (fits >= 3)
                printf "<text x=\"%.2f\" y=\"%d\">%s</text>", x + 3, y + 12, escape(length(label[i]) > fits ? substr(label[i], 1, fits - 2) ".." : label[i])
            print "</g>"
        }
        print "</svg>"
    }' "$work/folded"
