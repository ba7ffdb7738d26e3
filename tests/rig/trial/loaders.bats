# Several loaders of another make: nothing is needed of them, and what they report is added up.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
  sed -i "s|    command: \[/bin/loader.sh\]|&\n    deploy: {replicas: 2}|" "$folder/compose.yaml"
}

teardown() {
  sweep_trial
}

@test "loaders that know nothing of a common start are not held up, and their counts are added" {
  ACKNOWLEDGED=100 run -0 --separate-stderr seatrial run
  [[ $output == *"verdict     good"* ]]
  [ "$(summary .load.requests.acknowledged)" = 200 ]
  [ "$(summary '[.load.loaders[].name] | join(" ")')" = "$project-loader-1 $project-loader-2" ]
  # Without histograms nothing is known of the latencies of both.
  [ "$(summary .load.latency_ns.p50)" = null ]
  [ "$(summary .load.start.spread_ns)" = null ]
  nothing_is_left
}

@test "a loader that fails is named, whatever the others have done" {
  LOAD_EXIT=1 run -1 --separate-stderr seatrial run
  [[ $output == *"$project-loader-1"*"ended with exit status 1"* ]]
  nothing_is_left
}
