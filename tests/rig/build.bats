# Images by digest, on engines of three versions: built, locked, found again, and refused where they moved.

# bats sets `output` and `stderr` in a function's caller; other variables come from the environment.
# shellcheck disable=SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load ../functions
load hosts

setup_file() {
  need_part engine-26.1
  local engines
  engines=$(three_engines)
  need_rig "$(tr , '\n' <<<"$engines" | wc -l)" --engine "$engines" --registry
}

teardown_file() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
}

setup() {
  unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH COMPOSE_FILE COMPOSE_PROJECT_NAME
  export DOCKER_CONFIG=$BATS_TEST_TMPDIR/config XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
  export HOME=$BATS_TEST_TMPDIR
  cd "$BATS_TEST_TMPDIR" || return
  mkdir system
  cp /bin/busybox system/
  printf 'FROM scratch\nCOPY busybox /bin/busybox\n' >system/Dockerfile
  cat >compose.yaml <<'EOF'
name: pinned
services:
  load:
    image: pinned-load:1
    build: {context: system, args: {MODE: fast}}
    command: [/bin/busybox, "true"]
    network_mode: none
    x-seatrial: {role: loader}
  rest:
    image: pinned-load:1
    command: [/bin/busybox, sleep, "600"]
    stop_signal: SIGKILL
    network_mode: none
    x-seatrial: {role: replica}
EOF
  printf 'general: {loader_timeout_sec: 60}\nlocal: {perf_test_root: results}\n' >deployment.yaml
  lock=$BATS_TEST_TMPDIR/seatrial.lock
}

seatrial() {
  "$SEATRIAL_BIN/seatrial" --progress plain "$@" 3>&-
}

use_engine() {
  [ "$1" -le "$RIG_HOSTS" ] || skip "there is no engine 28.5"
  local socket=RIG_SOCKET_$1
  export DOCKER_HOST=unix://${!socket}
  docker image rm --force pinned-load:1 >/dev/null 2>&1 || true
}

locked() {
  jq -r ".images.\"pinned-load:1\".$1" "$lock"
}

built_locked_and_refused() {
  use_engine "$1"
  run -0 --separate-stderr seatrial images build
  local first
  first=$(docker image inspect --format '{{.Id}}' pinned-load:1)
  [ "$output" = "pinned-load:1 $first" ]
  [ "$(locked id)" = "$first" ]
  [ "$(locked build.args.MODE)" = fast ]
  run -0 --separate-stderr seatrial images verify
  [ "$output" = "pinned-load:1 $first good" ]

  # The frozen run builds nothing, and runs what is locked.
  echo "broken" >system/Dockerfile
  run -0 seatrial run --frozen
  [ "$(jq -r '.containers[0].image_id' results/latest/run.json)" = "$first" ]
  [ "$(locked id)" = "$first" ]

  # A tag that has moved.
  printf 'FROM scratch\nCOPY busybox /bin/busybox\nLABEL other=1\n' >system/Dockerfile
  cp "$lock" before
  run -0 --separate-stderr seatrial images build
  local second
  second=$(docker image inspect --format '{{.Id}}' pinned-load:1)
  [ "$second" != "$first" ]
  cp before "$lock"
  run -1 seatrial images verify
  [[ $output == *"'pinned-load:1' is not the image that is locked: it is $second, seatrial.lock has $first"* ]]
  run -1 seatrial run --frozen
  [[ $output == *"'pinned-load:1' is not the image that is locked: it is $second, seatrial.lock has $first"* ]]

  [ "$1" = 1 ] || return 0 # the rest is of ours alone
  # Without a build the locked image is what is meant; with one, what becomes of it is locked.
  run -0 seatrial run --no-build
  [ "$(jq -r '.containers[0].image_id' results/latest/run.json)" = "$first" ]
  run -0 seatrial run
  [ "$(jq -r '.containers[0].image_id' results/latest/run.json)" = "$second" ]
  [ "$(locked id)" = "$second" ]
  run -0 --separate-stderr seatrial images lock
  [ "$output" = "pinned-load:1 $second" ]
}

