# A load that several loaders generate together: begun at one time, and reported as one.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../functions

setup() {
  need_engine
  cd "$BATS_TEST_TMPDIR" || return
  [ -d "$SEATRIAL_SOURCE/build/stage/loader" ] ||
    lacking "nothing is staged (cmake --build build/release --target stage)"
  folder=$BATS_TEST_TMPDIR
  cp "$SEATRIAL_SOURCE"/examples/demo/* "$folder"
  sed -i "s|\.\./\.\./build|$SEATRIAL_SOURCE/build|; s|^name: demo|name: rig|" "$folder"/*.yaml
  sed -i "s|perf_test_root: .*|perf_test_root: results|" "$folder/deployment.yaml"
  export COMPOSE_PROJECT_NAME=rigloaders
  results=$folder/results/latest
}

teardown() {
  docker ps --all --quiet --filter label=com.docker.compose.project=rigloaders |
    xargs --no-run-if-empty docker rm --force
}

seatrial() {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain "$@" 3>&-
}

loader() {
  "$SEATRIAL_BIN/loader" "$@" 3>&-
}

# So many, asked for this load.
loaders() {
  sed -i "s|  loader:|  loader:\n    deploy: {replicas: $1}|" "$folder/compose.yaml"
  sed -i "s|loader_cli: .*|loader_cli: \"$2\"|" "$folder/deployment.yaml"
}

# A system of one replica, where it is the loaders that matter.
one_replica() {
  sed -i "s|{replicas: 4}|{replicas: 1}|" "$folder/compose.yaml"
  sed -i "s|num_of_replicas: 4|num_of_replicas: 1|" "$folder/deployment.yaml"
}

summary() {
  jq --raw-output "$1" "$results/summary.json"
}

# Of all loaders, in the order of their numbers.
each() {
  jq --raw-output "$1" "$results"/local/rigloaders-loader-*/load.json | paste -sd ' '
}

# Intended times in such files, from the start on.
due() {
  tail -qn +2 "$@" | cut -d, -f3 | sort -n
}

nothing_is_left() {
  [ -z "$(docker ps --all --quiet --filter label=com.docker.compose.project=rigloaders)" ]
}

@test "two loaders share a closed loop: the parts are the whole, and all of it is in the chains" {
  loaders 2 "-b 301 -c 15"
  run -0 seatrial run
  [[ $output == *"verdict     good"* ]]
  [[ $output == *"loaders   2, begun within "* ]]
  [ "$(each .requests.acknowledged)" = "160 141" ]
  [ "$(each '"\(.share.clients) of \(.share.clients_of_all)"')" = "8 of 15 7 of 15" ]
  [ "$(summary .load.requests.acknowledged)" = 301 ]
  [ "$(summary .agreement.acknowledged_in_chain)" = 301 ]
  [ "$(summary '.load.loaders | length')" = 2 ]
  grep -q 'share        loader 2 of 2: 7 of 15 clients, 141 of 301 requests' \
    "$results/local/rigloaders-loader-2/output.log"
  nothing_is_left
}

@test "three loaders send the schedule of one, from one agreed moment on" {
  one_replica
  loaders 3 "--rate 300 --arrival poisson --seed 7 -b 600 --clients 60 --warm-up 200ms"
  run seatrial run # on a busy machine the sends may be too late to call it good
  [ "$(summary .load.requests.acknowledged)" = 600 ]
  [ "$(summary .load.model)" = open ]
  [ "$(summary '.load.asked_per_s | round')" = 300 ]
  [ "$(each .requests.intended)" = "200 200 200" ]
  # All began at the moment that they were told. (Such numbers have more digits than jq keeps.)
  agreed=$(grep -o '"agreed_ns": *[0-9]*' "$results/summary.json" | grep -o '[0-9]*$')
  [ "$(grep -l "\"started_ns\": $agreed," "$results"/local/rigloaders-loader-*/load.json | wc -l)" = 3 ]
  [ "$(cut -f1 -d' ' "$results"/local/rigloaders-loader-*/ready | sort -u)" = ready ]
  # What was warming up is in the logs, and not in the percentiles.
  loader summarize "$results/latency.hlog" >log
  loader summarize "$results"/local/rigloaders-loader-*/window.hlog >window
  grep -q '^(no tag): 600 values' log
  grep -q '^(no tag): 5[0-9]* values' window
  grep -q '^lateness: ' window
  # When requests were due, of all loaders together, is what one loader with that seed was asked.
  for n in 1 2 3; do
    loader export "$results/local/rigloaders-loader-$n/requests.bin" >"$n.csv"
  done
  sed -i "s|{replicas: 3}|{replicas: 1}|" "$folder/compose.yaml"
  run seatrial run
  [ ! -e "$results/local/rigloaders-loader-1/ready" ]
  loader export "$results/local/rigloaders-loader-1/requests.bin" >alone.csv
  due 1.csv 2.csv 3.csv >together
  due alone.csv >alone
  [ "$(wc -l <alone)" = 600 ]
  diff together alone
}

