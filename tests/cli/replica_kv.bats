# `replica kv` as a user types it, against four replicas that run with --handler kv.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  port=$((10000 + RANDOM % 20000)) # below those that connections go out from
  {
    printf 'run: "3f9c2a1b"\nproject: demo\ncontainers:\n'
    for i in 0 1 2 3; do
      echo "  - {name: demo-replica-$i, service: replica, role: replica, index: $i, host: local, address: 127.0.0.1, ports: {replica: $((port + i))}}"
    done
  } >cluster.yaml
  "$SEATRIAL_BIN/replica" keygen --replicas 4 --loaders 1 --out keys
  pids=()
}

teardown() {
  for pid in "${pids[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  wait
}

# The options of all of them.
start_all() {
  for i in 0 1 2 3; do
    mkdir "out$i"
    "$SEATRIAL_BIN/replica" --cluster cluster.yaml --cluster-keys keys --index $i --data "data$i" --out "out$i" "$@" >"log$i" 2>&1 3>&- &
    pids[i]=$!
  done
  for i in 0 1 2 3; do
    eventually "$SEATRIAL_BIN/replica" --cluster cluster.yaml --cluster-keys keys --index $i --health
  done
}

stop_all() {
  kill "${pids[@]}"
  for pid in "${pids[@]}"; do
    wait "$pid"
  done
  pids=()
}

kv() {
  "$SEATRIAL_BIN/replica" kv --cluster cluster.yaml --cluster-keys keys "$@" 3>&-
}

to_full_disk() {
  "$SEATRIAL_BIN/replica" "$@" >/dev/full 3>&-
}

# What cannot be written is an error.
expect_loss() {
  run -1 --separate-stderr to_full_disk "$@"
  # shellcheck disable=SC2154 # run sets it
  [[ $stderr == "replica"*": write the answer to the standard output: No space left on device" ]]
}

expect_use() {
  run -1 --separate-stderr kv get ship
  [ "$stderr" = "replica kv: there is no such key" ]
  [ "$(kv put ship 'Ever Given')" = "block 1" ]
  [ "$(kv get ship)" = "Ever Given" ]
  [ "$(kv put ship '')" = "block 2" ]
  [ "$(kv get hex:73686970 | od -An -c)" = '  \n' ]
  [ "$(kv delete ship)" = "block 3" ]
  run -1 kv get ship
  head -c 700000 /dev/urandom >large
  [ "$(kv put hex:00ff - <large)" = "block 4" ]
  kv get hex:00ff | head -c 700000 | cmp - large
  expect_loss kv --cluster cluster.yaml --cluster-keys keys get hex:00ff
  expect_loss --cluster cluster.yaml --cluster-keys keys --index 0 --status
}

@test "what is put is got until it is deleted, with rocksdb" {
  echo 'handler: kv' >replica.yaml
  start_all --config replica.yaml
  expect_use
  stop_all
  [ "$(cat out?/state.json | sort -u | wc -l)" = 1 ]
  grep -q '"height": 4' out0/state.json
  expect_loss inspect --data data2
  [ "$("$SEATRIAL_BIN/replica" inspect --data data2 --verify --json | jq -r .verified.result)" = good ]
  [ "$("$SEATRIAL_BIN/replica" inspect --data data2 --key ship --json | jq .key.present)" = false ]
}

@test "what is put is got until it is deleted, in memory" {
  start_all --handler kv --store memory
  expect_use
  stop_all
  [ "$(cat out?/state.json | sort -u | wc -l)" = 1 ]
}

@test "several operations are done in their order, until one fails" {
  start_all --handler kv --store memory
  [ "$(kv put a 1 put b - get a get b delete a <<<two | tr '\n' /)" = "block 1/block 2/1/two//block 3/" ]
  run -1 --separate-stderr kv get b get a put c 3
  [ "$output" = two ]
  [ "$stderr" = "replica kv: there is no such key" ]
  run -1 kv get c
}

@test "one of four may be gone; when two do not answer, nothing is believed" {
  start_all --handler kv --store memory
  kv put a 1
  kill -KILL "${pids[3]}"
  [ "$(kv get a)" = 1 ]
  kv put a 2
  [ "$(kv get a)" = 2 ]
  kill -STOP "${pids[2]}"
  run -1 --separate-stderr kv --timeout 3 get a
  [[ $stderr == *"no answer that "*" of 4 replicas give alike: timed out"* ]]
  kill -CONT "${pids[2]}"
  [ "$(kv get a)" = 2 ]
  # What was asked for is in a block, or was given up: its client is another one each time.
  [[ "$(kv put a 3)" == "block "* ]]
}

@test "a primary that goes costs time, not answers" {
  start_all --handler kv --store memory
  kv put a 1
  kill -KILL "${pids[0]}"
  kv put a 2
  [ "$(kv get a)" = 2 ]
  grep -q 'replica 1 is the primary of view 1' log1
}

@test "a handler refuses what is meant for another" {
  start_all --handler kv --store memory
  run -1 "$SEATRIAL_BIN/loader" --cluster cluster.yaml --cluster-keys keys --out out -b 10 -c 1 -d 100 3>&-
  [[ $output == *"the handler kv executes no write sets of chosen sizes"* ]]
  stop_all
  grep -q '"height": 0' out0/state.json
  rm -r out?
  start_all --store memory
  run -1 kv get a
  [[ $output == *"the replicas refuse it: a read-only request needs a key space"* ]]
}

@test "wrong words are named" {
  run -2 kv
  [[ $output == *"say 'get KEY', 'put KEY VALUE' or 'delete KEY'"* ]]
  run -2 kv put a
  run -2 kv get a b
  run -2 kv get ''
  [[ $output == *"the key is empty"* ]]
  run -2 kv get hex:zz
  [[ $output == *"'hex:zz' is not in hexadecimal digits"* ]]
  run -2 kv put a b c
  [[ $output == *"'c' is one word too many"* ]]
  run -2 kv put a - put b - </dev/null
  [[ $output == *"the standard input is one value, not two"* ]]
  run -2 kv get a put b
  run -1 kv put a - <. # a value that cannot be read is not an empty one
  [[ $output == *"read the value from the standard input: Is a directory"* ]]
  run -2 kv get "$(head -c 5000 /dev/zero | tr '\0' k)"
  run -3 "$SEATRIAL_BIN/replica" kv --cluster cluster.yaml --cluster-keys keys --loader 7 get a
  [[ $output == *"the keys of loader 7"* ]]
}