@test "Docker 20.10: what is built is locked, runs frozen, and is refused when its tag moved" {
  built_locked_and_refused 1
}

@test "Docker 26.1: the same" {
  built_locked_and_refused 2
}

@test "Docker 28.5: the same" {
  built_locked_and_refused 3
}

@test "without a lock, or with one that lacks an image, a frozen run does not begin" {
  use_engine 1
  run -3 seatrial run --frozen
  [[ $output == *"--frozen: there is no"*"seatrial.lock"* ]]
  echo '{"version": 1, "images": {}}' >"$lock"
  run -3 seatrial run --frozen
  [[ $output == *"has no image 'pinned-load:1', of service 'load'"* ]]
  echo '{"version": 1, "images": {"x": 3}}' >"$lock"
  run -3 seatrial run
  [[ $output == *"seatrial.lock': image 'x'"* ]]
  [ ! -e results ]
}

# A tree of which the Dockerfile copies a part.
make_tree() {
  mkdir -p system/part system/rest
  echo one >system/part/a
  head -c 3000000 /dev/zero >system/rest/large
  cat >system/Dockerfile <<'EOF'
FROM scratch AS base
COPY busybox /bin/busybox
FROM base
ARG MODE
COPY part /part
EOF
  find system -exec touch -d '1 hour ago' {} +
}

# What a folder looked like is kept once its files are two seconds old.
is_remembered() {
  seatrial images build >/dev/null 2>&1 && [ -e "$XDG_CACHE_HOME/seatrial/contexts" ]
}

# A context is sent when something of it is new, and only what is reached of it.
sent_once() {
  use_engine "$1"
  rm -f "$lock"
  make_tree
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"built sha256:"*"context of 3 files"* ]]
  local first=$output
  [ "$(locked build.key)" != null ]
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"built already: "*"nothing was sent"* ]]
  [ "$output" = "$first" ]

  # Its name was lost, then the image, then what is known of the folder: each is made good.
  docker tag pinned-load:1 other:1
  docker rmi pinned-load:1
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"nothing was sent"* ]]
  [ "$(docker image inspect --format '{{.Id}}' pinned-load:1)" = "${first#* }" ]
  docker rmi other:1 pinned-load:1
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"context of 3 files"* ]]
  eventually is_remembered
  rm -r "$XDG_CACHE_HOME"
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"nothing was sent"* ]]

  # What is not reached changes nothing, what is reached does, and so does an argument.
  echo more >system/rest/more
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"nothing was sent"* ]]
  echo two >system/part/a
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"built sha256:"* ]]
  sed -i 's/MODE: fast/MODE: slow/' compose.yaml
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"context of 3 files"* ]]
  sed -i 's/MODE: slow/MODE: fast/' compose.yaml
}

@test "Docker 20.10: nothing is sent that is built already, and only what is reached" {
  sent_once 1
}

@test "Docker 26.1: the same by the classic builder" {
  DOCKER_BUILDKIT=0 sent_once 2
}

@test "Docker 28.5: the same by BuildKit" {
  sent_once 3
}

# The layers' digests.
layers() {
  docker image inspect --format '{{join .RootFS.Layers " "}}' pinned-load:1
}

@test "the same tree in another folder is the same context, and makes the same layers again" {
  use_engine 3
  mkdir -p system/root/bin
  mv system/busybox system/root/bin
  printf 'FROM scratch\nCOPY root /\n' >system/Dockerfile
  seatrial images build
  local context first
  context=$(locked build.context)
  first=$(layers)
  mkdir elsewhere
  (umask 077 && cp -r system compose.yaml deployment.yaml elsewhere)
  cd elsewhere
  lock=$PWD/seatrial.lock
  docker rmi --force pinned-load:1
  docker builder prune --all --force
  seatrial images build
  [ "$(locked build.context)" = "$context" ]
  [ "$(layers)" = "$first" ]
}

