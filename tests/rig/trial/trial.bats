# Whole trials on a real engine: the good one, and what users get to see when something is wrong.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
}

teardown() {
  sweep_trial
}

@test "a trial builds, runs, collects, reports, and leaves nothing on the engine" {
  scale 4
  run -0 --separate-stderr seatrial run
  [[ $output == *"verdict     good"* ]]
  [[ $output == *"agreement   yes: 4 replicas, height 100, digest cafe"* ]]
  [ "$(summary .verdict)" = good ]
  [ "$(summary .load.requests.acknowledged)" = 100 ]
  [ "$(summary .agreement.acknowledged_in_chain)" = 100 ]
  [ "$(summary '.containers | length')" = 5 ]
  grep -q 'stdout last words of 2' "$results/local/$project-replica-3/output.log"
  grep -q 'stdout load with -b 100' "$results/local/$project-loader-1/output.log"
  [ "$(jq -r .Name "$results/local/$project-loader-1/container.json")" = "/$project-loader-1" ]
  [ "$(jq -r '.images[0].id' "$results/run.json")" = "$(docker image inspect --format '{{.Id}}' "$project")" ]
  [ "$(jq -r '[.containers[].image_id] | unique | length' "$results/run.json")" = 1 ]
  [ "$(jq -r '[.stages[].outcome] | unique | join(",")' "$results/run.json")" = good ]
  jq -e '.traceEvents | length > 20' "$results/trace.json"
  nothing_is_left
}

@test "a second run builds nothing anew" {
  run -0 seatrial run
  first=$(jq -r '.images[0].id' "$results/run.json")
  run -0 seatrial run
  [ "$(jq -r '.images[0].id' "$results/run.json")" = "$first" ]
  [ "$(jq -r '.images[0].unchanged' "$results/run.json")" = true ]
}

@test "what runs carries our labels, and docker compose's" {
  run -0 seatrial up
  docker inspect "$project-replica-2" --format '{{json .Config.Labels}}' >labels.json
  [ "$(jq -r '.["com.docker.compose.service"]' labels.json)" = replica ]
  [ "$(jq -r '.["com.docker.compose.container-number"]' labels.json)" = 2 ]
  [ "$(jq -r '.["com.docker.compose.oneoff"]' labels.json)" = False ]
  [ "$(jq -r '.["io.seatrial.run"]' labels.json)" = "$(jq -r .run "$results/run.json")" ]
  [ "$(jq -r '.["io.seatrial.owner"]' labels.json)" != null ]
  run -0 seatrial down
  nothing_is_left
}

@test "replicas stay without a load, the loader is started by hand, down collects and ends it" {
  run -0 seatrial up
  [[ $output == *"  seatrial -f $folder/compose.yaml -d $folder/deployment.yaml -p $project load -- -b 100"* ]]
  run -0 --separate-stderr seatrial ps
  [ "${#lines[@]}" = 3 ]
  [[ $output == *"$project-replica-2"*"Up"* ]]
  run -0 --separate-stderr seatrial logs replica
  [[ $output == *"$project-replica-1 | replica 0 of run"* ]]
  run -0 --separate-stderr seatrial load -- -b 7 'two words'
  [[ $output == *"load with -b 7 'two words'"* ]]
  [[ $output == *"verdict     good"* ]]
  run -0 seatrial load
  run -0 seatrial collect latest
  [ -s "$results/local/$project-replica-1/output.log" ]
  run -0 --separate-stderr seatrial down
  [[ $output == *"agreement   yes: 2 replicas"* ]]
  [[ $output == *"200 acknowledged and in the chain"* ]]
  grep -q 'last words of 0' "$results/local/$project-replica-1/output.log"
  nothing_is_left
  run -0 seatrial down
  [[ $output == *"nothing of project '$project' is there"* ]]
}

@test "pre_stop runs in every replica before any of them is stopped" {
  cat >"$folder/hook.yaml" <<EOF
services:
  replica:
    pre_stop:
      - command: [/bin/busybox, sh, -c, 'echo "\$\$WORD of \$\$SEATRIAL_INDEX" | /bin/busybox tee /seatrial/out/hook.txt']
        environment: {WORD: words}
        user: "0:0"
      - {command: [/bin/busybox, "true"]}
EOF
  run -0 "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" -f "$folder/hook.yaml" --progress plain run 3>&-
  [ "$(cat "$results/local/$project-replica-2/hook.txt")" = "words of 1" ]
  [ "$(cat "$results/local/$project-replica-1/pre_stop-1.log")" = "words of 0" ]
  [ ! -e "$results/local/$project-replica-1/pre_stop-2.log" ]
  jq -e '[.traceEvents[] | select(.name == "pre-stop")] | length == 2' "$results/trace.json"
  jq -e '([.traceEvents[] | select(.name == "pre-stop") | .ts + .dur] | max) <=
    ([.traceEvents[] | select(.name == "stop-container" and (.args.subject | test("replica"))) | .ts] | min)' "$results/trace.json"
  nothing_is_left
}

