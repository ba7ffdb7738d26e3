# A runner that is killed in the middle of a trial over SSH: `run --resume`, `collect` and `down` finish the work, and nothing
# is left on any host: no container, no volume, no lock.

# Variables come from the environment, from hosts.bash, or are set in setup.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts

setup_file() {
  need_root
  need_engine # the builder
  need_rig 2
}

teardown_file() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  folder=$BATS_TEST_TMPDIR/trial project=resumehosts results=$folder/results/latest journal=$folder/results/latest/journal.jsonl
  export COMPOSE_PROJECT_NAME=$project LOAD_SECONDS=0
  prepare_hosts
  cp -r "$SEATRIAL_SOURCE/tests/rig/trial/system" "$folder"
  cp /bin/busybox "$folder/busybox"
  cp "$SEATRIAL_BIN/rig_crash" "$folder/crash"
  cat >"$folder/compose.yaml" <<EOF2
x-all: &all {image: $project, build: ., network_mode: host}
services:
  replica:
    <<: *all
    command: [/bin/replica.sh]
    deploy: {replicas: 2}
    healthcheck: {test: [CMD, /bin/busybox, test, -e, /seatrial/out/ready]}
    x-seatrial: {role: replica}
  loader:
    <<: *all
    command: [/bin/loader.sh]
    environment: [LOAD_SECONDS]
    x-seatrial: {role: loader}
EOF2
  cat >"$folder/deployment.yaml" <<EOF2
general: {loader_cli: "-b 100", loader_timeout_sec: 60}
runtime: {custom_command: "sleep 7777", custom_command_run_interval_sec: 1}
local: {perf_test_root: results}
EOF2
  testbed >>"$folder/deployment.yaml"
  cd "$folder" || return
}

teardown() {
  seatrial down >/dev/null 2>&1 || true
}

killed_at() {
  "$SEATRIAL_BIN/rig_kill_at" "$1" "$journal" "$SEATRIAL_BIN/seatrial" --ssh-config "$ssh_config" \
    -f "$folder/compose.yaml" --progress plain run >killed 2>&1 3>&-
}

lines() {
  if [ -e "$journal" ]; then wc -l <"$journal"; else echo 0; fi
}

is_complete() {
  [ "$(summary .verdict)" = good ]
  [ "$(summary .load.requests.acknowledged)" = 100 ]
  [ "$(summary .agreement.replicas)" = 2 ]
  grep -q 'last words of 0' "$results/h1/$project-replica-1/output.log"
  grep -q 'last words of 1' "$results/h2/$project-replica-2/output.log"
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
  [ "$status" -le 1 ]
}

@test "killed anywhere, a trial over SSH is resumed, or collected and taken down, and nothing is left" {
  local seed=${SEATRIAL_TEST_SEED:-$RANDOM} kills=${SEATRIAL_TEST_KILLS:-4} all n turn ways=(resume down resume collect)
  echo "# seed $seed" >&3
  RANDOM=$seed
  run -0 seatrial run
  is_complete
  all=$(lines)
  for ((turn = 0; turn < kills; turn++)); do
    rm -rf "$folder/results"
    n=$((1 + RANDOM % all))
    killed_at $n || [ "$(lines)" -ge "$all" ]
    echo "kill $turn at line $n of $all (has $(lines)), then ${ways[turn % 4]}"
    finish_by "${ways[turn % 4]}"
    nothing_is_left
  done
}

# With custom commands under way.
killed_in_the_load() {
  export LOAD_SECONDS=3600
  "$SEATRIAL_BIN/seatrial" --ssh-config "$ssh_config" -f compose.yaml --progress plain run >killed 2>&1 3>&- &
  eventually grep -q '"event":"begin".*"kind":"wait-exit"' "$journal"
  eventually rig exec 2 pgrep --full 'sleep 777[7]'
  kill -KILL $!
  wait $! || true
}

# Neither processes nor folders of custom commands.
no_command_is_left() {
  local n run
  run=$(jq --raw-output 'select(.event == "run").run' "$journal" | head -n 1)
  for n in 1 2; do
    rig exec "$n" pgrep --full 'sleep 777[7]' && return 1
    rig exec "$n" sh -c "ls -d /tmp/seatrial-$run* 2>/dev/null" && return 1
  done
  return 0
}

@test "custom commands of a runner that was killed are ended by down, with what they had on the hosts" {
  killed_in_the_load
  run seatrial down
  [ "$status" -le 1 ]
  nothing_is_left
  no_command_is_left
}

@test "what cannot be resumed is said: changed files, and containers that somebody has removed" {
  killed_in_the_load
  cp compose.yaml before.yaml
  echo "# another" >>compose.yaml
  run -1 seatrial run --resume latest
  [[ $output == *"compose.yaml' has changed since the run began"* ]]
  [[ $output == *"hint: put it back as it was"* ]]
  cp before.yaml compose.yaml
  run -1 env LOAD_SECONDS=1 "$SEATRIAL_BIN/seatrial" --ssh-config "$ssh_config" -f compose.yaml run --resume latest
  [[ $output == *"what the Compose files say has changed since the run began"* ]]
  rig exec 1 sh -c "docker rm --force $project-replica-1"
  run seatrial run --resume latest
  [ "$status" = 1 ]
  [[ $output == *"$project-replica-1"*"removed by somebody else"* ]]
  [ "$(summary .verdict)" = failed ]
  nothing_is_left
  no_command_is_left
}
