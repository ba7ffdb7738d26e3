# What people do with a trial that runs: look at it, stop and start it, copy files out and in.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../functions
load trial/functions

setup() {
  prepare_trial
  cat >>"$folder/compose.yaml" <<EOF
  helper:
    image: $project
    command: [-c, "echo helping; trap 'exit 0' TERM; while :; do /bin/busybox sleep 3600 & wait \$\$!; done"]
    depends_on: {replica: {condition: service_started}}
    network_mode: host
EOF
  cd "$folder" || return
}

teardown() {
  sweep_trial
}

start_trial() {
  seatrial up >run.out 2>&1 || {
    cat run.out
    return 1
  }
}

names() {
  seatrial ps --format json "$@" | jq -r .Name | xargs
}

inside() {
  docker exec "$project-$1" /bin/busybox "${@:2}"
}

@test "ps: a table with hosts, JSON with Compose's names, ids, services; stopped ones with --all" {
  start_trial
  run -0 --separate-stderr seatrial ps
  [ "${#lines[@]}" = 4 ]
  [[ ${lines[0]} == "NAME "*"HOST "*"IMAGE "*"COMMAND "*"SERVICE "*"CREATED "*"STATUS "*"PORTS" ]]
  [[ ${lines[1]} == "$project-helper-1 "*" local "*"$project "*'"/bin/busybox sh -c …"'*" helper "*"Up "* ]]
  [ "$(names replica)" = "$project-replica-1 $project-replica-2" ]
  [ "$(names "$project-replica-2")" = "$project-replica-2" ]
  [ "$(seatrial ps --services | xargs)" = "helper replica" ]
  docker ps --quiet --no-trunc --filter "label=com.docker.compose.project=$project" | sort >ids
  seatrial ps --quiet | sort | diff ids -
  docker kill "$project-replica-2"
  [ "$(names replica)" = "$project-replica-1" ]
  seatrial ps --all --format json replica | jq -s 'map(select(.Service == "replica" and .Host == "local"))' >all
  [ "$(jq -r 'map(select(.State == "exited")) | .[0].ExitCode' all)" = 137 ]
  [ "$(jq -r 'map(.Role) | unique | join(" ")' all)" = replica ]
}

@test "up: starts all but the load and returns when they are healthy; what runs is left, what is stopped is said" {
  run -0 --separate-stderr seatrial up -d
  [ "$(names | wc -w)" = 3 ]
  docker exec "$project-replica-2" /bin/busybox test -e /seatrial/out/ready
  docker inspect --format '{{.Id}}' "$project-replica-1" >id
  run -0 seatrial up
  [[ $output == *"all 3 containers of project '$project' run"* ]]
  [ "$(docker inspect --format '{{.Id}}' "$project-replica-1")" = "$(<id)" ]
  docker kill "$project-replica-1"
  run -1 seatrial up
  [[ $output == *"3 containers there, and 1 are stopped"*"seatrial start"* ]]
}

@test "doctor: what is so on each host, and what to do; 1 if something failed" {
  start_trial
  run -0 --separate-stderr seatrial doctor
  [[ $output == *"local "*"engine "*"good "*", API 1."* ]]
  [[ $output == *"local "*"place "*"warning "*"'$project' has 3 containers there"* ]]
  [[ $output == *"registry "*"not checked"* ]]
  [[ $output == *"local, place: "*"seatrial down"* ]]
  "$SEATRIAL_BIN/seatrial" --progress json doctor >checks
  [ "$(jq -r 'select(.result == "good") | .check' checks | grep -c -e engine -e disk -e limits -e clock)" = 4 ]
  DOCKER_HOST=unix://$folder/none run -1 --separate-stderr seatrial doctor
  [[ $output == *"engine "*"failed "*"$folder/none"* ]]
  [[ $output == *"place "*"not checked"* ]]
  [[ $output == *"local, engine: start the Docker Engine"* ]]
}

@test "a word that is neither service nor container is an error, with the nearest" {
  start_trial
  local command
  for command in ps logs stop start; do
    run -1 seatrial "$command" relpica
    [[ $output == *"neither a service nor a container 'relpica'"*"did you mean 'replica'?"* ]]
  done
}