@test "the images of replica and loader, built again from another folder, have the same layers" {
  [ -d "$SEATRIAL_SOURCE/build/stage/loader" ] || lacking "nothing is staged (cmake --build build/release --target stage)"
  use_engine 3
  local name where
  for name in replica loader; do
    for where in one two; do
      mkdir -p "$where"
      (umask 077 && cp -r "$SEATRIAL_SOURCE/build/stage/$name" "$where/")
      printf 'services: {a: {image: "pinned-load:1", build: %s/%s, x-seatrial: {role: replica}}}\n' "$where" "$name" >compose.yaml
      docker rmi --force pinned-load:1
      docker builder prune --all --force >/dev/null
      run -0 --separate-stderr seatrial images build "a"
      [[ $stderr == *"context of"* ]]
      layers >"$where/layers"
      locked build.context >>"$where/layers"
    done
    diff one/layers two/layers
    run ! grep -rlaF "$SEATRIAL_SOURCE" "one/$name/root/usr/bin"
  done
}

@test "BuildKit: caches are mounted, here-documents are read, its output comes through, and why it failed" {
  use_engine 1
  cat >system/Dockerfile <<'EOF'
FROM scratch
COPY busybox /bin/busybox
RUN --mount=type=cache,target=/cache ["/bin/busybox", "sh", "-c", "echo hello from $MODE; echo >>/cache/x"]
EOF
  sed -i 's/args: {MODE: fast}/network: host/' compose.yaml
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"hello from"* ]]
  use_engine 3
  printf 'COPY <<END /end\nFROM nothing\nEND\n' >>system/Dockerfile
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"COPY <<END /end"* ]]
  printf 'RUN ["/bin/busybox", "sh", "-c", "echo all is lost; exit 7"]\n' >>system/Dockerfile
  run -1 --separate-stderr seatrial images build
  [[ $stderr == *"error: image 'pinned-load:1', on this machine's engine: "*"exit code: 7"*"all is lost"* ]]
}

@test "a file that looks like a secret is refused where it would be sent" {
  use_engine 1
  make_tree
  touch system/rest/id_rsa system/part/id_ed25519
  run -1 seatrial images build
  [[ $output == *"'part/id_ed25519' looks like a secret"*"context_allow"* ]]
  sed -i "s|x-seatrial: {role: loader}|x-seatrial: {role: loader, context_allow: ['part/id_*']}|" compose.yaml
  run -0 seatrial images build
}

@test "a base image is pulled, locked by its digest, and its tag must not move" {
  use_engine 1
  DOCKER_BUILDKIT=0 docker build --quiet --tag "$RIG_REGISTRY/base:1" system
  docker push --quiet "$RIG_REGISTRY/base:1"
  docker rmi "$RIG_REGISTRY/base:1"
  printf 'FROM %s/base:1\nCOPY Dockerfile /\n' "$RIG_REGISTRY" >system/Dockerfile
  run -0 seatrial images build
  [[ $(jq -r ".images.\"pinned-load:1\".build.bases.\"$RIG_REGISTRY/base:1\".digest" "$lock") == sha256:* ]]
  # So it is for the platform that it is made for, when that is asked for.
  sed -i "s|context: system|platforms: [$(docker version --format '{{.Server.Os}}/{{.Server.Arch}}')], &|" compose.yaml
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"context of 1 files"* ]]
  run -0 --separate-stderr seatrial images build
  [[ $stderr == *"nothing was sent"* ]]
  [[ $(jq -r ".images.\"pinned-load:1\".build.bases.\"$RIG_REGISTRY/base:1\".digest" "$lock") == sha256:* ]]
  local first
  first=$(docker image inspect --format '{{.Id}}' "$RIG_REGISTRY/base:1")
  printf 'FROM scratch\nCOPY busybox /x\n' | DOCKER_BUILDKIT=0 docker build --quiet --tag "$RIG_REGISTRY/base:1" --file - system
  run -1 seatrial images verify
  [[ $output == *"base of 'pinned-load:1': '$RIG_REGISTRY/base:1' is not the image that is locked: it is sha256:"*"seatrial.lock has $first"* ]]
  # With ONBUILD the base decides what is copied.
  printf 'FROM scratch\nONBUILD COPY busybox /x\n' | DOCKER_BUILDKIT=0 docker build --quiet --tag "$RIG_REGISTRY/base:1" --file - system
  run -0 seatrial images build
}
