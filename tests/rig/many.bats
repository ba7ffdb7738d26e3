# Trials over many hosts: what reaches them, what comes home, and what people find to work with.

# Variables come from functions.bash and the rig; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts

setup_file() {
  [ -n "${SEATRIAL_TEST_DOCKER_HOST:-}" ] || return 0
  need_rig 3 # hosts.bats has more
}

teardown_file() {
  [ -z "${RIG_ROOT:-}" ] || rig down
}

setup() {
  need_engine
  cd "$BATS_TEST_TMPDIR" || return
  project=m$(printf %s "$BATS_TEST_TMPDIR" | sha256sum | cut -c1-8)
  folder=$BATS_TEST_TMPDIR/trial
  results=$folder/results/latest
  cp -r "$BATS_TEST_DIRNAME/trial/system" "$folder"
  cp /bin/busybox "$folder/busybox"
  cp "$SEATRIAL_BIN/rig_crash" "$folder/crash"
  export COMPOSE_PROJECT_NAME=$project
  export ODD='' ODD_ONE='' LOAD_SECONDS='' LOAD_EXIT='' ACKNOWLEDGED=''
  write_compose
  write_deployment
}

teardown() {
  local n
  for n in $(seq "${RIG_HOSTS:-0}"); do
    on "$n" ps --all --quiet | xargs --no-run-if-empty docker --host "$(socket "$n")" rm --force >/dev/null
    on "$n" volume ls --quiet | xargs --no-run-if-empty docker --host "$(socket "$n")" volume rm >/dev/null
  done
  docker rmi --force "$project" >/dev/null 2>&1 || true
}

write_compose() {
  cat >"$folder/compose.yaml" <<END
services:
  replica:
    image: $project
    build: .
    command: [/bin/replica.sh]
    environment: [ODD, ODD_ONE]
    deploy: {replicas: 2}
    network_mode: host
    healthcheck: {test: [CMD, /bin/busybox, test, -e, /seatrial/out/ready]}
    x-seatrial: {role: replica, cores: /cores}
  loader:
    image: $project
    build: .
    command: [/bin/loader.sh]
    environment: [LOAD_SECONDS, LOAD_EXIT, ACKNOWLEDGED]
    network_mode: host
    x-seatrial: {role: loader}
END
}

write_deployment() {
  cat >"$folder/deployment.yaml" <<END
general: {num_of_replicas: 2, loader_cli: "-b 100", loader_timeout_sec: 60}
local: {perf_test_root: results}
testbed:
  provider: hosts
  hosts: [{ssh: h1}, {ssh: h2}, {ssh: h3}]
END
}

seatrial() {
  "$SEATRIAL_BIN/seatrial" --ssh-config "$RIG_SSH_CONFIG" -f "$folder/compose.yaml" --progress plain "$@" 3>&-
}

# The engine of host N, past all that is tested here.
socket() {
  local name=RIG_SOCKET_$1
  printf 'unix://%s' "${!name}"
}

on() {
  docker --host "$(socket "$1")" "${@:2}"
}

# Whatever of this project is on the engine of host N.
of_project() {
  on "$1" ps --all --quiet --filter "label=com.docker.compose.project=$project"
  on "$1" network ls --quiet --filter "label=com.docker.compose.project=$project"
  on "$1" volume ls --quiet --filter "label=com.docker.compose.project=$project"
}

nothing_is_left() {
  local n
  for n in 1 2 3; do
    [ -z "$(of_project "$n")" ] || return 1
  done
}

run_json() {
  jq --raw-output "$1" "$results/run.json"
}

@test "two replicas and a loader on hosts of their own: results equal in shape to a local trial's" {
  local before n
  before=$(for n in 1 2 3; do rig connections "$n"; done | paste -sd+ | bc)
  run -0 --separate-stderr seatrial run
  [[ $output == *"verdict     good"* ]]
  [[ $output == *"agreement   yes: 2 replicas, height 100, digest cafe"* ]]
  [ "$(for n in 1 2 3; do rig connections "$n"; done | paste -sd+ | bc)" = $((before + 3)) ]
  for n in 1 2; do
    grep -q "stdout last words of $((n - 1))" "$results/h$n/$project-replica-$n/output.log"
  done
  grep -q 'stdout load with -b 100' "$results/h3/$project-loader-1/output.log"
  [ "$(run_json '[.hosts[] | select(.ssh) | .name] | join(" ")')" = "h1 h2 h3" ]
  [ "$(run_json '[.hosts[] | select(.ssh) | .ssh.user] | unique | join(" ")')" = root ]
  [ "$(run_json '.hosts[0].ssh.address')" = "$RIG_ADDRESS_1" ]
  run_json '.hosts[0] | .clock_uncertain_ns > 0 and .disk_free_bytes > 0 and .reconnects == 0' | grep -qx true
  [ "$(run_json '[.stages[].outcome] | unique | join(",")')" = good ]
  [ "$(run_json '.images[0].hosts | keys | join(" ")')" = "builder h1 h2 h3" ]
  [ "$(run_json '[.images[0].hosts[]] | unique | length')" = 1 ]
  nothing_is_left
}