@test "logs: all containers with their names in front, or chosen ones without" {
  start_trial
  run -0 --separate-stderr seatrial logs
  [[ $output == *"$project-helper-1  | helping"* ]]
  [[ $output == *"$project-replica-2 | replica 1 of run"* ]]
  run -0 --separate-stderr seatrial logs --no-log-prefix helper
  [ "$output" = helping ]
}

@test "logs --follow: until the containers end, or Ctrl-C" {
  start_trial
  "$SEATRIAL_BIN/seatrial" logs --follow >followed 2>followed.err 3>&- &
  follower=$!
  eventually grep -q 'replica 1 of run' followed
  seatrial stop
  wait "$follower"
  grep -q 'last words of 1' followed
  seatrial start
  rm followed # it has the words that are waited for
  "$SEATRIAL_BIN/seatrial" logs --follow replica >followed 2>followed.err 3>&- &
  follower=$!
  eventually grep -q 'replica 1 of run' followed
  kill -INT "$follower"
  status=0
  wait "$follower" || status=$?
  [ "$status" = 130 ]
  [ ! -s followed.err ]
}

@test "stop and start: dependent services stop first and start last, what is done already is no error" {
  start_trial
  run -0 --separate-stderr seatrial stop
  [[ $stderr == *"$project-helper-1 on local: stopped"*"$project-replica-1 on local: stopped"* ]]
  [ -z "$(names)" ]
  run -0 --separate-stderr seatrial stop
  [[ $stderr != *stopped* ]]
  run -0 --separate-stderr seatrial start
  [[ $stderr == *"$project-replica-2 on local: started"*"$project-helper-1 on local: started"* ]]
  [ "$(names | wc -w)" = 3 ]
  run -0 seatrial stop --timeout 0 replica
  [ "$(names)" = "$project-helper-1" ]
  run -0 seatrial start "$project-replica-2"
  [ "$(names)" = "$project-helper-1 $project-replica-2" ]
}

@test "start --wait: until they are healthy; one that ends instead is an error that names it" {
  start_trial
  seatrial stop
  run -0 seatrial start --wait
  inside replica-2 rm /seatrial/out/ready /seatrial/cluster.yaml # without which it never is
  seatrial stop
  run -1 seatrial start --wait-timeout 10s
  [[ $output == *"host 'local': wait until container '$project-replica-2' is healthy"* ]]
  [[ $output != *"container '$project-replica-1' is healthy"* ]]
  seatrial stop
  docker run --detach --name "$project-broken-1" --network none --label "com.docker.compose.project=$project" \
    --label com.docker.compose.service=replica --label com.docker.compose.container-number=9 \
    --label "io.seatrial.owner=$(docker inspect --format '{{index .Config.Labels "io.seatrial.owner"}}' "$project-replica-1")" \
    --health-cmd "exit 1" "$project" -c "exit 9" # never healthy, so that it is waited for until it ends
  docker wait "$project-broken-1"
  run -1 seatrial start --wait "$project-broken-1"
  [[ $output == *"$project-broken-1"*"ended with exit status 9"* ]]
}

@test "cp: files and folders into all containers of a service, or one" {
  start_trial
  mkdir -p give/sub
  echo one >give/one
  echo two >give/sub/two
  chmod 750 give/sub/two
  ln -s one give/link
  mkfifo give/fifo
  run -0 seatrial cp give replica:/cores
  [[ $output == *"copied give to $project-replica-2:/cores on local"*"left out: "*"fifos"* ]]
  for i in 1 2; do
    [ "$(inside "replica-$i" cat /cores/give/sub/two /cores/give/link | xargs)" = "two one" ]
    [ "$(inside "replica-$i" stat -c '%a %u %Y' /cores/give/sub/two)" = "750 0 $(stat -c %Y give/sub/two)" ]
    inside "replica-$i" test -L /cores/give/link
  done
  run -0 seatrial cp give/. replica:/cores/deep
  [ "$(inside replica-2 cat /cores/deep/one)" = one ]
  run -0 seatrial cp --index 1 give/one replica:/cores/renamed
  inside replica-1 test -f /cores/renamed
  run ! inside replica-2 test -e /cores/renamed
  run -0 seatrial cp "give/one" "$project-replica-2:/cores/renamed"
  [ "$(inside replica-2 cat /cores/renamed)" = one ]
  tar --create give/sub | seatrial cp --index 1 - replica:/
  [ "$(inside replica-1 cat /give/sub/two)" = two ]
}

