# The commands over hosts of their own, reached by SSH, with engines of several versions: what they show, hand through and
# copy; and what they say when a host is not there.

# Variables come from the environment, functions.bash or setup.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # what is quoted is for a shell elsewhere
bats_require_minimum_version 1.5.0
load ../functions
load hosts
load trial/functions

setup_file() {
  need_root
  need_engine
  local engines i address key
  engines=$(three_engines)
  need_rig 3 --engine "$engines"
  export folder=$BATS_FILE_TMPDIR/trial project=manycommands COMPOSE_PROJECT_NAME=manycommands
  cp -r "$SEATRIAL_SOURCE/tests/rig/trial/system" "$folder"
  cp /bin/busybox "$folder/busybox"
  cp "$SEATRIAL_BIN/rig_crash" "$folder/crash"
  cat >"$folder/compose.yaml" <<EOF
services:
  replica:
    image: $project
    build: .
    command: [/bin/replica.sh]
    deploy: {replicas: 3}
    network_mode: host
    healthcheck: {test: [CMD, /bin/busybox, test, -e, /seatrial/out/ready], interval: 1s}
    x-seatrial: {role: replica}
  loader:
    image: $project
    build: .
    command: [/bin/loader.sh]
    network_mode: host
    x-seatrial: {role: loader}
EOF
  {
    printf 'general: {loader_timeout_sec: 60}\nlocal: {perf_test_root: results}\n'
    printf 'credentials: {ssh_key_path: %s}\ntestbed:\n  provider: hosts\n  hosts:\n' "$RIG_KEY"
    for i in 1 2 3; do
      address=RIG_ADDRESS_$i
      key=$(awk -v address="${!address}" '$1 == address && $2 == "ssh-ed25519" { print $2, $3 }' "$RIG_KNOWN_HOSTS")
      printf '    - {name: h%s, ssh: "root@%s", host_key: "%s"}\n' "$i" "${!address}" "$key"
    done
  } >"$folder/deployment.yaml"
  seatrial up >"$folder/up.out" 2>&1 || {
    cat "$folder/up.out" >&2
    return 1
  }
}

teardown_file() {
  docker rmi --force "$project" >/dev/null 2>&1 || true
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  export DOCKER_HOST=$SEATRIAL_TEST_DOCKER_HOST
}

# there N COMMAND...: on a host, with its own engine.
there() {
  DOCKER_HOST='' rig exec "$@"
}

# With a configuration that does not wait long for hosts that are off.
impatient() {
  printf 'ConnectTimeout 2\n' >ssh_config
  seatrial --ssh-config ssh_config "$@"
}

on_host() {
  seatrial ps --quiet --machine "$1"
}

@test "ps: every container with its host, in the hosts' order; -m narrows, by patterns too" {
  [ "$(seatrial ps --format json | jq -r '.Host + " " + .Name' | xargs)" = \
    "h1 $project-replica-1 h2 $project-replica-2 h3 $project-replica-3" ]
  [ "$(seatrial ps -m 'h[13]' --format json | jq -r .Host | xargs)" = "h1 h3" ]
  [ "$(seatrial ps -m h3 -m h1 --format json | jq -r .Host | xargs)" = "h1 h3" ]
  run -2 seatrial ps -m h1 -m far
  [[ $output == *"there is no host 'far'"*"its hosts are: h1, h2, h3"* ]]
  [ "$(seatrial config --machines | xargs)" = "h1 h2 h3" ]
}

@test "ps agrees with what docker says on each host" {
  local i
  for i in 1 2 3; do
    [ "$(on_host "h$i")" = "$(there "$i" docker ps --quiet --no-trunc)" ]
  done
}

@test "logs: of all hosts" {
  run -0 --separate-stderr seatrial logs
  for i in 1 2 3; do
    [[ $output == *"$project-replica-$i | replica $((i - 1)) of run"* ]]
  done
}

@test "exec: on the host where the container is, with its exit status, stdin and a terminal" {
  run -4 --separate-stderr seatrial exec --index 2 replica /bin/busybox sh -c 'echo $SEATRIAL_INDEX; exit 4'
  [ "$output" = 1 ]
  head -c 5000000 /dev/urandom >bytes
  seatrial exec --index 3 replica /bin/busybox cat <bytes >back
  cmp bytes back
  run -1 seatrial exec -m h1 --index 2 replica true
  [[ $output == *"service 'replica' has no container 2"* ]]
  mkfifo typed
  "$SEATRIAL_BIN/rig_pty" "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" exec --index 2 replica /bin/busybox sh <typed >shown 2>left 3>&- &
  pty=$!
  exec 4>typed
  printf 'stty size; echo index $((SEATRIAL_INDEX * 10)); exit 8\n' >&4
  status=0
  wait "$pty" || status=$?
  exec 4>&-
  [ "$status" = 8 ]
  grep -q "30 90" shown
  grep -q "index 10" shown
  [ "$(cat left)" = "terminal restored" ]
}