@test "images go to the hosts that lack them, and only to those" {
  local n
  for n in 1 2 3; do # an earlier test's image has the same content, whatever its name
    on "$n" images --quiet | sort -u | xargs --no-run-if-empty docker --host "$(socket "$n")" rmi --force
  done
  run -0 seatrial run
  run ! grep -q 'has it already' <<<"$output"
  run -0 seatrial run
  [ "$(grep -c 'has it already' <<<"$output")" = 3 ]
  on 3 rmi --force "$project"
  # Host 2 has the image, but under another name.
  on 2 tag "$project" "$project:other"
  on 2 rmi "$project"
  run -0 seatrial run
  [ "$(grep -c 'has it already' <<<"$output")" = 2 ]
  grep -q 'transfer .* on h3' <<<"$output"
  [ "$(on 2 image inspect --format '{{.Id}}' "$project")" = "$(docker image inspect --format '{{.Id}}' "$project")" ]
  on 2 rmi "$project:other"
}

@test "an image without a build comes from this machine's engine; one that nobody has is named" {
  run -0 seatrial run
  sed -i '/build: ./d' "$folder/compose.yaml"
  on 2 rmi --force "$project"
  run -0 seatrial run
  sed -i "s/image: $project/image: 127.0.0.1:9\/$project-nowhere/" "$folder/compose.yaml"
  run -1 seatrial run
  [[ $output == *"image '127.0.0.1:9/$project-nowhere' is on no engine of ours, and pulling it failed"* ]]
  nothing_is_left
}

@test "the SSH configuration beside the results lets people in by name, and the inventories know the roles" {
  run -0 seatrial run
  [ "$(ssh -F "$results/ssh_config" h2 hostname </dev/null)" = h2 ]
  [ "$(ssh -F "$results/ssh_config" h3 id -un </dev/null)" = root ]
  [ "$(stat --format %a "$results/ssh_config")" = 600 ]
  run ! grep -rq PRIVATE "$results"
  grep -qx "h1 ansible_host=$RIG_ADDRESS_1 ansible_port=22 ansible_user=root" "$results/inventory.ini"
  [ "$(sed -n '/^\[loader\]/,/^$/p' "$results/inventory.ini" | xargs)" = "[loader] h3" ]
  grep -q "\"h1\": {ansible_host: \"$RIG_ADDRESS_1\", ansible_port: 22, ansible_user: \"root\"}" "$results/inventory.yaml"
}

@test "a host that is pinned in the deployment can be reached by the SSH configuration alone" {
  local key
  key=$(awk -v a="$RIG_ADDRESS_1" '$1 == a && $2 == "ssh-ed25519" {print $2 " " $3}' "$RIG_KNOWN_HOSTS")
  cat >"$folder/config" <<END
Host *
  User root
  IdentityFile $RIG_KEY
  UserKnownHostsFile /dev/null
  GlobalKnownHostsFile /dev/null
END
  sed -i 's/replicas: 2/replicas: 1/' "$folder/compose.yaml"
  cat >"$folder/deployment.yaml" <<END
general: {num_of_replicas: 1, loader_timeout_sec: 60}
testbed:
  provider: hosts
  hosts: [{name: one, ssh: "$RIG_ADDRESS_1", host_key: "$key"}]
END
  run -0 "$SEATRIAL_BIN/seatrial" --ssh-config "$folder/config" -f "$folder/compose.yaml" --progress plain run
  results=$folder/results/latest
  [ "$(ssh -F "$results/ssh_config" one hostname </dev/null)" = h1 ]
}

@test "the custom command runs on the container's host, its output comes home, nothing stays there" {
  cat >"$folder/sample.sh" <<'END'
#!/bin/sh
echo "sample of $1 on $(hostname), $CONTAINER_NAME, number $SEATRIAL_INDEX"
END
  cat >>"$folder/deployment.yaml" <<END
runtime: {custom_script_path: sample.sh, custom_command: "./sample.sh CONTAINER_ID", custom_command_run_interval_sec: 1}
END
  LOAD_SECONDS=2 run -0 seatrial run
  local n
  for n in 1 2; do
    [ "$(cat "$results/h$n/$project-replica-$n/custom/1.out")" = \
      "sample of $(jq -r .Id "$results/h$n/$project-replica-$n/container.json") on h$n, $project-replica-$n, number $((n - 1))" ]
    [ "$(jq .exit_code "$results/h$n/$project-replica-$n/custom/1.json")" = 0 ]
    [ -z "$(rig exec "$n" sh -c 'ls -d /tmp/seatrial-* 2>/dev/null')" ]
  done
  [ "$(run_json '[.hosts[] | select(.custom_command) | .custom_command.failures] | add')" = 0 ]
}

