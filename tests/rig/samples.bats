# What hosts and containers use, sampled once a second: on every engine, through a cut, and without a trace afterwards.

# Variables come from functions.bash and the rig; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2034,SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts
export hosts=3
load faults

# Each engine that there is has a host.
setup_file() {
  need_root
  need_engine # the builder
  need_rig $hosts --engine "$(three_engines)"
}

has_samples() {
  local folder
  for folder in "$@"; do
    [ -s "$results/$folder/stats.jsonl" ] || return 1
  done
}

run_json() {
  jq --raw-output "$1" "$results/run.json"
}

# The command that a host is asked by.
asked() {
  rig exec "$1" pgrep -f '[p]ressure/memory'
}
nobody_is_asked() {
  local n
  for ((n = 1; n <= RIG_HOSTS; n++)); do
    ! asked "$n" >/dev/null || return 1
  done
}

@test "hosts and containers of every engine are sampled from start to end, through a cut" {
  local n file
  LOAD_SECONDS=12 reconnect=30s begin
  eventually has_samples h1 h2 h3 "h2/$project-replica-2" "h3/$project-loader-1"
  rig cut 2
  eventually printed "host 'h2' does not answer"
  rig heal 2
  finish
  [ "$status" = 0 ]
  for n in 1 2 3; do
    for file in "$results/h$n/stats.jsonl" "$results/h$n/$project"-*/stats.jsonl; do
      [ "$(wc -l <"$file")" -ge 3 ]
      jq --exit-status --slurp 'all(.[]; .time) and (map(.time) | . == sort) and .[0].rates == null' "$file"
    done
    jq --exit-status --slurp '.[-1] | .ticks.idle > 0 and .memory.total_bytes > 0 and .interfaces.lo and .uncertain_ns > 0' \
      "$results/h$n/stats.jsonl"
  done
  for n in 1 2; do # on their hosts' networks, which count for them
    jq --exit-status --slurp 'all(.[]; .cpu_ns > 0 and .received_bytes == null and .read) and
      any(.[]; .memory_bytes > 0 and .processes > 0 and .rates.cpu_cores != null)' "$results/h$n/$project-replica-$n/stats.jsonl"
  done
  # There is a hole, and something behind it.
  jq --exit-status --slurp 'map(.rates.seconds // 0) | max > 2 and .[-1] < 2' "$results/h2/stats.jsonl"
  jq --exit-status --slurp 'map(.rates.seconds // 0) | max > 2' "$results/h2/$project-replica-2/stats.jsonl"
  run_json '.samples.hosts | .breaks >= 1 and .missed >= 1 and .samples > 20 and .cpu_ns > 0 and .interval_s.mean > 0.9' | grep -qx true
  run_json '.samples.containers | .breaks >= 1 and .missed >= 1 and .samples > 20 and .cpu_ns > 0' | grep -qx true
  summary '.resources | (.containers | length == 3) and all(.containers[]; .cpu_cores.mean >= 0 and .memory_bytes_max > 0 and .network == null)' |
    grep -qx true
  summary '.resources.hosts | length == 3 and all(.[]; .cpu_cores.busy > 0 and .steal_share >= 0)' | grep -qx true
  [[ $output == *"resources   replica: cpu "* ]]
  nobody_is_asked
}

@test "nothing is left at work on a host when seatrial is killed" {
  LOAD_SECONDS=60 begin
  eventually has_samples h1 h2 h3
  asked 1
  kill -KILL "$background"
  wait "$background" || true
  background=
  eventually nobody_is_asked
}

@test "where sshd has no session left, samples give way to the custom command" {
  cat >>"$folder/deployment.yaml" <<END
runtime: {custom_command: "echo here", custom_command_run_interval_sec: 1}
END
  rig sshd 2 'MaxSessions 1'
  LOAD_SECONDS=4 begin
  finish
  [ "$status" = 0 ]
  [[ $output == *"host h2 was not sampled to the end: sshd has no session left for others"* ]]
  grep -rqx here "$results/h2/$project-replica-2/custom"
  has_samples h1 h3 "h2/$project-replica-2"
}
