# Keys: real replicas and loaders, and whatever can be wrong with what they are given.

bats_require_minimum_version 1.5.0
load ../functions

# Variables come from the environment or are set in setup.
# shellcheck disable=SC2154
setup() {
  cd "$BATS_TEST_TMPDIR" || return
  replicas=()
}

teardown() {
  [ ${#replicas[@]} = 0 ] || kill -9 "${replicas[@]}"
  wait
}

# The cluster file of $1 replicas and a loader.
cluster() {
  port=$((10000 + RANDOM % 20000)) # below those that connections go out from
  {
    printf 'run: r\nproject: p\ncontainers:\n'
    for ((i = 0; i < $1; i++)); do
      echo "  - {name: p-replica-$i, service: replica, role: replica, index: $i, host: local, address: 127.0.0.1, ports: {replica: $((port + i))}}"
    done
    echo "  - {name: p-loader-1, service: loader, role: loader, index: 0, host: local, address: 127.0.0.1, ports: {}}"
  } >cluster.yaml
}

replica() {
  "$SEATRIAL_BIN/replica" --cluster cluster.yaml --store memory --out out "$@" 3>&-
}

# Replica $1, with these options.
start() {
  mkdir -p "out$1"
  "$SEATRIAL_BIN/replica" --cluster cluster.yaml --store memory --index "$1" --out "out$1" "${@:2}" >"log$1" 2>&1 3>&- &
  replicas+=($!)
}

load_it() {
  "$SEATRIAL_BIN/loader" --cluster cluster.yaml --out load -b 50 -c 5 -d 100 --threads 1 --connect-timeout 2s "$@" 3>&-
}

@test "keygen takes the numbers from the cluster file, gives each its own folder, and overwrites nothing" {
  cluster 4
  run -0 "$SEATRIAL_BIN/replica" keygen --cluster cluster.yaml --out keys
  [ "$(find keys/for -name private.key -perm 600 | wc -l)" = 5 ]
  [ "$(grep -c '^replica ' keys/cluster.keys)" = 4 ]
  run ! grep -rF "$(sed -n 's/^secret //p' keys/for/replica-0/private.key)" keys/cluster.keys keys/for/replica-[1-3] keys/for/loader-0
  run -1 "$SEATRIAL_BIN/replica" keygen --cluster cluster.yaml --out keys
  [[ $output == *"there are keys in 'keys' already"* ]]
  run -2 "$SEATRIAL_BIN/replica" keygen --replicas 0
  run -2 "$SEATRIAL_BIN/replica" keygen stray
}

@test "without keys nobody runs, unless that is said" {
  cluster 1
  run -3 replica --index 0 --cluster-keys nowhere
  [[ $output == *"nowhere/cluster.keys"*"replica keygen"*"--insecure"* ]]
  run -3 load_it --cluster-keys nowhere
  [[ $output == *"nowhere/cluster.keys"*"replica keygen"*"--insecure"* ]]
}

@test "a key that others can read, or is somebody else's, is refused with its name" {
  cluster 4
  "$SEATRIAL_BIN/replica" keygen --cluster cluster.yaml --out keys
  chmod 644 keys/for/replica-0/private.key
  run -3 replica --index 0 --cluster-keys keys
  [[ $output == *"keys/for/replica-0/private.key' can be read by others (mode 0644)"* ]]
  cp -p keys/for/replica-2/private.key keys/for/replica-1/private.key
  run -3 replica --index 1 --cluster-keys keys
  [[ $output == *"is the key of replica 2, and this is replica 1"* ]]
  "$SEATRIAL_BIN/replica" keygen --replicas 4 --loaders 1 --out others
  cp -p others/for/replica-3/private.key keys/for/replica-3/private.key
  run -3 replica --index 3 --cluster-keys keys
  [[ $output == *"is a key of another cluster"* ]]
  cluster 5
  run -3 replica --index 2 --cluster-keys keys
  [[ $output == *"has keys of 4 replicas, but the cluster file names 5"* ]]
}

@test "a replica with keys of another cluster stays outside, and the others serve without it" {
  cluster 4
  "$SEATRIAL_BIN/replica" keygen --cluster cluster.yaml --out keys
  "$SEATRIAL_BIN/replica" keygen --cluster cluster.yaml --out others
  for i in 0 1 2; do start $i --cluster-keys keys; done
  start 3 --cluster-keys others
  for i in 0 1 2; do
    eventually replica --index $i --cluster-keys keys --health
  done
  eventually grep -q "was refused: these keys are of another cluster" log0
  run ! grep -q "replica 3 is connected" log0 log1 log2
  run -0 load_it --cluster-keys keys
  run -1 load_it --cluster-keys others
  [[ $output == *"these keys are of another cluster"* ]]
  run -1 load_it --insecure
  [[ $output == *"this replica talks to nobody without keys"* ]]
  run -1 load_it --cluster-keys keys --client-auth signature
  [[ $output == *"it is not authenticated by MACs"* ]]
  run -1 replica --index 0 --insecure --status
  [[ $output == *"this replica talks to nobody without keys"* ]]
}

@test "insecure is insecure on both sides, and said in the log" {
  cluster 1
  "$SEATRIAL_BIN/replica" keygen --cluster cluster.yaml --out keys
  start 0 --insecure
  eventually replica --index 0 --insecure --health
  grep -q "WARN.*without keys" log0
  run -0 load_it --insecure
  run -1 load_it --cluster-keys keys
  [[ $output == *"this replica runs without keys (--insecure)"* ]]
}

@test "signed requests, from the loader to the chains" {
  cluster 4
  "$SEATRIAL_BIN/replica" keygen --cluster cluster.yaml --out keys
  for i in 0 1 2 3; do start $i --cluster-keys keys --client-auth signature; done
  for i in 0 1 2 3; do
    eventually replica --index $i --cluster-keys keys --health
  done
  run -0 load_it --cluster-keys keys --client-auth signature --reads 20 --key-space 1000
}
