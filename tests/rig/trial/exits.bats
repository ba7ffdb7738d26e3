# Every way in which a trial can end before its end: it collects, cleans up, and says what was left.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
  cd "$folder" || return
  export LOAD_SECONDS=0
}

teardown() {
  sweep_trial
  if mountpoint --quiet "$folder/results"; then umount --lazy "$folder/results"; fi
}

# Nothing on the engine, not even a lock; and the results say so.
is_clean() {
  nothing_is_left
  [ -z "$(docker volume ls --quiet --filter "label=com.docker.compose.project=$project")" ]
}

is_collected() {
  [ "$(summary '.left_behind | length')" = 0 ]
  grep -q 'last words of 1' "$results/local/$project-replica-2/output.log"
  [ "$(summary .load.requests.sent)" = 100 ]
}

begin() {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress json run >out 2>progress 3>&- &
  pid=$!
  eventually grep -q '"state":"running","step":"wait-exit"' progress
}

end() {
  status=0
  wait "$pid" || status=$?
  echo "status $status"
  [ "$status" = "$1" ]
}

@test "its terminal is gone: 129" {
  export LOAD_SECONDS=3600
  # Whoever reads what it says has gone with the terminal.
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain run 3>&- > >(exec true) 2>&1 &
  pid=$!
  eventually grep -q '"event":"begin".*"kind":"wait-exit"' "$results/journal.jsonl"
  kill -HUP "$pid"
  end 129
  is_clean
  is_collected
  [ "$(summary .verdict)" = interrupted ]
}

@test "nobody reads its report: it is in the results, and the exit status says that it was not read" {
  run -1 --separate-stderr sh -c "'$SEATRIAL_BIN/seatrial' -f '$folder/compose.yaml' --progress plain run >/dev/full"
  [[ $stderr == *"print the report: No space left on device"* ]]
  is_clean
  is_collected
  [ "$(summary .verdict)" = good ]
}

@test "the disk of the results is full: nothing more is begun, and what was made is removed" {
  need_root
  export LOAD_SECONDS=3600
  mkdir "$folder/results"
  mount -t tmpfs -o size=24m tmpfs "$folder/results"
  begin
  head -c 24m /dev/zero >"$folder/results/full" || true
  kill -INT "$pid"
  end 130
  is_clean
  grep -q "No space left on device" progress
}

@test "the disk of the results is full while containers are made: the next one is not" {
  need_root
  mkdir "$folder/results"
  mount -t tmpfs -o size=24m tmpfs "$folder/results"
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress json run >out 2>progress 3>&- &
  pid=$!
  eventually grep -q '"state":"running","step":"build-image"' progress
  head -c 24m /dev/zero >"$folder/results/full" || true
  end 1
  is_clean
  grep -q "write the journal: No space left on device" progress
}

@test "a second Ctrl-C while replicas are held stops waiting" {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress json run --no-load >out 2>progress 3>&- &
  pid=$!
  eventually grep -q 'load -- -b 100' out
  docker pause "$project-replica-1" # who stops it waits
  kill -INT "$pid"
  eventually grep -q '"state":"running","step":"stop-container"' progress
  kill -INT "$pid"
  end 130
  docker unpause "$project-replica-1" || true
  [ "$(summary '.left_behind | length > 0')" = true ]
  run -0 seatrial down
  is_clean
}
