# Core dumps from other hosts: by a crash on request, and by a trial that crashes; engines of several versions, over SSH.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts
load trial/core_pattern

setup_file() {
  [ -n "${SEATRIAL_TEST_DOCKER_HOST:-}" ] || return 0
  local engines
  need_core_pattern
  engines=$(three_engines)
  need_rig 3 --engine "$engines"
}

teardown_file() {
  restore_core_pattern
  [ -z "${RIG_ROOT:-}" ] || rig down
}

setup() {
  need_engine
  cd "$BATS_TEST_TMPDIR" || return
  project=h$(printf %s "$BATS_TEST_TMPDIR" | sha256sum | cut -c1-8)
  folder=$BATS_TEST_TMPDIR/trial
  results=$folder/results/latest
  cp -r "$BATS_TEST_DIRNAME/trial/system" "$folder"
  cp /bin/busybox "$folder/busybox"
  cp "$SEATRIAL_BIN/rig_crash" "$folder/crash"
  export COMPOSE_PROJECT_NAME=$project ODD=core-wrapped ODD_ONE=2
  prepare_hosts
  cat >"$folder/compose.yaml" <<END
services:
  replica:
    image: $project
    build: .
    command: [/bin/replica.sh]
    user: "1234"
    read_only: true
    working_dir: /cores
    environment: [ODD, ODD_ONE]
    deploy: {replicas: 3}
    network_mode: host
    healthcheck: {test: [CMD, /bin/busybox, test, -e, /seatrial/out/ready]}
    x-seatrial: {role: replica, cores: /cores}
END
  { echo "local: {perf_test_root: results}" && testbed "2=member@h2"; } >"$folder/deployment.yaml"
}

teardown() {
  docker rmi --force "$project" >/dev/null 2>&1 || true
}

# What a crash test makes.
of_crash_tests() {
  local n
  for n in 1 2 3; do
    rig exec "$n" sh -c "docker ps --all --quiet --filter name=seatrial-crash; docker volume ls --quiet --filter name=seatrial-crash
      docker images --quiet --filter reference=seatrial-crash-test"
  done
}

# found HOST CHECK: its result and text in $output
found() {
  jq -r --arg host "$1" --arg check "$2" 'select(.host == $host and .check == $check) | .result + " " + .text' <<<"$output"
}

@test "doctor --crash-test: a core dump comes home from every host, and nothing stays there" {
  run -0 --separate-stderr "$SEATRIAL_BIN/seatrial" --ssh-config "$ssh_config" -f "$folder/compose.yaml" --progress json doctor --crash-test
  for n in 1 2 3; do
    [[ $(found "h$n" "crash test") == "good replica: a core dump of "*" KiB arrived in '/cores'" ]]
    [[ $(found "h$n" "core dumps") == "good of replica: it appears in '/cores', its working directory, and is collected" ]]
  done
  [ -z "$(of_crash_tests)" ]
}

@test "doctor --crash-test: where none arrives, why, and what to do" {
  sed -i 's/working_dir: .*/working_dir: \/tmp/' "$folder/compose.yaml"
  run -1 --separate-stderr seatrial doctor --crash-test -m h2 -m h3
  for n in 2 3; do
    [[ $output == *"h$n "*"crash test "*"failed "*"replica: no core dump arrived in '/cores'; it is lost: it would appear in '/tmp', which is read-only"* ]]
    [[ $output == *"h$n, crash test: replica: say \`working_dir: /cores\`, or \`sysctl "* ]]
  done
  sed -i 's/read_only: .*/security_opt: [no-new-privileges]/; s/user: .*/user: root/' "$folder/compose.yaml"
  run -1 --separate-stderr seatrial doctor --crash-test -m h1
  [[ $output == *"h1 "*"crash test "*"failed "*"replica: no core dump arrived in '/cores', but one appeared as '/tmp/core"* ]]
  [ -z "$(of_crash_tests)" ]
}

@test "a replica on another host that crashes: core dump, binary and backtrace come home" {
  command -v gdb >/dev/null || lacking "there is no gdb"
  run -1 seatrial run --no-load
  [[ $(summary '.reasons[0]') == "$project-replica-3 on h3 was ended by signal 4 "*", in give_up at "*"crash.c:"*"; core dump in 'h3/$project-replica-3/cores/core"* ]]
  cmp "$results/h3/$project-replica-3/binaries/bin/crash" "$SEATRIAL_BIN/rig_crash"
  grep -q 'give_up (witness=1) at .*crash.c:' "$results/h3/$project-replica-3/cores/"*.backtrace.txt
  nothing_is_left
}