@test "percentiles of the whole come from all that was recorded" {
  one_replica
  loaders 2 "-b 200 -c 20"
  run -0 seatrial run
  [ "$(summary .load.requests.acknowledged)" = 200 ]
  # Both files of each loader, added by another program of ours, and the runner's own merged log.
  loader merge "$results"/local/rigloaders-loader-*/latency.hlog -o merged.hlog
  loader summarize merged.hlog >by_hand
  loader summarize "$results/latency.hlog" >by_runner
  diff by_hand by_runner
  grep -q '^(no tag): 200 values' by_runner
  loader summarize "$results"/local/rigloaders-loader-*/window.hlog >window
  p99=$(summary '.load.latency_ns.p99')
  [ "$(awk '$1 == "p99" {print $2; exit}' window)" = "$(awk -v ns="$p99" 'BEGIN {printf "%.3f", ns / 1e6}')" ] ||
    [ "$(awk '$1 == "p99" {print $2; exit}' window)" = "$(awk -v ns="$p99" 'BEGIN {printf "%.1f", ns / 1e3}')" ]
}

@test "several loaders by hand begin together, too" {
  one_replica
  loaders 2 "-b 100 -c 4"
  run -0 seatrial up
  run -0 --separate-stderr seatrial load -- -b 50 -c 3
  [[ $output == *"rigloaders-loader-by-hand-1 | "* ]]
  [[ $output == *"rigloaders-loader-by-hand-2 | "* ]]
  [[ $output == *"50 of 50 requests were acknowledged"* ]]
  run -0 --separate-stderr seatrial down
  [[ $output == *"50 acknowledged and in the chain"* ]]
  nothing_is_left
}

@test "what cannot be divided is refused by the loaders, and said" {
  one_replica
  loaders 3 "-b 100 -c 2"
  run -1 seatrial run
  [[ $output == *"-c 2 cannot be divided among 3 loaders"* ]]
  [[ $output == *"and had not said that it is ready"* ]]
  nothing_is_left
}

# The run is $run. Until loader 2 knows when all begin.
run_in_background() {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain run >out 2>&1 3>&- &
  run=$!
  eventually docker cp rigloaders-loader-2:/seatrial/start start
}

@test "a loader that is killed is named, and the others do their part" {
  one_replica
  loaders 2 "--rate 100 --time 5s --clients 20"
  run_in_background
  docker kill rigloaders-loader-2
  status=0
  wait "$run" || status=$?
  [ "$status" = 1 ]
  [ "$(summary .verdict)" = crashed ]
  [[ $(summary '.reasons | join("; ")') == *"loader rigloaders-loader-2 on local ended with exit status 137, and reported no load"* ]]
  [ "$(summary .load.requests.acknowledged)" = 250 ]
  [ "$(summary '[.load.loaders[].reported | tostring] | join(" ")')" = "true false" ]
  nothing_is_left
}

@test "an interrupt ends all loaders, and what they did until then is reported" {
  one_replica
  loaders 2 "--rate 100 --time 300s --clients 20"
  run_in_background
  kill -INT "$run"
  status=0
  wait "$run" || status=$?
  [ "$status" = 130 ]
  [ "$(summary .verdict)" = interrupted ]
  [ "$(summary '.load.loaders | length')" = 2 ]
  nothing_is_left
}
