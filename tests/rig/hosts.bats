# The whole trial over five hosts, with the real replica and loader: four replicas and a loader on hosts of their own.

# Variables come from the environment, from hosts.bash, or are set in setup.
# shellcheck disable=SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts

setup_file() {
  need_root
  need_engine # the builder
  [ -d "$SEATRIAL_SOURCE/build/stage/loader" ] ||
    lacking "nothing is staged (cmake --build build/release --target stage)"
  local engines
  engines=$(three_engines)
  need_rig 5 --engine "$engines"
}

teardown_file() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  folder=$BATS_TEST_TMPDIR project=righosts results=$BATS_TEST_TMPDIR/results/latest
  export COMPOSE_PROJECT_NAME=$project
  prepare_hosts
  cp "$SEATRIAL_SOURCE"/examples/demo/* "$folder"
  sed -i "s|\.\./\.\./build|$SEATRIAL_SOURCE/build|; /fleet:/d; s/per_host: 4/per_host: 1/" "$folder/compose.yaml"
  write_deployment
  local n
  for n in 1 2 3 4 5; do rig sshd $n; done # counts from here on
}

teardown() {
  seatrial down >/dev/null 2>&1 || true
}

write_deployment() {
  cat >"$folder/deployment.yaml" <<EOF
name: rig
local: {perf_test_root: results}
general: {num_of_replicas: 4, loader_cli: "-b 300 -c 15", loader_timeout_sec: 120}
runtime: {custom_script_path: sample.sh, custom_command: "./sample.sh CONTAINER_ID", custom_command_run_interval_sec: 1}
EOF
  testbed "$@" >>"$folder/deployment.yaml"
}

all_is_good() {
  [ "$(summary .verdict)" = good ]
  [ "$(summary .agreement.replicas)" = 4 ]
  [ "$(summary .agreement.acknowledged_in_chain)" = 300 ]
  [ "$(summary .load.requests.acknowledged)" = 300 ]
  [ "$(summary '.left_behind | length')" = 0 ]
  [ "$(jq '[.hosts[] | select(.name != "builder") | .reconnects] | add' "$results/run.json")" = 0 ]
  nothing_is_left
}

# The paths of a JSON file, whatever the places in its lists and the values, and of what kind each is. What was sampled of a
# short load, and what else the machine did meanwhile, is there or is not.
shape() {
  jq --raw-output 'del(.resources) | paths(type != "object" and type != "array") as $p |
    ($p | map(if type == "number" then "*" else tostring end) | join(".")) + " " + (getpath($p) | type)' "$1" | sort -u
}

# The files of each container's folder, but not the sampled ones.
# Of what lived for less than a second there may be a sample.
files() {
  (cd "$results" && find . -path "*/$project-*" -type f ! -path '*/custom/*' ! -path '*-keys-1/stats.jsonl' | sed -E "s|^\./[^/]*/||" | sort)
}

@test "five hosts, engines of three versions: one container and one connection each, and results like local ones" {
  run -0 seatrial run
  all_is_good
  [ "$(connections)" = "1 1 1 1 1" ]
  [ "$(summary '[.containers[] | select(.name | contains("-keys-") | not) | .host] | sort | join(" ")')" = "h1 h2 h3 h4 h5" ]
  [ "$(summary '.containers[] | select(.name == "righosts-loader-1") | .host')" = h5 ]
  [ "$(jq -r '[.hosts[] | select(.name | startswith("h")) | .engine.version[:5]] | unique | length' "$results/run.json")" = \
    "$(for n in 1 2 3 4 5; do v=RIG_ENGINE_$n && echo "${!v}"; done | sort -u | wc -l)" ]
  jq -e '[.hosts[] | select(.name | startswith("h")) | .clock_offset_ns | (. > -1e9 and . < 1e9)] | all' "$results/run.json"
  [ "$(find "$results"/h[1-4]/righosts-replica-*/custom -name 1.out | wc -l)" = 4 ]
  shape "$results/summary.json" >many
  files >many_files
  # The same on this machine alone.
  sed -i '/^testbed:/,$d' "$folder/deployment.yaml"
  sed -i "s/per_host: 1/per_host: 4/" "$folder/compose.yaml"
  run -0 seatrial run
  shape "$results/summary.json" >one
  files >one_files
  diff one many
  diff one_files many_files
}

@test "one connection per host also with MaxSessions 1 and MaxStartups 3:100:3; keys as EC2 makes them" {
  local n
  for n in 1 2 3 4 5; do rig sshd $n 'MaxSessions 1' 'MaxStartups 3:100:3'; done
  sed -i "s|^Host h4 .*|&\n  IdentityFile $RIG_KEY_RSA|" "$ssh_config"
  write_deployment 2=member@h2
  run -0 seatrial run
  all_is_good
  [ "$(connections)" = "1 1 1 1 1" ]
  [[ $(cat "$RIG_LOGS_4/sshd.log") == *"Accepted publickey for root"*"RSA"* ]]
  [[ $(cat "$RIG_LOGS_2/sshd.log") == *"Accepted publickey for member"* ]]
}

@test "hosts 40 ms away, one by sudo; and what was brought there once is not sent again" {
  local n
  for n in 1 2 3 4 5; do rig slow $n 40ms; done
  write_deployment 3=sudoer@h3
  run -0 seatrial run
  [[ $output != *" of about "*MB* ]] # the images are there since the first test
  all_is_good
  [ "$(connections)" = "1 1 1 1 1" ]
  [[ $(cat "$RIG_LOGS_3/sshd.log") == *"Accepted publickey for sudoer"* ]]
  [ "$(summary .load.latency_ns.min)" -ge 40000000 ] # of each request: there and back
  for n in 1 2 3 4 5; do rig slow $n off; done
}
