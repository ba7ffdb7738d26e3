# The examples: systems that are not ours, out of Debian's packages, run for real. Their images need a base image on the
# engine, which is made here, and Debian's mirror.

bats_require_minimum_version 1.5.0
load ../functions
load hosts

# Variables come from the environment or are set in setup.
# shellcheck disable=SC2154
setup() {
  cd "$SEATRIAL_SOURCE" || return
  folder=$BATS_TEST_TMPDIR
  export COMPOSE_PROJECT_NAME=rigexample
}

teardown() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
  [ -z "${DOCKER_HOST:-}" ] ||
    docker ps --all --quiet --filter label=com.docker.compose.project=rigexample | xargs --no-run-if-empty docker rm --force --volumes
}

# What Docker Hub has under this name, for engines that cannot reach it.
need_base_image() {
  need_engine
  need_root
  docker image inspect debian:bookworm-slim >/dev/null 2>&1 ||
    docker import "$(tests/rig/parts base-image)" debian:bookworm-slim
}

need_stage() {
  [ -d "build/stage/$1" ] || lacking "nothing is staged (cmake --build build/release --target stage)"
}

# The example in $1, with its results in the test's folder, and the load of $2.
use_example() {
  compose=$SEATRIAL_SOURCE/examples/$1/compose.yaml
  sed "s|^  loader_cli: .*|  loader_cli: \"$2\"|" "examples/$1/deployment.yaml" >"$folder/deployment.yaml"
  printf 'local: {perf_test_root: results}\n' >>"$folder/deployment.yaml"
  results=$folder/results/latest
}

seatrial() {
  "$SEATRIAL_BIN/seatrial" -f "$compose" -d "$folder/deployment.yaml" --progress plain "$@" 3>&-
}

summary() {
  jq --raw-output "$1" "$results/summary.json"
}

nothing_is_left() {
  [ -z "$(docker ps --all --quiet --filter label=com.docker.compose.project=rigexample)" ]
}

# Of the load as the loader tells it: both logs of latencies hold every acknowledged request.
latencies_are_there() {
  [ "$(summary .load.latency_ns.p50)" -gt 0 ]
  "$SEATRIAL_BIN/loader" summarize "$results/local/rigexample-load-1/latency.hlog" | grep "(no tag): $1 values"
}

@test "etcd: three nodes end with the same revision and hash, and every put was measured" {
  need_base_image
  need_stage etcd-load
  use_example etcd "-b 300 -c 6 -v 1000 -k 50"
  run -0 seatrial run
  [ "$(summary .verdict)" = good ]
  [ "$(summary .load.requests.acknowledged)" = 300 ]
  latencies_are_there 300
  [ "$(summary .agreement.replicas)" = 3 ]
  [ "$(summary .agreement.height)" = 301 ] # each put is a revision, and the first has none
  [ "$(wc -l <"$results/local/rigexample-load-1/requests.csv")" = 301 ]
  nothing_is_left
}

# The hosts of the rig, instead of this machine, with their keys pinned.
use_hosts() {
  local host address key
  sed -i '/^testbed:/,$d' "$folder/deployment.yaml"
  {
    printf 'local: {perf_test_root: results}\n'
    printf 'credentials: {ssh_key_path: "%s"}\n' "$RIG_KEY"
    printf 'testbed:\n  provider: hosts\n  hosts:\n'
    for host in $(seq "$RIG_HOSTS"); do
      address=RIG_ADDRESS_$host
      key=$(awk -v address="${!address}" '$1 == address && $2 == "ssh-ed25519" { print $2, $3 }' "$RIG_KNOWN_HOSTS")
      printf '    - {name: h%s, ssh: "root@%s", host_key: "%s"}\n' "$host" "${!address}" "$key"
    done
  } >>"$folder/deployment.yaml"
}

@test "etcd over two hosts, two nodes on one of them: the same, with nothing changed in the images" {
  need_base_image
  need_stage etcd-load
  need_rig 2
  use_example etcd "-b 300 -c 6 -v 1000 -k 50"
  use_hosts
  printf 'services: {etcd: {x-seatrial: {per_host: 2}}}\n' >"$folder/over.yaml"
  run -0 "$SEATRIAL_BIN/seatrial" -f "$compose" -f "$folder/over.yaml" -d "$folder/deployment.yaml" --progress plain run 3>&-
  [ "$(summary .verdict)" = good ]
  [ "$(summary .agreement.replicas)" = 3 ]
  [ "$(summary .agreement.height)" = 301 ]
  [ "$(summary '[.containers[] | select(.role == "replica") | .host] | sort | join(" ")')" = "h1 h1 h2" ]
  [ "$(find "$results/" -name latency.hlog | wc -l)" = 1 ]
  [ -z "$(rig exec 1 docker ps --all --quiet)$(rig exec 2 docker ps --all --quiet)" ]
}

@test "postgresql: both nodes have the same rows, and the latencies are pgbench's own" {
  need_base_image
  need_stage postgresql
  use_example postgresql "-s 1 -c 4 -j 2 -t 100"
  run -0 seatrial run --copy-data --keep
  [ "$(summary .verdict)" = good ]
  [ "$(summary .load.requests.acknowledged)" = 400 ]
  latencies_are_there 400
  # pgbench prints milliseconds with three decimals.
  [[ $output == *"latency average = "*" ms"* ]]
  mean_us=$(sed -n 's/.*latency average = \([0-9]*\)\.\([0-9]*\) ms.*/\1\2/p' <<<"$output" | tail -n 1)
  ours_us=$(summary '.load.latency_ns.mean / 1000 | round')
  difference_us=$((10#$mean_us - ours_us))
  [ ${difference_us#-} -le $((ours_us / 1000 + 1)) ]
  [ "$(summary .agreement.replicas)" = 2 ]
  [ "$(summary .agreement.ok)" = true ]
  [ "$(jq .height "$results/local/rigexample-primary-1/state.json")" -gt 0 ]

  # The password is nowhere but in the containers: neither in what was collected, nor in how they were created.
  password=$(docker cp rigexample-standby-1:/secret/password - | tar --extract --to-stdout)
  [ ${#password} -ge 32 ]
  docker inspect rigexample-{secret,primary,standby,load}-1 >"$folder/inspected.json"
  docker image history --no-trunc seatrial-example-postgresql >>"$folder/inspected.json"
  run ! grep -rF "$password" "$folder"
  run -0 seatrial down
  nothing_is_left
}

@test "concord: both files are understood, and the plan has every part of its trial" {
  cp -r examples/concord examples/demo "$folder"
  folder=$folder/concord compose=$BATS_TEST_TMPDIR/concord/compose.yaml
  mkdir -p "$folder/docker" "$folder/performance/loader" # the user's tree
  touch "$folder/docker/Dockerfile" "$folder/performance/loader/Dockerfile"
  run -0 --separate-stderr seatrial config
  [[ $output == *"output: /concord/config"* ]]
  run -0 --separate-stderr seatrial plan
  [[ $output == *"fetch-output"*"rigexample-config-1: /concord/config"* ]]
  [ "$(grep -c 'wait-healthy .* rigexample-replica-' <<<"$output")" = 4 ]
  [[ $output == *"start-commands"*"wait-exit"*"rigexample-loader-1"* ]]
  CONCORD_IMAGE=registry.example/concord:7 run -0 --separate-stderr seatrial plan
  [[ $output == *"create-container"*"rigexample-replica-4 of registry.example/concord:7"* ]]
}
