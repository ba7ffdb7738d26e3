# Several loaders on hosts of their own begin at one moment, each by its host's clock.

# Variables come from the environment, from hosts.bash, or are set in setup.
# shellcheck disable=SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts

setup_file() {
  need_root
  need_engine # the builder
  [ -d "$SEATRIAL_SOURCE/build/stage/loader" ] ||
    lacking "nothing is staged (cmake --build build/release --target stage)"
  need_rig 3
}

teardown_file() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  folder=$BATS_TEST_TMPDIR project=rigsharers results=$BATS_TEST_TMPDIR/results/latest
  export COMPOSE_PROJECT_NAME=$project
  prepare_hosts
  cp "$SEATRIAL_SOURCE"/examples/demo/* "$folder"
  sed -i "s|\.\./\.\./build|$SEATRIAL_SOURCE/build|; /fleet: replicas/d; s|  loader:|  loader:\n    deploy: {replicas: 2}|" \
    "$folder/compose.yaml"
  cat >"$folder/deployment.yaml" <<EOF
name: rig
local: {perf_test_root: results}
general: {num_of_replicas: 4, loader_cli: "-b 300 -c 15", loader_timeout_sec: 120}
testbed:
  provider: hosts
  hosts:
    - {name: h1, ssh: h1}
    - {name: h2, ssh: h2, fleet: loaders}
    - {name: h3, ssh: h3, fleet: loaders}
EOF
}

teardown() {
  rig exec 3 rm -f /usr/local/bin/date
  seatrial down >/dev/null 2>&1 || true
}

# Such times have more digits than jq keeps.
number() {
  grep -om1 "\"$1\": *[0-9]*" "$2" | grep -o '[0-9]*$'
}

agreed() {
  number agreed_ns "$results/summary.json"
}

# What loader N says that its time 0 was, by its host's clock, after the moment that was agreed on by ours.
began() {
  echo $(($(number started_ns "$results/h$(($1 + 1))/$project-loader-$1/load.json") - $(agreed)))
}

clock_offset() {
  jq ".hosts[] | select(.name == \"$1\") | .clock_offset_ns" "$results/run.json"
}

@test "a loader on each host: one start by each host's clock, one load, one latency log" {
  run -0 seatrial run
  [ "$(summary .verdict)" = good ]
  [ "$(summary '[.load.loaders[].host] | join(" ")')" = "h2 h3" ]
  [ "$(summary .load.requests.acknowledged)" = 300 ]
  [ "$(summary .agreement.acknowledged_in_chain)" = 300 ]
  [ "$(began 1)" = "$(clock_offset h2)" ]
  [ "$(began 2)" = "$(clock_offset h3)" ]
  [ "$(summary .load.start.clock_uncertain_ns)" -gt 0 ]
  "$SEATRIAL_BIN/loader" summarize "$results/latency.hlog" 3>&- | grep -q '^(no tag): 300 values'
  nothing_is_left
}

# Its clock is ours, but what it says of it is not: so this loader begins 5 s after the other one, at the time of
# what it believes to be the same clock, which only both offsets together make right.
@test "a host whose clock is ahead is told its own time" {
  # shellcheck disable=SC2016 # the host expands it
  rig exec 3 sh -c 'printf "#!/bin/sh\necho \$((\$(/usr/bin/date +%%s%%N) + 5000000000))\n" >/usr/local/bin/date
    chmod +x /usr/local/bin/date'
  run -0 seatrial run
  [[ $output == *"the clock of host h3 is 5."*" s ahead"* ]]
  [ "$(began 2)" = "$(clock_offset h3)" ]
  [ "$(began 2)" -gt 4000000000 ]
  [ "$(began 1)" = "$(clock_offset h2)" ]
  # By one clock, both began at the agreed moment, and the same second of both logs is one in the merged one.
  grep -q "^    \"started_ns\": $(agreed)" "$results/summary.json"
  [ "$(summary .load.requests.acknowledged)" = 300 ]
  nothing_is_left
}
