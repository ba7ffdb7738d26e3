# The command without an engine: help, usage, configuration errors, plans.

bats_require_minimum_version 1.5.0

setup() {
  seatrial=$SEATRIAL_BIN/seatrial
  demo=$SEATRIAL_SOURCE/examples/demo
  cd "$BATS_TEST_TMPDIR" || return
}

# A plan as text, without what depends on where the tree lies and what was staged.
plan_of_demo() {
  "$seatrial" -f "$demo/compose.yaml" plan "$@" 2>errors | grep -v '^image ' | sed "s|$SEATRIAL_SOURCE|TREE|g"
}

expect() {
  diff -u "$SEATRIAL_SOURCE/tests/golden/plan/$1.expected" -
}

@test "the plan of the demo is as written down" {
  plan_of_demo | expect demo
}

@test "without a load the replicas are held until somebody ends the trial" {
  plan_of_demo --no-load | expect demo-no-load
}

@test "with --keep nothing is removed, with --no-build images are only looked for" {
  plan_of_demo --keep --no-build | expect demo-keep-no-build
}

@test "seed 000's spellings mean the same" {
  plan_of_demo -noRunTest >seed
  plan_of_demo --no-load | diff seed -
  plan_of_demo -noBuildConcord -noBuildLoader -noPushConcord -inMemory -useBasicKVBC -copyAllData -useExistingInstances >seed
  plan_of_demo --no-build --no-push=replica --in-memory --no-merkle --copy-data | diff seed -
}

@test "--help tells every command, and each command its options" {
  run -0 "$seatrial" --help
  for command in run plan ps logs load collect down config; do
    [[ $output == *"  $command "* ]]
    run -0 "$seatrial" "$command" --help
    [[ $output == *"Usage: seatrial $command"* ]]
    run -0 "$seatrial" --help
  done
}

@test "wrong usage is exit status 2, with the nearest word" {
  run -2 "$seatrial"
  run -2 "$seatrial" pln
  [[ $output == *"did you mean 'plan'?"* ]]
  run -2 "$seatrial" --progress loud plan
  run -2 "$seatrial" run --no-build=both
  run -2 "$seatrial" run extra
  run -2 "$seatrial" run --resume latest --keep
  run -2 "$seatrial" plan --resume latest
  run -2 "$seatrial" run --health-timeout soon
  run -2 "$seatrial" --engine-timeout 5 ps
}

@test "what is not supported yet is refused by name" {
  for words in compare report "run --repeat 3"; do
    # shellcheck disable=SC2086
    run -2 "$seatrial" $words
    [[ $output == *"not supported yet"* ]]
  done
  run -2 "$seatrial" -f "$demo/compose.yaml" run -stopMachines
  [[ $output == *"the providers 'local' and 'hosts' have none"* ]]
}

@test "no Compose file: exit status 1 or 3, and which names were looked for" {
  run ! "$seatrial" plan
  [[ $output == *"compose.yaml"* ]]
}

@test "mistakes in both files are exit status 3, with file, line and the nearest key" {
  cp "$demo/compose.yaml" "$demo/deployment.yaml" "$demo/sample.sh" .
  sed -i 's/deploy: {replicas/deplyo: {replicas/' compose.yaml
  run -3 "$seatrial" plan
  [[ $output == *"compose.yaml:"*"'deplyo'"*"'deploy'"* ]]
  cp "$demo/compose.yaml" .
  sed -i 's/loader_timeout_sec: 300/loader_timeout_sec: soon/' deployment.yaml
  run -3 "$seatrial" plan
  [[ $output == *"deployment.yaml:"*"loader_timeout_sec"* ]]
  cp "$demo/deployment.yaml" .
  sed -i 's/num_of_replicas: 4/num_of_replicas: 7/' deployment.yaml
  run -3 "$seatrial" plan
  [[ $output == *"7"*"4"* ]]
}

@test "a project without a replica or with too many loaders is refused" {
  printf 'services: {a: {image: x}}\n' >compose.yaml
  run -3 "$seatrial" plan
  [[ $output == *"role: replica"* ]]
  printf 'services: {a: {image: x, x-seatrial: {role: replica}}, b: {image: x, deploy: {replicas: 257}, x-seatrial: {role: loader}}}\n' >compose.yaml
  run -3 "$seatrial" plan
  [[ $output == *"has 257 loaders, 256 are the most"* ]]
}

@test "two services on one port of a host network are refused" {
  cat >compose.yaml <<'EOF'
services:
  a: {image: x, network_mode: host, deploy: {replicas: 2}, x-seatrial: {role: replica, per_host: 2, ports: {p: 7000}}}
  b: {image: x, network_mode: host, x-seatrial: {role: loader, ports: {q: 7001}}}
EOF
  run -3 "$seatrial" plan
  [[ $output == *"port 7001 is port 'p' of "*"a-2 and port 'q' of "* ]]
}

@test "a build context that is not there is named, and the plan is shown all the same" {
  cat >compose.yaml <<'EOF'
services:
  a: {image: x, build: nowhere, x-seatrial: {role: replica}}
  b: {image: x, x-seatrial: {role: loader}}
EOF
  run -3 "$seatrial" plan
  [[ $output == *"build-image"*"nowhere"* ]]
}

@test "config prints the project, and reads its own output" {
  run -0 --separate-stderr "$seatrial" -f "$demo/compose.yaml" config
  printf '%s\n' "$output" >again.yaml
  run -0 --separate-stderr "$seatrial" -f again.yaml -d "$demo/deployment.yaml" config
  printf '%s\n' "$output" | diff again.yaml -
}

@test "a DOCKER_HOST that is not a unix socket is refused by name" {
  DOCKER_HOST=tcp://127.0.0.1:2375 run ! "$seatrial" -f "$demo/compose.yaml" ps
  [[ $output == *"tcp://127.0.0.1:2375"* ]]
}
