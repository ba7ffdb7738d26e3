# shellcheck shell=bash disable=SC2030,SC2031,SC2034,SC2154 # variables of bats and of hosts.bash
# A trial of the small scripted system (trial/system) over $hosts hosts, the last of them the loader's, for tests in which
# something goes wrong with them: `load faults` below `load hosts`.
: "${hosts:=5}"

# Of each file its own: they run at the same time, with one builder.
project_of_file() {
  local name=${BATS_TEST_FILENAME##*/}
  echo "rig${name%.bats}"
}

setup_file() {
  need_root
  need_engine # the builder
  need_rig "$hosts"
}

teardown_file() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
  docker rmi --force "$(project_of_file)" >/dev/null 2>&1 || true
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  folder=$BATS_TEST_TMPDIR/trial project=$(project_of_file) results=$BATS_TEST_TMPDIR/trial/results/latest
  export COMPOSE_PROJECT_NAME=$project
  export ODD='' ODD_ONE='' LOAD_SECONDS='' LOAD_EXIT='' ACKNOWLEDGED='' COUNT_TO=0
  cp -r "$SEATRIAL_SOURCE/tests/rig/trial/system" "$folder"
  cp /bin/busybox "$folder/busybox"
  cp "$SEATRIAL_BIN/rig_crash" "$folder/crash"
  write_trial
  prepare_hosts
  patience 'ServerAliveInterval 1' 'ServerAliveCountMax 3' # users wait longer than tests
}

# Every host is as at first, whatever a test has left.
teardown() {
  [ -z "${background:-}" ] || kill -KILL "$background" 2>/dev/null || true
  rig reset
  seatrial down >/dev/null 2>&1 || true
  nothing_is_left
}

# The loader prints $COUNT_TO numbered lines, ten in a second, before it is one; so does each replica, meanwhile.
write_trial() {
  cat >count.sh <<'EOF'
i=0
while [ $i -lt "$COUNT_TO" ]; do
  i=$((i + 1))
  echo "line $i"
  /bin/busybox sleep 0.1
done
EOF
  cat count.sh "$SEATRIAL_SOURCE/tests/rig/trial/system/loader.sh" >"$folder/loader.sh"
  { echo '{' && cat count.sh && echo '} &' && cat "$SEATRIAL_SOURCE/tests/rig/trial/system/replica.sh"; } >"$folder/replica.sh"
  cat >"$folder/compose.yaml" <<EOF
services:
  replica:
    image: $project
    build: .
    command: [/bin/replica.sh]
    environment: [ODD, ODD_ONE, COUNT_TO]
    deploy: {replicas: $((hosts - 1))}
    network_mode: host
    healthcheck: {test: [CMD, /bin/busybox, test, -e, /seatrial/out/ready]}
    x-seatrial: {role: replica, cores: /cores}
  loader:
    image: $project
    build: .
    command: [/bin/loader.sh]
    environment: [LOAD_SECONDS, LOAD_EXIT, ACKNOWLEDGED, COUNT_TO]
    network_mode: host
    x-seatrial: {role: loader}
EOF
  {
    echo "general: {num_of_replicas: $((hosts - 1)), loader_cli: '-b 100', loader_timeout_sec: 120}"
    echo 'local: {perf_test_root: results}'
    testbed
  } >"$folder/deployment.yaml"
}

# Options for all hosts, before those of the configuration.
patience() {
  { printf '%s\n' "$@" && cat "$RIG_SSH_CONFIG"; } >"$ssh_config"
}

# An option for h2 alone.
for_h2() {
  { printf 'Host h2\n  %s\nHost *\n' "$1" && cat "$ssh_config"; } >"$ssh_config.new"
  mv "$ssh_config.new" "$ssh_config"
}

# The process is $background.
begin() {
  "$SEATRIAL_BIN/seatrial" --ssh-config "$ssh_config" -f "$folder/compose.yaml" --progress plain --reconnect-timeout "${reconnect:-4s}" \
    run >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  background=$!
}

# Ends with its status as $status, and what it printed as $output.
finish() {
  wait "$background" && status=0 || status=$?
  background=
  output=$(cat "$BATS_TEST_TMPDIR/out")
  echo "$output"
}

printed() {
  grep -qE "$1" "$BATS_TEST_TMPDIR/out"
}

# Whether the step is under way on h2, or has been.
journal_has() {
  grep -qs "\"event\":\"begin\",\"host\":\"h2\",\"kind\":\"$1\"" "$results/journal.jsonl"
}

# On all hosts that are on.
rest_is_clean() {
  local left
  left=$(on_hosts)
  echo "left: $left"
  [ -z "$left" ]
}

# Each container of the others has its whole folder.
rest_is_collected() {
  local n
  for ((n = 1; n < RIG_HOSTS; n++)); do
    [ $n != 2 ] || continue
    [ -s "$results/h$n/$project-replica-$n/state.json" ]
    grep -q "last words of $((n - 1))" "$results/h$n/$project-replica-$n/output.log"
  done
}

