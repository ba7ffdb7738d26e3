# A runner that is killed at any point of a trial: `run --resume`, `collect` and `down` finish the work.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
  cd "$folder" || return
  export LOAD_SECONDS=0
  cat >"$folder/deployment.yaml" <<EOF2
general: {loader_cli: "-b 100", loader_timeout_sec: 60}
runtime: {custom_command: "echo CONTAINER_ID", custom_command_run_interval_sec: 1}
local: {perf_test_root: results}
EOF2
  journal=$results/journal.jsonl
}

teardown() {
  sweep_trial
}

# Runs a trial until its journal has N lines.
killed_at() {
  "$SEATRIAL_BIN/rig_kill_at" "$1" "$journal" \
    "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain run >killed 2>&1 3>&-
}

lines() {
  if [ -e "$journal" ]; then wc -l <"$journal"; else echo 0; fi
}

# All that a good trial leaves.
is_complete() {
  [ "$(summary .verdict)" = good ]
  [ "$(summary .load.requests.acknowledged)" = 100 ]
  [ "$(summary .agreement.ok)" = true ]
  [ "$(summary '.containers | length')" = 3 ]
  grep -q 'last words of 0' "$results/local/$project-replica-1/output.log"
  grep -q 'last words of 1' "$results/local/$project-replica-2/output.log"
  grep -q 'load with -b 100' "$results/local/$project-loader-1/output.log"
}

# What a trial may leave anywhere.
everything_of_project() {
  of_project
  docker volume ls --quiet --filter "label=com.docker.compose.project=$project"
}

finish_by() {
  case $1 in
    resume)
      run -0 seatrial run --resume latest
      is_complete
      ;;
    collect)
      run -0 seatrial collect latest
      run -0 seatrial down
      ;;
    down) run seatrial down ;;
  esac
  # What a run that died early made none of, has no results to be good.
  [ "$status" -le 1 ]
}

@test "killed anywhere, a trial is resumed, or collected and taken down, and nothing is left" {
  local seed=${SEATRIAL_TEST_SEED:-$RANDOM} kills=${SEATRIAL_TEST_KILLS:-16} all n turn ways=(resume collect down)
  echo "# seed $seed" >&3
  RANDOM=$seed
  run -0 seatrial run
  is_complete
  all=$(lines)
  for ((turn = 0; turn < kills; turn++)); do
    rm -rf "$folder/results"
    n=$((1 + RANDOM % all))
    killed_at $n || [ "$(lines)" -ge "$all" ]
    echo "kill $turn at line $n of $all (has $(lines)), then ${ways[turn % 3]}"
    finish_by "${ways[turn % 3]}"
    [ -z "$(everything_of_project)" ]
  done
}
