# Loaders that share a load, started by hand as docs/LOADER.md says, against a replica of one.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  port=$((10000 + RANDOM % 20000)) # below those that connections go out from
  cat >cluster.yaml <<YAML
run: "3f9c2a1b"
project: demo
containers:
  - {name: demo-replica-1, service: replica, role: replica, index: 0, host: local, address: 127.0.0.1, ports: {replica: $port}}
YAML
  "$SEATRIAL_BIN/replica" keygen --replicas 1 --loaders 2 --out keys
  "$SEATRIAL_BIN/replica" --cluster cluster.yaml --cluster-keys keys --index 0 --store memory --out replica >log 2>&1 3>&- &
  replica=$!
  eventually "$SEATRIAL_BIN/replica" --cluster cluster.yaml --cluster-keys keys --index 0 --health
  mkdir go
}

teardown() {
  [ -z "${replica:-}" ] || kill "$replica"
  wait
}

# Loader I of N, in its own folder.
loader_of() {
  SEATRIAL_INDEX=$1 SEATRIAL_LOADERS=$2 "$SEATRIAL_BIN/loader" --cluster cluster.yaml --cluster-keys keys --out "$1" --start go/start "${@:3}" 3>&-
}

@test "loaders by hand begin at the time that they are given, and together do the whole" {
  loader_of 0 2 -b 200 -c 5 -d 100 --reads 25 --key-space 1000 --seed 3 >0.out &
  one=$!
  loader_of 1 2 -b 200 -c 5 -d 100 --reads 25 --key-space 1000 --seed 3 >1.out &
  two=$!
  eventually test -e 0/ready
  eventually test -e 1/ready
  start=$(($(date +%s%N) + 5000000000))
  echo $start >go/start
  wait $one
  wait $two
  grep -q "\"started_ns\": $start," 0/load.json
  grep -q "\"started_ns\": $start," 1/load.json
  [ "$(jq .requests.acknowledged 0/load.json)" = 120 ]
  [ "$(jq .requests.acknowledged 1/load.json)" = 80 ]
  grep -q 'share        loader 1 of 2: 3 of 5 clients, 120 of 200 requests' 0.out
  # What window.hlog has is what load.json has percentiles of.
  [ "$("$SEATRIAL_BIN/loader" summarize 0/window.hlog | grep -c '120 values in 1 intervals')" = 2 ]
  # Each shape too.
  [ "$(jq '[.shapes[].requests.acknowledged] | add' 0/load.json)" = 120 ]
  reads=$(jq '.shapes[1].requests.acknowledged' 0/load.json)
  [ "$("$SEATRIAL_BIN/loader" summarize 0/window.hlog | grep -c " $reads values in 1 intervals")" = 2 ]
}

@test "a start that has passed is an error that says by how much" {
  echo 1441812279474000000 >go/start
  run -1 --separate-stderr loader_of 0 2 -b 200 -d 100
  # shellcheck disable=SC2154 # run sets it
  [[ $stderr == *"the agreed start was missed: it was "*" s ago"* ]]
  [ "$(jq .requests.sent 0/load.json)" = 0 ]
  [ "$(jq .started_ns 0/load.json)" = null ]
}

@test "without a start the wait has an end" {
  run -1 --separate-stderr loader_of 1 2 -b 200 -d 100 --start-timeout 100ms
  [[ $stderr == *"we are ready, but no time of start came to 'go/start'"* ]]
}

@test "a signal ends the wait for the start" {
  env SEATRIAL_INDEX=0 SEATRIAL_LOADERS=2 "$SEATRIAL_BIN/loader" --cluster cluster.yaml --cluster-keys keys --out 0 --start go/start 3>&- &
  one=$!
  eventually test -e 0/ready
  kill $one
  status=0
  wait $one || status=$?
  [ "$status" = 143 ]
}
