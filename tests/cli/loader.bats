# The loader where the machine is unkind to it, against a replica of one.

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
  "$SEATRIAL_BIN/replica" keygen --replicas 1 --loaders 1 --out keys
  "$SEATRIAL_BIN/replica" --cluster cluster.yaml --cluster-keys keys --index 0 --store memory --out replica >log 2>&1 3>&- &
  replica=$!
  eventually "$SEATRIAL_BIN/replica" --cluster cluster.yaml --cluster-keys keys --index 0 --health
}

teardown() {
  [ -z "${replica:-}" ] || kill "$replica"
  wait
}

load_it() {
  "$SEATRIAL_BIN/loader" --cluster cluster.yaml --cluster-keys keys --out out "$@"
}

@test "a wall clock that is set during the load changes no latency and no interval" {
  LD_PRELOAD=$SEATRIAL_BUILD/tests/cli/libjumping_clock.so run load_it --rate 200 --time 3s -d 100
  [ "$status" = 0 ] || [[ $output == *"was not generated as asked"* ]] # a machine that is busy
  [ "$(jq .requests.acknowledged out/load.json)" = 600 ]
  [ "$(jq '.latency_ns.max < 10000000000 and .seconds < 20' out/load.json)" = true ]
  # Interval i begins when interval i - 1 ends, an hour or not.
  awk -F, '/^[0-9]/ { if (n++ && ($1 - end > 0.002 || end - $1 > 0.002)) exit 1; end = $1 + $2 } END { exit n < 3 }' out/latency.hlog
}

@test "more clients than files that may be open: the limit is named before anything is sent" {
  run -3 --separate-stderr prlimit --nofile=300:300 "$SEATRIAL_BIN/loader" --cluster cluster.yaml --cluster-keys keys --out out \
    --protocol http --target 127.0.0.1:1 -c 1000
  # shellcheck disable=SC2154 # run sets it
  [[ $stderr == *"1000 clients need "*" open files, but this process may have 300 at most"*"raise the limit"* ]]
}

@test "a soft limit below what is needed is raised, and not spoken of" {
  run -1 --separate-stderr prlimit --nofile=300:20000 "$SEATRIAL_BIN/loader" --cluster cluster.yaml --cluster-keys keys --out out \
    --protocol tcp-echo --target "127.0.0.1:1" -c 1000 -d 10 --connect-timeout 100ms
  [[ $stderr == *"Connection refused"* ]]
}
