# shellcheck shell=bash
# A cluster of replicas for benchmarks, in the folder $work, which is gone in the end: to be sourced, with $bin, and $scale for
# `scaled`. Without options of their own replicas keep their blocks as `replica` does by default.
# shellcheck disable=SC2154 # bin and scale
work=$(mktemp -d "${TMPDIR:-/var/tmp}/seatrial-bench.XXXXXX")
base=$((20000 + $$ % 10000)) pids=()
# What a part of a pipeline has started, only it knows by $pids: replicas are in a file, too, and `fail` ends what is known there.
cleanup() {
  local started=()
  [ ! -f "$work.pids" ] || read -ra started <"$work.pids" || true
  started+=("${pids[@]}")
  [ ${#started[@]} = 0 ] || kill -KILL "${started[@]}" 2>/dev/null || true
  rm -rf "$work" "$work.pids"
}
trap cleanup EXIT
trap 'exit 143' INT TERM HUP

fail() {
  echo "bench/$(basename "$0"): $*" >&2
  tail -n 5 "$work"/replica-* >&2 || true
  [ ${#pids[@]} = 0 ] || kill -KILL "${pids[@]}" 2>/dev/null || true
  exit 1
}

scaled() {
  echo $(($1 * scale / 1000 > 10 ? $1 * scale / 1000 : 10))
}

# start N WORDS...: a cluster of N replicas with these options, each healthy.
start() {
  local n=$1 i
  shift
  rm -rf "${work:?}"/*
  {
    printf 'run: bench\nproject: bench\ncontainers:\n'
    for ((i = 0; i < n; i++)); do
      echo "  - {name: replica-$((i + 1)), service: replica, role: replica, index: $i, host: local, address: 127.0.0.1, ports: {replica: $((base + i))}}"
    done
  } >"$work/cluster.yaml"
  base=$((base + n))
  of_cluster=(--cluster="$work/cluster.yaml" --cluster-keys="$work/keys")
  "$bin/replica" keygen --cluster="$work/cluster.yaml" --loaders=1 --out="$work/keys" >/dev/null
  pids=()
  for ((i = 0; i < n; i++)); do
    mkdir -p "$work/out-$i" "$work/data-$i"
    "$bin/replica" "${of_cluster[@]}" --index=$i --data="$work/data-$i" --out="$work/out-$i" "$@" >"$work/replica-$i" 2>&1 &
    pids+=($!)
    echo "${pids[*]}" >"$work.pids"
  done
  for ((i = 0; i < n; i++)); do
    SECONDS=0
    until "$bin/replica" "${of_cluster[@]}" --index=$i --health >/dev/null 2>&1; do
      kill -0 "${pids[i]}" 2>/dev/null || fail "replica $i ended"
      [ $SECONDS -lt 60 ] || fail "replica $i is not healthy after a minute"
    done
  done
}

stop() {
  local pid
  kill -TERM "${pids[@]}"
  for pid in "${pids[@]}"; do wait "$pid" || fail "a replica ended with status $?"; done
  pids=()
  rm -f "$work.pids"
  [ "$(jq -s 'map([.height, .digest]) | unique | length' "$work"/out-*/state.json)" = 1 ] || fail "the replicas disagree"
}