@test "a pre_stop that fails, or that has no time, fails the trial and not its end" {
  cat >"$folder/hook.yaml" <<EOF
services:
  replica:
    stop_grace_period: 1s
    pre_stop:
      - command: [/bin/busybox, sh, -c, 'case \$\$SEATRIAL_INDEX in 0) echo no quorum; exit 4;; 1) exec /bin/busybox sleep 3600;; esac']
EOF
  run -1 "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" -f "$folder/hook.yaml" --progress plain run 3>&-
  [ "$(summary .verdict)" = failed ]
  [ "$(summary '.reasons | length')" = 2 ]
  [[ $(summary '.reasons | join(" ")') == *"$project-replica-1"*"pre_stop '/bin/busybox' ended with exit status 4: no quorum"* ]]
  [[ $(summary '.reasons | join(" ")') == *"$project-replica-2"* ]]
  [ "$(summary .agreement.replicas)" = 2 ]
  nothing_is_left
}

@test "--keep leaves the stopped containers, and down removes them" {
  run -0 seatrial run --keep --in-memory
  [ "$(of_project | wc -l)" = 3 ]
  [ -z "$(docker ps --quiet --filter "label=com.docker.compose.project=$project")" ]
  grep -q 'memory 1' "$results/local/$project-replica-1/output.log"
  run -1 seatrial run
  [[ $output == *"project '$project' already has 3 containers there"* ]]
  [[ $output == *"seatrial down"* ]]
  [ "$(of_project | wc -l)" = 3 ]
  run -0 seatrial run --clean-remote
  nothing_is_left
}

@test "two runs at once in one project: the second is refused, the first goes on" {
  start_in_background first.out run
  first=$!
  eventually grep -q 'ok start .*loader-1' first.out
  run -1 seatrial run
  [[ $output == *"project '$project' is being run by process"* ]]
  kill -INT "$first"
  wait "$first" || status=$?
  [ "$status" = 130 ]
  nothing_is_left
}

@test "a lost request fails the trial, and is named" {
  ODD=lost ODD_ONE=1 run -1 seatrial run
  [ "$(summary .verdict)" = disagreement ]
  [[ $output == *"1 acknowledged requests are not in the chain of $project-replica-2, first: client 1 number 42"* ]]
  nothing_is_left
}

@test "a request that is twice in a chain fails the trial, and is named" {
  ODD=doubled ODD_ONE=1 run -1 seatrial run
  [ "$(summary .verdict)" = disagreement ]
  [[ $output == *"1 requests are more than once in the chain of $project-replica-2, first: client 1 number 42"* ]]
}

@test "different heights and different digests fail the trial" {
  ODD=height ODD_ONE=1 run -1 seatrial run
  [[ $output == *"$project-replica-1 is at height 100, $project-replica-2 at 99"* ]]
  ODD=digest ODD_ONE=1 run -1 seatrial run
  [ "$(summary .verdict)" = disagreement ]
}

@test "a load that was not reached fails the trial" {
  ACKNOWLEDGED=90 LOAD_EXIT=1 run -1 seatrial run
  [ "$(summary .verdict)" = load_not_reached ]
  [[ $output == *"90 of 100 requests were acknowledged"* ]]
}

@test "a replica that crashes at start: its last lines are shown, the rest is cleaned up" {
  ODD=crash ODD_ONE=1 run -1 seatrial run
  [ "$(summary .verdict)" = crashed ]
  [[ $output == *"$project-replica-2 on local ended by itself with exit status 3"* ]]
  [[ $output == *"| planted: cannot go on"* ]]
  grep -q 'stderr planted: cannot go on' "$results/local/$project-replica-2/output.log"
  nothing_is_left
}

@test "a replica that crashes under load is the first thing that the result says" {
  ODD=crash-later ODD_ONE=0 LOAD_SECONDS=3 run -1 seatrial run
  [ "$(summary .verdict)" = crashed ]
  [ "$(summary '.containers[] | select(.name | endswith("replica-1")) | .signal')" = 11 ]
  [[ $output == *"$project-replica-1 on local was ended by signal 11"* ]]
  nothing_is_left
}

@test "a replica that never gets healthy: host, container and remedy are named" {
  ODD=sick ODD_ONE=1 run -1 seatrial run --health-timeout 5s
  [[ $output == *"wait for health of '$project-replica-2' on host 'local': not healthy after 5 s"* ]]
  [[ $output == *"--health-timeout allows more time"* ]]
  nothing_is_left
}

