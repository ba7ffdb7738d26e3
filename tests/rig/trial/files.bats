# What containers find in /seatrial: a folder of a volume of the run, for each its own.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
  cd "$folder" || return
}

teardown() {
  sweep_trial
  volumes | xargs --no-run-if-empty docker volume rm --force >/dev/null
}

volumes() {
  docker volume ls --quiet --filter label=io.seatrial.files --filter "label=com.docker.compose.project=$project"
}

nothing_at_all_is_left() {
  nothing_is_left
  [ -z "$(volumes)" ]
}

# What a runner leaves that was killed before it made containers.
remove_containers_of_project() {
  docker ps --all --quiet --filter "label=com.docker.compose.project=$project" | xargs docker rm --force
}

# In place of the loader: says what it finds.
with_curious_loader() {
  cat >over.yaml <<'EOF'
services:
  loader:
    command:
      - -c
      - /bin/busybox find /seatrial -mindepth 1 | /bin/busybox sort; echo 1 >/seatrial/out/mine; exec /bin/busybox sh /bin/loader.sh
EOF
}

@test "a read-only root and a user of its own: cluster.yaml is readable, out is writable, the rest is not the user's" {
  cat >over.yaml <<'EOF'
services:
  replica: {read_only: true, user: "1234:1234"}
  loader:
    read_only: true
    user: "4321"
    command:
      - -c
      - /bin/busybox id -u; /bin/busybox touch /bin/x /seatrial/x /seatrial/cluster.yaml; exec /bin/busybox sh /bin/loader.sh
EOF
  run -0 seatrial -f over.yaml run
  [[ $output == *"verdict     good"* ]]
  log=$(<"$results/local/$project-loader-1/output.log")
  [[ $log == *" 4321"* ]]
  [[ $log == *"touch: /bin/x: "*"touch: /seatrial/x: Permission denied"*"touch: /seatrial/cluster.yaml: Permission denied"* ]]
  [ -s "$results/local/$project-replica-2/state.json" ]
  nothing_at_all_is_left
}

@test "every container sees its own folder, the properties beside the deployment file too, and no other's" {
  echo log4cplus.rootLogger=INFO >log4cplus.properties
  with_curious_loader
  run -0 seatrial -f over.yaml run
  [ "$(cut -d' ' -f3- "$results/local/$project-loader-1/output.log" | grep ^/ | xargs)" = \
    "/seatrial/cluster.yaml /seatrial/log4cplus.properties /seatrial/out" ]
  nothing_at_all_is_left
}

@test "a loader by hand has a clean folder each time, and its volume goes with it" {
  with_curious_loader
  run -0 seatrial -f over.yaml up
  [ "$(volumes | wc -l)" = 1 ]
  for _ in 1 2; do
    run -0 --separate-stderr seatrial -f over.yaml load
    [[ $output == *"/seatrial/cluster.yaml"* ]]
    [[ $output != *"/seatrial/out/"* ]]
    [ "$(volumes | wc -l)" = 1 ]
  done
  [ "$(cat "$results"/*-load*/local/*-by-hand/mine | xargs)" = "1 1" ]
  run -0 seatrial -f over.yaml down
  nothing_at_all_is_left
}

@test "--keep leaves the volume with the containers, --clean-remote and down remove it" {
  run -0 seatrial run --keep
  kept=$(volumes)
  [ "$kept" = "seatrial-$(summary .run)-local" ]
  run -0 seatrial run --keep --clean-remote
  [ "$(volumes)" = "seatrial-$(summary .run)-local" ]
  [ "$(volumes)" != "$kept" ]
  run seatrial down # what it thinks of replicas that have been stopped is not this test's matter
  nothing_at_all_is_left
}

@test "a runner that is interrupted while it puts files removes them" {
  "$SEATRIAL_BIN/seatrial" -f compose.yaml --progress json run >out 2>progress 3>&- &
  pid=$!
  eventually grep -q '"state":"running","step":"put-files"' progress
  kill -INT "$pid"
  status=0
  wait "$pid" || status=$?
  [ "$status" = 130 ]
  [ "$(summary '.left_behind | length')" = 0 ]
  nothing_at_all_is_left
}

@test "a runner that is killed while it puts files: down removes what it made" {
  "$SEATRIAL_BIN/seatrial" -f compose.yaml --progress json run >out 2>progress 3>&- &
  pid=$!
  eventually grep -q '"state":"running","step":"put-files"' progress
  kill -KILL "$pid"
  wait "$pid" || true
  run seatrial down
  nothing_at_all_is_left
}

@test "a runner that is killed before it fills the volume, or while it does: down removes what it made" {
  run -0 seatrial up
  remove_containers_of_project
  [ "$(volumes | wc -l)" = 1 ]
  run seatrial down
  nothing_at_all_is_left

  run -0 seatrial up
  remove_containers_of_project
  volume=$(volumes)
  docker create --name "$volume-put" --volume "$volume:/seatrial" --network none --label io.seatrial.files=1 \
    --label "com.docker.compose.project=$project" --label "io.seatrial.run=$(jq -r .run "$results/run.json")" \
    --label "io.seatrial.owner=$(docker volume inspect --format '{{index .Labels "io.seatrial.owner"}}' "$volume")" "$project" never
  run seatrial down
  nothing_at_all_is_left
}

@test "what a file mounts at /seatrial itself is refused, below it is fine" {
  cat >over.yaml <<'EOF'
services:
  replica: {volumes: ["data:/seatrial/"]}
volumes: {data: {}}
EOF
  run ! seatrial -f over.yaml run
  [[ $output == *"over.yaml:2:"*"'/seatrial/' is where the trial's own files are"* ]]
  sed -i 's|data:/seatrial/|data:/seatrial/data|' over.yaml
  run -0 seatrial -f over.yaml run
  nothing_at_all_is_left
}