@test "cp: to the service's containers on all hosts, and back from one" {
  head -c 3000000 /dev/urandom >bytes
  mkdir give
  cp bytes give
  run -0 seatrial cp give replica:/cores
  for i in 1 2 3; do
    there "$i" docker exec "$project-replica-$i" /bin/busybox cat /cores/give/bytes | cmp bytes -
  done
  run -0 seatrial cp --index 3 replica:/cores/give back
  cmp bytes back/bytes
  run -0 seatrial cp "$project-replica-2:/cores/give/bytes" single
  cmp bytes single
}

@test "cp: a hostile tar from a host's container writes nothing outside of the destination" {
  seatrial exec --index 2 replica /bin/busybox sh -c 'mkdir -p /cores/evil; cd /cores/evil; ln -s /tmp out; ln -s ../../up up; mkfifo pipe; echo x >ok; echo y >one
    ln one other; mknod zero c 1 5 || true'
  mkdir here
  run -0 seatrial cp --index 2 replica:/cores/evil here
  [[ $output == *"left out: "*"a symbolic link"* ]]
  [ -f here/evil/ok ]
  [ -z "$(find here -mindepth 1 ! -type f ! -type d)" ]
  [ "$(find . -mindepth 1 -maxdepth 1 | sort | xargs)" = "./here" ]
}

@test "stop and start: on all hosts or some" {
  run -0 seatrial stop -m h2
  [ "$(seatrial ps --format json | jq -r .Host | xargs)" = "h1 h3" ]
  run -0 seatrial stop
  [ -z "$(seatrial ps -q)" ]
  run -0 seatrial start --wait
  [ "$(seatrial ps -q | wc -l)" = 3 ]
}

@test "ssh: exit status, streams and stdin of a command; a shell with our terminal" {
  run -7 --separate-stderr seatrial ssh h2 'hostname; echo bad >&2; exit 7'
  [ "$output" = h2 ]
  [ "$stderr" = bad ]
  run -143 seatrial ssh h1 'kill -TERM $$'
  head -c 5000000 /dev/urandom >bytes
  seatrial ssh h3 cat <bytes >back
  cmp bytes back
  run -0 seatrial ssh h1 true </dev/null
  run -2 seatrial ssh 'h*' true
  [[ $output == *"'h*' fits 3 hosts"* ]]
  run -2 seatrial ssh nowhere true
  mkfifo typed
  "$SEATRIAL_BIN/rig_pty" "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" ssh h3 <typed >shown 2>left 3>&- &
  pty=$!
  exec 4>typed
  printf 'stty size; while ! stty size | grep -q "40 100"; do sleep 0.05; done; hostname | tr h H; exit 6\n' >&4
  eventually grep -q "30 90" shown
  kill -USR1 "$pty"
  status=0
  wait "$pty" || status=$?
  exec 4>&-
  [ "$status" = 6 ]
  grep -q H3 shown
  [ "$(cat left)" = "terminal restored" ]
}

@test "ssh: what the other side says comes at once, though we have more to type" {
  mkfifo typed
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" ssh h1 'while read -r line; do echo "got $line"; done' <typed >shown 2>/dev/null 3>&- &
  pid=$!
  exec 4>typed
  echo one >&4
  eventually grep -q "got one" shown
  echo two >&4
  eventually grep -q "got two" shown
  exec 4>&-
  wait "$pid"
}

@test "tunnel: any Docker client works through it, and nothing is left when it ends" {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" tunnel >lines 2>err 3>&- &
  pid=$!
  eventually grep -q '# h3$' lines
  [ "$(grep -c '^DOCKER_HOST=unix://' lines)" = 3 ]
  local host
  host=$(sed -n 's/^DOCKER_HOST=\(.*\) # h2$/\1/p' lines)
  [ "$(docker -H "$host" ps --format '{{.Names}}')" = "$project-replica-2" ]
  [ "$(docker -H "$host" exec -i "$project-replica-2" /bin/busybox cat <<<through)" = through ]
  [ "$(stat -c %a "$(dirname "${host#unix://}")")" = 700 ]
  kill -INT "$pid"
  status=0
  wait "$pid" || status=$?
  [ "$status" = 130 ]
  [ ! -e "${host#unix://}" ]
}

@test "tunnel: around a command, with its exit status" {
  run -0 --separate-stderr seatrial tunnel -m h3 -- docker ps --format '{{.Names}}'
  [ "$output" = "$project-replica-3" ]
  run -9 seatrial tunnel -m h1 sh -c 'exit 9'
  run -2 seatrial tunnel -- true
  [[ $output == *"one host, and there are 3"* ]]
  run -1 seatrial tunnel -m h1 -- no-such-program
  [[ $output == *"no-such-program"* ]]
}