@test "a loader that never ends is ended at its time limit, and what it has is collected" {
  sed -i 's/loader_timeout_sec: 60/loader_timeout_sec: 1/' "$folder/deployment.yaml"
  LOAD_SECONDS=3600 run -1 seatrial run
  [ "$(summary .verdict)" = failed ]
  [[ $output == *"the load did not end within 1 s"* ]]
  [ "$(summary .load.requests.sent)" = 100 ]
  nothing_is_left
}

@test "a build that fails in a step shows its output" {
  cat >"$folder/Dockerfile" <<'EOF'
FROM scratch
COPY busybox /bin/
RUN ["/bin/busybox", "sh", "-c", "echo planted >&2; exit 7"]
COPY replica.sh /bin/
COPY loader.sh /bin/
EOF
  sed -i "s/build: \./build: {context: ., network: host}/" "$folder/compose.yaml"
  run -1 seatrial run
  [[ $output == *"[2/4] RUN"* ]]
  [[ $output == *"planted"* ]]
  [[ $output == *"build '$project' on host 'local'"*"exit code: 7"* ]]
  grep -q planted "$results/build-$project.log"
  nothing_is_left
}

@test "an image that does not exist is named, with what to do" {
  sed -i "s/image: $project/image: $project-nowhere:1/; /build:/d" "$folder/compose.yaml"
  run -1 seatrial run
  [[ $output == *"there is no image '$project-nowhere:1' on the engine"* ]]
  nothing_is_left
}

@test "--no-build uses the newest local image" {
  run -1 seatrial run --no-build
  [[ $output == *"leave --no-build out"* ]]
  run -0 seatrial run
  run -0 seatrial run -noBuildConcord -noBuildLoader -inMemory
  [ "$(jq -r '.images[0].built' "$results/run.json")" = false ]
}

@test "no engine: where it was looked for, and what to do" {
  DOCKER_HOST=unix://$BATS_TEST_TMPDIR/nowhere.sock run -1 seatrial run
  [[ $output == *"$BATS_TEST_TMPDIR/nowhere.sock"* ]]
  [[ $output == *"hint:"* ]]
}

@test "the custom command runs for every replica, its output is kept" {
  cat >"$folder/sample.sh" <<'EOF'
echo "sampled $1"
EOF
  cat >>"$folder/deployment.yaml" <<'EOF'
runtime: {custom_script_path: sample.sh, custom_command: "sh sample.sh CONTAINER_ID", custom_command_run_interval_sec: 1}
EOF
  LOAD_SECONDS=1 run -0 seatrial run
  for i in 1 2; do
    id=$(jq -r .Id "$results/local/$project-replica-$i/container.json")
    grep -qx "sampled $id" "$results/local/$project-replica-$i/custom/1.out"
    [ "$(jq .exit_code "$results/local/$project-replica-$i/custom/1.json")" = 0 ]
  done
  [ "$(jq '.hosts[0].custom_command.failures' "$results/run.json")" = 0 ]
}

@test "a disk that is full under the results is said before anything is started" {
  need_root
  mkdir "$folder/results"
  mount -t tmpfs -o size=1m tmpfs "$folder/results"
  run seatrial run
  umount "$folder/results"
  [ "$status" = 1 ]
  [[ $output == *"is full"* ]]
  nothing_is_left
}

@test "a disk that fills up during the run ends it with a clear word, and cleans up" {
  need_root
  mkdir "$folder/results"
  mount -t tmpfs -o size=20m tmpfs "$folder/results"
  start_in_background full.out run
  pid=$!
  eventually grep -q 'ok start .*loader-1' full.out
  head -c 64M /dev/zero >"$folder/results/filler" || true
  kill -INT "$pid"
  wait "$pid" || status=$?
  umount "$folder/results"
  [ "$status" = 130 ]
  grep -q 'No space left on device' full.out
  nothing_is_left
}

@test "plan prints the steps and touches nothing" {
  run -0 --separate-stderr seatrial plan
  [[ ${lines[0]} == *"check"*"check-host"*"local"* ]]
  [[ $output == *"build-image"*"$project"* ]]
  [[ $output == *"remove-container"*"$project-loader-1"*"always"* ]]
  nothing_is_left
  [ ! -e "$folder/results" ]
}

@test "progress as JSON is one object per line, errors too" {
  ODD=crash ODD_ONE=0 run -1 --separate-stderr "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress json run
  printf '%s\n' "$stderr" | jq -e .event >/dev/null
  printf '%s\n' "$stderr" | grep -q '"state":"failed"'
}
