# The private engine starts, gets killed in every way, and leaves nothing.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  need_root
  cd "$SEATRIAL_SOURCE" || return
  unset DOCKER_HOST
  root=$BATS_TEST_TMPDIR/engine
  name=seatrial-$(printf %s "$root" | sha256sum | cut -c1-8)
}

teardown() {
  [ -z "${child:-}" ] || kill -TERM "$child" 2>/dev/null || true # a test that has failed half way
  script/engine stop --root "$root"
}

run_engine() {
  script/engine run --root "$root" -- "$@" 3>&-
}

# The living processes whose command line matches; never this shell and its children, whose lines name the engine too.
processes() {
  local pid
  for pid in $(pgrep --full "$1"); do
    grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null || echo "$pid"
  done
}

a_process() {
  [ -n "$(processes "$1")" ]
}

no_process() {
  [ -z "$(processes "$1")" ]
}

engine_processes="^(dockerd|containerd|[^ ]*containerd-shim[^ ]*) .*"

# Processes, mounts, cgroups and runtime files of the engine.
nothing_is_left() {
  no_process "$engine_processes$name"
  no_process "^unshare .*$root"
  run ! grep -F "$name" /proc/self/mounts
  [ -z "$(find /sys/fs/cgroup -name "$name" 2>/dev/null)" ]
  [ ! -e "/run/$name" ]
}

start_sleeper() {
  tar -C / -c --dereference bin/busybox | docker import - sleeper:1 >/dev/null
  docker run --detach --network none --name sleeper sleeper:1 /bin/busybox sleep 3600
}

@test "a command runs with an engine, its exit status is handed back, and nothing is left" {
  run -7 run_engine bash -c 'docker version --format "{{.Server.APIVersion}}" >&2 && exit 7'
  nothing_is_left
}

@test "start prints DOCKER_HOST, a second start finds the same engine, and stop ends its containers" {
  export "$(script/engine start --root "$root" 3>&-)"
  [ "DOCKER_HOST=$DOCKER_HOST" = "$(script/engine start --root "$root" 3>&-)" ]
  [ "DOCKER_HOST=$DOCKER_HOST" = "$(script/engine status --root "$root")" ]
  start_sleeper
  script/engine stop --root "$root"
  run -1 script/engine status --root "$root"
  nothing_is_left
}

@test "killing any of dockerd, its init and its parent ends all containers, and it starts again" {
  local victim
  export "$(script/engine start --root "$root" 3>&-)"
  for victim in "dockerd .*$name" "bash .*inside --root $root" "unshare .*$root"; do
    start_sleeper
    kill -KILL "$(processes "^$victim")"
    eventually no_process "$engine_processes$name"
    script/engine start --root "$root" 3>&-
    [ "$(docker inspect --format '{{.State.Running}}' sleeper)" = false ]
    docker rm sleeper
  done
}

@test "SIGTERM reaches the command first; the engine ends after it" {
  script/engine run --root "$root" -- bash -c "trap 'touch $BATS_TEST_TMPDIR/got; exit 9' TERM; touch $BATS_TEST_TMPDIR/ready; while :; do sleep 0.05; done" 3>&- &
  child=$!
  eventually test -e "$BATS_TEST_TMPDIR/ready"
  kill -TERM "$child"
  wait "$child" && status=0 || status=$?
  [ "$status" = 9 ]
  [ -e "$BATS_TEST_TMPDIR/got" ]
  nothing_is_left
}

@test "when the script itself is killed, command and engine end too" {
  script/engine run --root "$root" -- sleep 3600.05 3>&- &
  child=$!
  eventually a_process '^sleep 3600.05$'
  kill -KILL "$child"
  eventually no_process "$engine_processes$name"
  eventually no_process '^sleep 3600.05$'
}

@test "two commands on one engine folder: the second is refused" {
  script/engine run --root "$root" -- bash -c "touch $BATS_TEST_TMPDIR/ready
    while [ ! -e $BATS_TEST_TMPDIR/go ]; do sleep 0.05; done" 3>&- &
  child=$!
  eventually test -e "$BATS_TEST_TMPDIR/ready"
  run -1 run_engine true
  [[ $output == *"another script/engine works on"* ]]
  touch "$BATS_TEST_TMPDIR/go"
  wait "$child"
}

@test "an engine that does not come up is reported with the end of its log" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\necho no room for an engine here >&2\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/dockerd"
  chmod +x "$BATS_TEST_TMPDIR/bin/dockerd"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH run -1 run_engine true
  [[ $output == *"no room for an engine here"* ]]
  nothing_is_left
}

@test "a machine without mounted cgroups runs containers all the same" {
  unshare --mount bash -c "umount --recursive /sys/fs/cgroup && exec script/engine run --root $root -- sh -c \
    'tar -C / -c --dereference bin/busybox | docker import - one:1 && docker run --rm --network none one:1 /bin/busybox true'" 3>&-
  nothing_is_left
}