@test "a custom command that would not end is ended on its host" {
  cat >>"$folder/deployment.yaml" <<END
runtime: {custom_command: "echo begun; exec sleep 98765", custom_command_run_interval_sec: 600}
END
  LOAD_SECONDS=2 run -0 seatrial run
  [ "$(cat "$results/h1/$project-replica-1/custom/1.out")" = begun ]
  local n
  for n in 1 2; do
    run ! rig exec "$n" pgrep -f 'sleep 98765'
  done
}

@test "what is prepared reaches every container on every host, and neither the results nor the logs" {
  cat >>"$folder/compose.yaml" <<END
  keys:
    image: $project
    command: [-c, "/bin/busybox mkdir -p /made/keys && umask 077 && printf 'kept s3%s\\n' cret >/made/keys/key"]
    network_mode: host
    x-seatrial: {role: prepare, output: /made/keys}
END
  sed -i 's|test: \[CMD, /bin/busybox, test, -e, /seatrial/out/ready\]|test: [CMD, /bin/busybox, grep, -q, "kept s3c", /made/keys/key]|' \
    "$folder/compose.yaml"
  sed -i 's|cores: /cores}|cores: /cores, collect: [/made]}|' "$folder/compose.yaml"
  run -0 seatrial run
  [[ $output == *"verdict     good"* ]]
  run ! grep -rq 's3cret' "$folder/results"/*/h*
  [ -d "$results/h1/$project-replica-1/made" ]
  [ ! -e "$results/h1/$project-replica-1/made/keys" ]
  nothing_is_left
}

@test "volumes are a host's own, of one run, and gone with it; one that is there already is not touched" {
  cat >>"$folder/compose.yaml" <<END
volumes: {state: {}}
END
  sed -i 's|x-seatrial: {role: replica|volumes: [state:/state]\n    x-seatrial: {role: replica|' "$folder/compose.yaml"
  run -0 seatrial up
  on 2 volume inspect "${project}_state"
  run -0 seatrial collect
  run -0 seatrial load
  run -0 seatrial down
  nothing_is_left
  on 2 volume create "${project}_state"
  run -1 seatrial run
  [[ $output == *"on host 'h2'"*"volume '${project}_state' is there already, and is not of this run"* ]]
  on 2 volume inspect "${project}_state"
  on 2 volume rm "${project}_state"
  nothing_is_left
}

@test "what an earlier trial left is said, --clean-remote removes it, and nothing of others is touched" {
  run -0 seatrial run --keep
  run -1 seatrial run
  [[ $output == *"project '$project' already has 1 containers there"* ]]
  # Every host is looked at, not only the first that has something to say.
  [ "$(grep -c 'FAILED check h[1-3] ' <<<"$output")" = 3 ]
  run -0 seatrial run --clean-remote
  nothing_is_left
  on 3 create --name "$project-other" --label "com.docker.compose.project=$project" "$project"
  run -1 seatrial run --clean-remote
  [[ $output == *"on host 'h3'"*"they are not ours"* ]]
  on 3 inspect "$project-other"
  on 3 rm "$project-other"
  nothing_is_left
}

@test "images are built by an engine on another machine when DOCKER_HOST says ssh://" {
  DOCKER_HOST=ssh://h3 run -0 seatrial run
  [ "$(on 3 image inspect --format '{{.Id}}' "$project")" = "$(on 1 image inspect --format '{{.Id}}' "$project")" ]
  run ! docker image inspect "$project"
  nothing_is_left
}

@test "a local trial runs on another machine's engine when DOCKER_HOST says ssh://" {
  cat >"$folder/deployment.yaml" <<END
general: {num_of_replicas: 2, loader_timeout_sec: 60}
END
  sed -i 's/network_mode: host/network_mode: none/' "$folder/compose.yaml"
  DOCKER_HOST=ssh://h2 run -0 seatrial run
  [ "$(run_json '.hosts[0].ssh.address')" = "$RIG_ADDRESS_2" ]
  grep -q 'stdout last words of 1' "$results/local/$project-replica-2/output.log"
  nothing_is_left
}

@test "one host that does not answer: the others are looked at, nothing is made anywhere" {
  rig cut 2
  sed "s/^Host \*$/&\n  ConnectTimeout 2/" "$RIG_SSH_CONFIG" >config
  run -1 "$SEATRIAL_BIN/seatrial" --ssh-config config -f "$folder/compose.yaml" --progress plain run
  rig heal 2
  [[ $output == *"check 'h2' on host 'h2': "* ]]
  local n
  for n in 1 3; do
    [[ $output == *"ok check h$n"* ]]
  done
  [ "$(run_json '[.hosts[] | select(.engine.version == null) | .name] | join(" ")')" = h2 ]
  nothing_is_left
}
