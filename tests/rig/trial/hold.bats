# `run --no-load`: the replicas are held for loaders that people start by hand, until somebody ends the trial.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
  cd "$folder" || return
  cat >"$folder/deployment.yaml" <<EOF2
runtime: {custom_command: "echo CONTAINER_ID", custom_command_run_interval_sec: 1}
local: {perf_test_root: results}
EOF2
}

teardown() {
  if [ -n "${pid:-}" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
  sweep_trial
}

hold() {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain run --no-load >out 2>progress </dev/null 3>&- &
  pid=$!
  eventually grep -q 'load -- -b 100' out
}

ends_with() {
  status=0
  wait "$pid" || status=$?
  pid=
  [ "$status" = "$1" ]
  nothing_is_left
  [ -z "$(docker volume ls --quiet --filter "label=com.docker.compose.project=$project")" ]
}

@test "held replicas are loaded by hand, and Ctrl-C ends the trial well" {
  hold
  grep -q "  seatrial -f $folder/compose.yaml -d $folder/deployment.yaml -p $project down" out
  eventually test -e "$results/local/$project-replica-1/custom/1.out"
  run -0 seatrial load -- -b 7
  kill -INT "$pid"
  ends_with 0
  grep -q "verdict     good" out
  results=$(echo "$folder"/results/*-"$(jq -r .run "$folder"/results/*/run.json | head -1)")
  grep -q "100 acknowledged and in the chain" out
  [ "$(jq -r '.loads_by_hand | length' "$folder"/results/*/summary.json | head -1)" = 1 ]
  grep -q 'last words of 1' "$results/local/$project-replica-2/output.log"
}

@test "down from elsewhere has the runner end the trial" {
  hold
  run -0 seatrial down
  [[ $output == *"the runner of project '$project' has ended the trial"* ]]
  ends_with 0
  grep -q "verdict     good" out
}

@test "a loader by hand that runs when the trial ends is ended, and keeps its results" {
  hold
  start_in_background load load
  loader=$!
  eventually grep -q 'load with' load
  kill -INT "$pid"
  ends_with 0
  wait "$loader"
  grep -q "100 of 100 requests were acknowledged" load
}

@test "when somebody else removes the replicas, the trial is over" {
  hold
  of_project | xargs docker rm --force >/dev/null
  ends_with 0
  grep -q "somebody else has removed the trial's containers" progress
}

@test "a runner that is killed while it holds is resumed, and holds again" {
  hold
  kill -KILL "$pid"
  wait "$pid" || true
  rm out # it has the words that are waited for
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain run --resume latest >out 2>progress 3>&- &
  pid=$!
  eventually grep -q 'load -- -b 100' out
  kill -TERM "$pid"
  ends_with 0
}