@test "tunnel: Ctrl-C on a terminal is the command's, and the tunnel stays" {
  mkfifo typed
  "$SEATRIAL_BIN/rig_pty" "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" tunnel -m h1 -- \
    sh -c 'trap "echo caught" INT; echo begun; while ! read -r line; do :; done; docker ps --format "{{.Names}}"; exit 4' <typed >shown 2>left 3>&- &
  pty=$!
  exec 4>typed
  eventually grep -q begun shown
  printf '\003' >&4
  eventually grep -q caught shown
  printf '\n' >&4
  status=0
  wait "$pty" || status=$?
  exec 4>&-
  [ "$status" = 4 ]
  grep -q "$project-replica-1" shown
}

@test "tunnel: docker compose sees the trial through it" {
  need_part compose
  compose=$("$SEATRIAL_SOURCE/tests/rig/parts" compose)
  run -0 --separate-stderr seatrial tunnel -m h1 -- "$compose" --project-name "$project" ps --format json
  [[ $output == *"$project-replica-1"* ]]
}

@test "doctor: every host is fit, each by its own engine" {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress json doctor >checks
  [ "$(jq -r 'select(.check == "login") | .host + " " + .result' checks | xargs)" = "h1 good h2 good h3 good" ]
  [ "$(jq -r 'select(.check == "engine") | .result' checks | xargs)" = "good good good" ]
  [ "$(jq -r 'select(.check == "clock") | .result' checks | xargs)" = "good good good" ]
  [ "$(jq -r 'select(.check == "limits") | .text' checks | sort -u)" = "a process may open $(cat /proc/sys/fs/nr_open) files" ]
  for i in 1 2 3; do
    version=$(there "$i" docker version --format '{{.Server.Version}}')
    [[ $(jq -r "select(.check == \"engine\" and .host == \"h$i\") | .text" checks) == "$version, "* ]]
  done
}

@test "doctor: a wrong host key, a wrong user, an engine that is stopped, each with a remedy" {
  sed "s/ssh-ed25519 AAAA[^\"]*/SHA256:$(printf '%043d' 0)/" "$folder/deployment.yaml" >"$folder/wrong.yaml"
  run -1 --separate-stderr "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" -d "$folder/wrong.yaml" doctor -m h1
  [[ $output == *"h1 "*"login "*"failed "*"host key"* ]]
  [[ $output == *"h1, login: "* ]]
  sed "s/root@/nobody-here@/" "$folder/deployment.yaml" >"$folder/wrong.yaml"
  run -1 --separate-stderr "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" -d "$folder/wrong.yaml" doctor -m h2
  [[ $output == *"h2 "*"login "*"failed "*"nobody-here"* ]]
  [[ $output == *"h2, login: "* ]]
  rm "$folder/wrong.yaml"
  rig engine 3 stop
  run -1 --separate-stderr seatrial doctor -m h3
  rig engine 3 start
  [[ $output == *"h3 "*"login "*"good "* ]]
  [[ $output == *"h3 "*"engine "*"failed "* ]]
  [[ $output == *"h3, engine: "* ]]
  [[ $output == *"h3 "*"core dumps "*"good "* ]]
}

@test "a host that is off is named, the others are shown, and the exit status says it" {
  seatrial start --wait # the stopped engine has ended its container
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" exec --index 2 replica /bin/busybox sh -c 'echo begun; sleep 3600' >shown 2>err 3>&- &
  pid=$!
  eventually grep -q begun shown
  rig powercut 2
  status=0
  wait "$pid" || status=$?
  [ "$status" = 1 ]
  grep -q "host 'h2': " err
  grep -q "may still run in container '$project-replica-2'" err
  run -1 --separate-stderr impatient ps --format json
  [ "$(jq -r .Host <<<"$output" | xargs)" = "h1 h3" ]
  [[ $stderr == *"host 'h2'"* ]]
  run -1 --separate-stderr impatient exec --index 2 replica true
  [[ $stderr == *"host 'h2'"*"no container 2 on the hosts that answered"* ]]
  run -255 impatient ssh h2 true
  [[ $output == *"host 'h2'"* ]]
  run -1 --separate-stderr impatient doctor -m h2
  [[ $output == *"h2 "*"login "*"failed "*"h2, login: see whether it runs"* ]]
  rig reboot 2
  run -0 seatrial start --wait
  [ "$(seatrial ps -q | wc -l)" = 3 ]
}

@test "tunnel: a lost connection and its return are told, and clients go on" {
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain tunnel -m h1 >lines 2>err 3>&- &
  pid=$!
  eventually grep -q '# h1$' lines
  host=$(sed -n 's/^DOCKER_HOST=\(.*\) # h1$/\1/p' lines)
  rig cut 1
  eventually grep -q 'host h1: the connection is lost' err
  rig heal 1
  eventually grep -q 'host h1: connected again' err
  [ "$(docker -H "$host" ps --format '{{.Names}}')" = "$project-replica-1" ]
  kill -TERM "$pid"
  status=0
  wait "$pid" || status=$?
  [ "$status" = 143 ]
}