@test "cp: what cannot be copied in is refused, and says where" {
  start_trial
  mkdir give
  touch give/file
  run -1 seatrial cp give/file replica:/nowhere/file
  [[ $output == *"host 'local'"*"'/nowhere'"*"$project-replica-2"* ]]
  run -1 seatrial cp give/file replica:/nowhere/
  [[ $output == *"container '$project-replica-1' has no '/nowhere/'"* ]]
  run -1 seatrial cp give replica:/bin/busybox
  [[ $output == *"'/bin/busybox' of container '$project-replica-1' is a file"* ]]
  run -1 seatrial cp missing replica:/cores
  [[ $output == *"'missing'"*"No such file"* ]]
  run -1 seatrial cp give/file/ replica:/cores
  [[ $output == *"'give/file/' is no folder"* ]]
  run -2 seatrial cp - replica:/ <give/file
  [[ $output == *"'replica' has 2"*"--index"* ]]
  inside replica-1 mkdir -p /cores/over/file
  run -1 seatrial cp --index 1 give/. replica:/cores/over
  inside replica-1 test -d /cores/over/file
}

@test "cp: files and folders out of a container, joining what is there" {
  start_trial
  inside replica-1 sh -c 'mkdir -p /give/sub; cd /give; echo one >one; echo two >sub/two; ln -s one link'
  run -0 seatrial cp replica:/seatrial/cluster.yaml .
  [[ $(<cluster.yaml) == *"$project-replica-1"* ]]
  run -0 seatrial cp --index 2 replica:/seatrial/cluster.yaml named.yaml
  diff cluster.yaml named.yaml
  mkdir out
  run -0 seatrial cp replica:/give out
  [[ $output == *"left out: './link' (a symbolic link)"* ]]
  [ "$(cat out/give/one out/give/sub/two | xargs)" = "one two" ]
  echo mine >out/mine
  echo old >out/one
  run -0 seatrial cp replica:/give/. out
  [ "$(cat out/one out/sub/two out/mine | xargs)" = "one two mine" ]
  run -0 seatrial cp replica:/give fresh
  [ "$(cat fresh/one)" = one ]
  run -0 seatrial cp -L replica:/give/link followed
  [ "$(cat followed)" = one ]
  seatrial cp replica:/give - | tar --list | grep -q '^give/sub/two$'
  [ -z "$(find . -name '.seatrial-cp-*')" ]
}

@test "cp: what cannot be copied out is refused, and nothing is left behind" {
  start_trial
  inside replica-1 sh -c 'cd /cores; echo x >file'
  mkdir -p here/file
  run -1 seatrial cp replica:/none .
  [[ $output == *"container '$project-replica-1' has no '/none'"* ]]
  run -1 seatrial cp replica:/cores/file nowhere/
  [[ $output == *"no folder 'nowhere/'"* ]]
  run -1 seatrial cp replica:/cores/file nowhere/file
  run -1 seatrial cp replica:/cores compose.yaml
  [[ $output == *"'compose.yaml' is a file"* ]]
  run -1 seatrial cp replica:/cores/. here
  [[ $output == *"'here/file' is a folder here"* ]]
  inside replica-1 ln -s /etc /cores/link
  run -1 seatrial cp replica:/cores/link .
  [[ $output == *"is a symbolic link"*"--follow-link"* ]]
  [ -z "$(find . -name '.seatrial-cp-*')" ]
}

@test "cp: a link of ours inside of the destination is not followed" {
  start_trial
  inside replica-1 sh -c 'mkdir -p /cores/way; echo evil >/cores/way/file; echo evil >/cores/leaf'
  mkdir victim out
  ln -s ../victim out/way
  ln -s victim/leaf out/leaf
  run -1 seatrial cp replica:/cores/. out
  [[ $output == *"'out/way' is no folder here"* ]]
  [ -z "$(ls victim)" ]
  rm out/way
  run -0 seatrial cp replica:/cores/. out
  [ -z "$(ls victim)" ]
  [ "$(cat out/leaf)" = evil ]
  [ ! -L out/leaf ]
}
