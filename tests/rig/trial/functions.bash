# shellcheck shell=bash
# A trial of a small scripted system on the real engine: `load functions` below `load ../../functions`.

# Makes a project of its own in the test's folder: two replicas and a loader.
prepare_trial() {
  need_engine
  cd "$BATS_TEST_TMPDIR" || return
  project=t$(printf %s "$BATS_TEST_TMPDIR" | sha256sum | cut -c1-8)
  folder=$BATS_TEST_TMPDIR/trial
  cp -r "$SEATRIAL_SOURCE/tests/rig/trial/system" "$folder"
  cp /bin/busybox "$folder/busybox"
  cp "$SEATRIAL_BIN/rig_crash" "$folder/crash"
  export COMPOSE_PROJECT_NAME=$project
  export ODD='' ODD_ONE='' LOAD_SECONDS='' LOAD_EXIT='' ACKNOWLEDGED=''
  cat >"$folder/compose.yaml" <<EOF
services:
  replica:
    image: $project
    build: .
    command: [/bin/replica.sh]
    environment: {ODD: "$ODD", ODD_ONE: "\${ODD_ONE}"}
    deploy: {replicas: 2}
    network_mode: host
    healthcheck: {test: [CMD, /bin/busybox, test, -e, /seatrial/out/ready]}
    x-seatrial: {role: replica, per_host: 4, cores: /cores}
  loader:
    image: $project
    build: .
    command: [/bin/loader.sh]
    environment: [LOAD_SECONDS, LOAD_EXIT, ACKNOWLEDGED]
    network_mode: host
    x-seatrial: {role: loader}
EOF
  sed -i "s/ODD: \"\"/ODD: \"\${ODD}\"/" "$folder/compose.yaml"
  cat >"$folder/deployment.yaml" <<EOF
general: {num_of_replicas: 2, loader_cli: "-b 100", loader_timeout_sec: 60}
local: {perf_test_root: results}
EOF
  results=$folder/results/latest
}

# scale N: as many replicas instead.
scale() {
  sed -i "s/{replicas: 2}/{replicas: $1}/" "$folder/compose.yaml"
  sed -i "s/num_of_replicas: 2,/num_of_replicas: $1,/" "$folder/deployment.yaml"
}

seatrial() {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain "$@" 3>&-
}

# Whatever of this project is on the engine.
of_project() {
  docker ps --all --quiet --filter "label=com.docker.compose.project=$project"
  docker network ls --quiet --filter "label=com.docker.compose.project=$project"
}

nothing_is_left() {
  [ -z "$(of_project)" ]
}

# What the engine keeps after a test that went wrong. The image's layers stay, for the next test of the file.
sweep_trial() {
  [ -n "${project:-}" ] || return 0
  of_project | xargs --no-run-if-empty docker rm --force >/dev/null
  docker tag "$project" "$kept_image" 2>/dev/null || true
  docker rmi --force "$project" >/dev/null 2>&1 || true
}

kept_image=seatrial-test-kept:${BATS_RUN_TMPDIR##*/}

remove_kept_image() {
  [ -z "${SEATRIAL_TEST_DOCKER_HOST:-}" ] || DOCKER_HOST=$SEATRIAL_TEST_DOCKER_HOST docker rmi --force "$kept_image" >/dev/null 2>&1 || true
}

teardown_file() {
  remove_kept_image
}

# With a load that does not end; the process is $!.
start_in_background() {
  local out=$1
  shift
  LOAD_SECONDS=3600 "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain "$@" >"$out" 2>&1 3>&- &
}

summary() {
  jq --raw-output "$1" "$results/summary.json"
}
