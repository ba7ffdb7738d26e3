# The demo's trial, with the real replica and loader: what `script/demo` runs after it has built.

bats_require_minimum_version 1.5.0
load ../functions

# Variables come from the environment or are set in setup.
# shellcheck disable=SC2154
setup() {
  need_engine
  cd "$BATS_TEST_TMPDIR" || return
  [ -d "$SEATRIAL_SOURCE/build/stage/loader" ] ||
    lacking "nothing is staged (cmake --build build/release --target stage)"
  folder=$BATS_TEST_TMPDIR
  cp "$SEATRIAL_SOURCE"/examples/demo/* "$folder"
  sed -i "s|\.\./\.\./build|$SEATRIAL_SOURCE/build|; s|^name: demo|name: rig|" "$folder"/*.yaml
  sed -i "s|perf_test_root: .*|perf_test_root: results|; s|-b 2000|-b 300|" "$folder/deployment.yaml"
  export COMPOSE_PROJECT_NAME=rigdemo
  results=$folder/results/latest
}

teardown() {
  docker ps --all --quiet --filter label=com.docker.compose.project=rigdemo | xargs --no-run-if-empty docker rm --force
}

seatrial() {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain "$@" 3>&-
}

nothing_is_left() {
  [ -z "$(docker ps --all --quiet --filter label=com.docker.compose.project=rigdemo)" ]
}

agreed() {
  [ "$(jq -r .verdict "$results/summary.json")" = good ]
  [ "$(jq -r .agreement.replicas "$results/summary.json")" = 4 ]
  [ "$(jq -r .agreement.height "$results/summary.json")" = "$1" ]
  [ "$(jq -r .agreement.acknowledged_in_chain "$results/summary.json")" = "$1" ]
  [ "$(jq -r .load.requests.acknowledged "$results/summary.json")" = "$1" ]
}

@test "four replicas on RocksDB and a loader: every acknowledged request is in all chains once" {
  run -0 seatrial run --copy-data
  agreed 300
  grep -q rocksdb "$results/local/rigdemo-replica-1/output.log"
  [ -s "$results/local/rigdemo-loader-1/requests.bin" ]
  [ "$(find "$results"/local/rigdemo-replica-*/custom -name 1.out | wc -l)" = 4 ]
  [ -n "$(find "$results/local/rigdemo-replica-3/data" -name '*.log' -o -name '*.sst')" ]
  nothing_is_left
}

@test "the same in memory" {
  run -0 seatrial run --in-memory --no-merkle
  agreed 300
  grep -q memory "$results/local/rigdemo-replica-1/output.log"
  nothing_is_left
}

@test "a loader by hand, twice, against replicas that stay" {
  run -0 seatrial up
  run -0 seatrial load -- -b 100 -c 3
  run -0 seatrial load -- -b 50 -d 64 -k 0
  run -0 --separate-stderr seatrial down
  [[ $output == *"150 acknowledged and in the chain, 0 more than once"* ]]
  nothing_is_left
}

@test "a port in use: the replica says which, and the trial ends" {
  "$SEATRIAL_BIN/replica" --insecure --cluster "$BATS_TEST_DIRNAME/one.yaml" --index 0 --store memory --out "$folder" >holder 2>&1 3>&- &
  holder=$!
  eventually "$SEATRIAL_BIN/replica" --insecure --cluster "$BATS_TEST_DIRNAME/one.yaml" --index 0 --health
  run -1 seatrial run
  kill "$holder"
  wait "$holder"
  [[ $output == *"127.0.0.1:7101"*"in use"* ]]
  [[ $output == *"rigdemo-replica-2"* ]]
  nothing_is_left
}
