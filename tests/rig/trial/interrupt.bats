# Ctrl-C in every stage: the trial is ended, collected and cleaned up, and the exit status is 130.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
  cd "$folder" || return # each test has a "progress" of its own, and never sees that of the one before
  export LOAD_SECONDS=3600
}

teardown() {
  sweep_trial
}

# Sends SIGNAL as soon as the progress says that a step has begun.
interrupt_at() {
  local signal=$1 step=$2
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress json run >out 2>progress 3>&- &
  pid=$!
  eventually grep -q "\"state\":\"running\",\"step\":\"$step\"" progress
  kill "-$signal" "$pid"
  status=0
  wait "$pid" || status=$?
}

ended_well() {
  [ "$status" = "$1" ]
  nothing_is_left
  [ "$(summary .verdict)" = interrupted ]
  [ "$(summary '.left_behind | length')" = 0 ]
  grep -q '"event":"interrupt"' "$results/journal.jsonl"
}

@test "while the host is checked" {
  interrupt_at INT check-host
  ended_well 130
}

@test "while images are built" {
  cat >"$folder/Dockerfile" <<'EOF'
FROM scratch
COPY busybox replica.sh loader.sh /bin/
RUN ["/bin/busybox", "sleep", "30"]
EOF
  sed -i "s/build: \./build: {context: ., network: host}/" "$folder/compose.yaml"
  interrupt_at INT build-image
  ended_well 130
}

@test "while containers are created" {
  interrupt_at INT create-container
  ended_well 130
}

@test "while containers are started" {
  interrupt_at INT start-container
  ended_well 130
}

@test "while the trial waits for health" {
  export ODD=sick ODD_ONE=1
  interrupt_at INT wait-healthy
  ended_well 130
}

@test "during the load: it is ended, and its results are there" {
  interrupt_at INT wait-exit
  ended_well 130
  [ "$(summary .load.requests.sent)" = 100 ]
  [ "$(summary .agreement.ok)" = true ]
}

@test "by SIGTERM during the load: 143" {
  interrupt_at TERM wait-exit
  ended_well 143
}

@test "while containers are stopped" {
  export LOAD_SECONDS=0
  interrupt_at INT stop-container
  ended_well 130
}

@test "while files are collected" {
  export LOAD_SECONDS=0
  interrupt_at INT collect-container
  ended_well 130
}

@test "while containers are removed" {
  export LOAD_SECONDS=0
  interrupt_at INT remove-container
  ended_well 130
}

@test "the second Ctrl-C stops waiting and says what was left" {
  sed -i 's/^trap finish TERM/trap "" TERM/' "$folder/replica.sh" # a replica that will not stop
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress json run >out 2>progress 3>&- &
  pid=$!
  eventually grep -q '"state":"running","step":"wait-exit"' progress
  kill -INT "$pid"
  eventually grep -q '"state":"running","step":"stop-container","subject":"'"$project-replica" progress
  kill -INT "$pid"
  status=0
  wait "$pid" || status=$?
  [ "$status" = 130 ]
  [ "$(summary '.left_behind | length > 0')" = true ]
  grep -q "container $project-replica-. on host local" out
  run -0 seatrial down
  nothing_is_left
}

@test "an engine that dies during the run: what may be left is named, exit status 5" {
  need_root
  export ODD='' ODD_ONE=''
  unset DOCKER_HOST
  name=$BATS_TEST_TMPDIR/engine
  engine=$("$SEATRIAL_SOURCE/script/engine" start --root "$name" 3>&-)
  export "${engine?}"
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress json run >out 2>progress 3>&- &
  pid=$!
  eventually grep -q '"state":"running","step":"wait-exit"' progress
  kill -KILL "$(pgrep --full "^dockerd .*$name")"
  status=0
  wait "$pid" || status=$?
  "$SEATRIAL_SOURCE/script/engine" stop --root "$name"
  export DOCKER_HOST=$SEATRIAL_TEST_DOCKER_HOST
  [ "$status" = 5 ]
  grep -q "its engine does not answer" out
}
