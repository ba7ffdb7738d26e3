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

# agreed REQUESTS [REPLICAS]
agreed() {
  [ "$(jq -r .verdict "$results/summary.json")" = good ]
  [ "$(jq -r .agreement.replicas "$results/summary.json")" = "${2:-4}" ]
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

# With the two trials above, each two of these meet: 4 or 7 replicas, RocksDB or memory, with or without the tree, with or without -p.
@test "seven replicas, and requests that are executed ahead of their order" {
  sed -i 's|loader_cli: .*|loader_cli: "-b 300 -c 15 -p 1"|' "$folder/deployment.yaml"
  run -0 seatrial run --in-memory
  agreed 300
  grep -q "of 300 requests that were ordered as executed ahead, 0 were in conflict" "$results/local/rigdemo-replica-1/output.log"
  sed -i 's|replicas: 4|replicas: 7|' "$folder"/*.yaml
  run -0 seatrial run --no-merkle
  agreed 300 7
  grep -q "of 300 requests that were ordered as executed ahead, 0 were in conflict" "$results/local/rigdemo-replica-7/output.log"
  sed -i 's| -p 1"|"|' "$folder/deployment.yaml"
  run -0 seatrial run --in-memory
  agreed 300 7
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

# What power does to it: no farewell. (Ids that the engine tells are those of its own PID namespace.)
kill_replica() {
  local id
  id=$(docker inspect --format '{{.Id}}' "rigdemo-replica-$1")
  kill -KILL "$(grep -lsF "$id" /proc/[0-9]*/cgroup | cut -d/ -f3 | head -n 1)"
}

# status_is N FILTER: whether that holds for what a replica says of itself.
status_is() {
  [ "$(docker exec "rigdemo-replica-$1" /usr/bin/replica --status 2>/dev/null | jq "$2")" = true ]
}

@test "a replica, then the primary is killed in mid-load: nothing acknowledged is lost, one view change at most, both catch up" {
  need_root
  sed -i "s|  replica:|&\n    restart: on-failure|" "$folder/compose.yaml"
  run -0 seatrial up
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain load -- --rate 50 --time 10s --clients 20 -d 64 -k 0 >out 2>&1 3>&- &
  load=$!
  eventually status_is 2 '.height > 50'
  kill_replica 3
  eventually status_is 2 '.height > 150'
  kill_replica 1
  wait "$load" || true # open loops that a view change makes late are what they are
  cat out
  for n in 1 2 3 4; do
    eventually status_is $n '.healthy and .height == 500 and .view <= 1'
  done
  run -1 seatrial down
  [[ $output == *"because   rigdemo-replica-1 on local ended by itself, and its restart policy started it again (1 times)"* ]]
  [ "$(jq -r .agreement.ok "$results/summary.json")" = true ]
  [ "$(jq -r .agreement.acknowledged_in_chain "$results/summary.json")" = 500 ]
  nothing_is_left
}
