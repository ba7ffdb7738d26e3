# The scripts in examples/scripts, beside the real replica under load: with their tools, and without.

# Variables come from functions.bash.
# shellcheck disable=SC2016,SC2154
bats_require_minimum_version 1.5.0
load ../functions

scripts=(flame pidstat sockets rocksdb backtraces)

setup() {
  need_engine
  cd "$BATS_TEST_TMPDIR" || return
  folder=$BATS_TEST_TMPDIR
  project=rigscripts
  results=$folder/results/latest
  export COMPOSE_PROJECT_NAME=$project
}

teardown() {
  docker ps --all --quiet --filter "label=com.docker.compose.project=$project" | xargs --no-run-if-empty docker rm --force
}

seatrial() {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain "$@" 3>&-
}

of() {
  echo "$results/local/$project-replica-1/custom/$1/1.out"
}

need_tools() {
  local tool
  for tool in perf pidstat ss gdb nsenter xmllint; do
    command -v "$tool" >/dev/null || lacking "there is no $tool"
  done
}

write_trial() {
  [ -d "$SEATRIAL_SOURCE/build/stage/loader" ] ||
    lacking "nothing is staged (cmake --build build/release --target stage)"
  cp "$SEATRIAL_SOURCE"/examples/demo/* "$SEATRIAL_SOURCE"/examples/scripts/*.sh "$folder"
  sed -i "s|\.\./\.\./build|$SEATRIAL_SOURCE/build|" compose.yaml
  cat >deployment.yaml <<'END'
local: {perf_test_root: results}
general: {num_of_replicas: 4, loader_cli: "-b 1000000 -c 4"}
runtime:
  commands:
    - {name: flame, script: flame.sh, command: ./flame.sh CONTAINER_ID 2 199, when: demand}
    - {name: folded, script: flame.sh, command: ./flame.sh CONTAINER_ID 2 199 folded, when: demand}
    - {name: pidstat, script: pidstat.sh, command: ./pidstat.sh CONTAINER_ID 2, when: demand}
    - {name: sockets, script: sockets.sh, command: ./sockets.sh CONTAINER_ID, when: demand}
    - {name: rocksdb, script: rocksdb.sh, command: ./rocksdb.sh CONTAINER_ID, when: demand}
    - {name: backtraces, script: backtraces.sh, command: ./backtraces.sh CONTAINER_ID, when: demand}
END
}

@test "each shows what it should of a replica under load" {
  need_root
  need_tools
  write_trial
  run -0 seatrial up
  "$SEATRIAL_BIN/seatrial" -f compose.yaml --progress plain load >load.out 2>&1 3>&- &
  local load=$! name
  eventually grep -q 'ok start .*loader' load.out
  for name in "${scripts[@]}" folded; do
    run -0 seatrial custom "$name" "$project-replica-1"
  done
  kill -INT $load
  wait $load || true
  xmllint --noout "$(of flame)"
  grep -q '<title>.*: [0-9]* samples, [0-9.]* %</title>' "$(of flame)"
  run ! grep -qvE " [0-9]+$" "$(of folded)"
  grep -q 'Command' "$(of pidstat)"
  [ "$(grep -c ' replica$' "$(of pidstat)")" -ge 2 ]
  grep -q 'LISTEN.*:7100 .*"replica"' "$(of sockets)"
  grep -q 'ESTAB.*rtt:' "$(of sockets)"
  grep -q '^database /data' "$(of rocksdb)"
  grep -qE '^  all +[1-9][0-9]* bytes' "$(of rocksdb)"
  grep -q 'Thread 1 ' "$(of backtraces)"
  grep -q '^#[0-9].* in start_thread ' "$(of backtraces)" # its own names are stripped
  run -0 seatrial down
}

# With nothing but what these words need, and none of the tools.
bare() {
  mkdir -p bin
  for word in sh id grep cut paste head awk cat; do ln -sf "$(command -v $word)" bin/$word; done
  PATH=$PWD/bin /bin/sh "$SEATRIAL_SOURCE/examples/scripts/$1.sh" "${@:2}"
}

@test "a tool that is missing is said with its package" {
  local pairs=(flame:linux-perf pidstat:sysstat sockets:iproute2 backtraces:gdb) pair
  for pair in "${pairs[@]}"; do
    run -127 bare "${pair%%:*}" 0123456789ab
    [[ $output == *"is not installed on this host (Debian: apt-get install ${pair##*:})"* ]]
  done
}

@test "a container that is not there, and a wrong call, are said" {
  local name
  need_tools
  for name in "${scripts[@]}"; do
    run -2 "$SEATRIAL_SOURCE/examples/scripts/$name.sh"
    [[ $output == *"usage: $name.sh CONTAINER_ID"* ]]
    run -1 "$SEATRIAL_SOURCE/examples/scripts/$name.sh" 0123456789abcdef0123456789abcdef
    [[ $output == *"$name.sh: no process of container 0123456789abcdef0123456789abcdef is to be seen on this host"* ]]
  done
}
