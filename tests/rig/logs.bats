# Logs under faults: while ten containers write a million numbered lines at full speed, their tunnels are cut three times, an
# engine is restarted below its running containers, and a host loses its power and the end of a log with it. Every line
# that the engines have is in our files once and in order, and what they have lost is a gap. LOGS_LINES: of each container.

# Variables come from the environment and from hosts.bash.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts

setup_file() {
  need_root
  need_engine # the builder
  need_rig 4 --engine "$(three_engines)"
}

teardown_file() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
  docker rmi --force riglogs >/dev/null 2>&1 || true
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  folder=$BATS_TEST_TMPDIR/trial project=riglogs results=$BATS_TEST_TMPDIR/trial/results/latest amount=${LOGS_LINES:-100000}
  export COMPOSE_PROJECT_NAME=$project
  mkdir "$folder"
  cp /bin/busybox "$folder"
  printf 'FROM scratch\nCOPY busybox /busybox\nSTOPSIGNAL SIGKILL\n' >"$folder/Dockerfile"
  write_services
  local n
  {
    echo 'local: {perf_test_root: results}'
    testbed | sed -E 's/\{name: (h[123]),/{fleet: writers, name: \1,/'
  } >"$folder/deployment.yaml"
  for ((n = 1; n <= RIG_HOSTS; n++)); do rig exec $n sh -c 'rm -rf /run/go; mkdir /run/go'; done
  prepare_hosts
  { printf '%s\n' 'ServerAliveInterval 1' 'ServerAliveCountMax 3' && cat "$RIG_SSH_CONFIG"; } >"$ssh_config.new"
  mv "$ssh_config.new" "$ssh_config"
}

teardown() {
  [ -z "${background:-}" ] || kill -KILL "$background" 2>/dev/null || true
  rig reset
  seatrial down >/dev/null 2>&1 || true
}

# Each writer prints $amount numbered lines as soon as its host has /run/go/now; the loader ends the trial by /run/go/end.
write_services() {
  {
    echo services:
    writer_service writer 10
    cat <<END
  loader:
    image: $project
    build: .
    command: [/busybox, sh, -c, "until [ -e /go/end ]; do /busybox sleep 0.1; done"]
    network_mode: host
    volumes: ["/run/go:/go:ro"]
    x-seatrial: {role: loader}
END
  } >"$folder/compose.yaml"
}

# NAME, how many, and more keys.
writer_service() {
  cat <<END
  $1:
    image: $project
    build: .
    command: [/busybox, sh, -c, "until [ -e /go/now ]; do /busybox sleep 0.05; done; /busybox seq $amount; exec /busybox sleep 3600"]
    network_mode: host
    volumes: ["/run/go:/go:ro"]
    deploy: {replicas: $2}
    x-seatrial: {role: replica, fleet: writers, per_host: 4}
    ${3:-}
END
}

# How many lines of writers on these hosts have come, at least.
come() {
  local least=$1 n files=()
  shift
  for n in "$@"; do files+=("$results/h$n"/*/output.log); done
  [ "$(cat "${files[@]}" 2>/dev/null | wc -l)" -ge "$least" ]
}

came_of_rotated() {
  [ "$(cat "$results"/h[123]/*rotated*/output.log 2>/dev/null | wc -l)" -ge "$1" ]
}

all_written() {
  local n
  # shellcheck disable=SC2016 # of the host
  for n in 1 2 3; do
    ! rig exec $n sh -c 'for c in $(docker ps --quiet --filter name=writer --filter name=rotated); do docker logs --tail 1 $c; done' |
      grep -vqx "$amount" || return 1
  done
}

printed() {
  grep -qE "$1" out
}

end_sessions() {
  local n
  # shellcheck disable=SC2016 # of the host
  for n in "$@"; do rig exec "$n" sh -c 'kill $(pgrep -f "^sshd: root")' || true; done
}

# What was not yet on the disk of h3, of one container: all that we do not have, and a hundred lines that we have. Its folder
# is $lost.
lose_end() {
  local log folders=("$results"/h3/*writer*)
  lost=${folders[0]}
  for log in "$SEATRIAL_RIG_ROOT"/h3/docker/containers/*/*-json.log; do
    grep -q "\"/$(basename "$lost")\"" "${log%/*}/config.v2.json" || continue
    head -n $(($(wc -l <"$lost/output.log") - 100)) "$log" >cut_off
    cat cut_off >"$log"
  done
}

# The files of the engine on a host, of a container: its own log, as "stream line".
engine_log() {
  local id
  id=$(jq --raw-output .Id "$1/container.json")
  sed -E 's/^\{"log":"(.*)\\n","stream":"(std...)".*/\2 \1/' "$SEATRIAL_RIG_ROOT/$2/docker/containers/$id/$id-json.log"
}

our_log() {
  sed -E '/^[^ ]+ gap since /d; s/^[^ ]+ //' "$1/output.log"
}

# Numbers count up by one, but for gaps that are said; the first behind one may be half a line.
check_numbers() {
  awk '$2 == "gap" { gap = 2; next }
    gap > 0 || $3 == last + 1 { last = $3; gap--; next }
    { print FILENAME ": " $3 " after " last " without a gap"; exit 1 }' "$1/output.log"
}

# Of a log that rotates, engines can lose what nobody had read yet, and nothing tells. What can be told is at the end of what
# we had, the line with that number.
check_rotated() {
  awk -v seam="$2" '$2 == "gap" { gap = 2; next }
    gap > 0 || $3 == last + 1 || ($3 > last && last != seam) { last = $3; gap--; next }
    { print FILENAME ": " $3 " after " last; exit 1 }' "$1/output.log"
}

gaps_of() {
  jq --raw-output --arg name "$1" ".containers[] | select(.name == \$name) | .log_gaps[] | $2" "$results/run.json"
}

@test "a million lines over broken tunnels, a restarted engine and a power cut: each line once, each gap said" {
  local n who host
  rig exec 2 sh -c 'echo "{\"live-restore\": true}" >/etc/docker/daemon.json'
  rig engine 2 stop && rig engine 2 start
  "$SEATRIAL_BIN/seatrial" --ssh-config "$ssh_config" -f "$folder/compose.yaml" --progress plain --reconnect-timeout 60s \
    run --keep >out 2>&1 3>&- &
  background=$!
  eventually printed "ok start $project-loader-1"
  for n in 1 2 3; do rig exec $n touch /run/go/now; done

  eventually come $((amount / 2)) 1 2 3
  end_sessions 1 2 3
  eventually come "$amount" 3
  rig powercut 3
  lose_end
  rig engine 2 stop && rig engine 2 start
  rig cut 1
  eventually printed "host 'h1' does not answer"
  rig heal 1
  rig reboot 3
  end_sessions 2
  eventually printed "host 'h3' is back"
  end_sessions 1 2 3
  eventually grep -qs " stdout $amount\$" "$results"/h1/*writer*/output.log
  eventually come $((amount * 3)) 2
  rig exec 4 touch /run/go/end
  wait "$background" && status=0 || status=$?
  background=
  cat out
  [ "$status" = 1 ] # containers of h3 have ended by themselves

  for who in "$results"/h[123]/*writer*; do
    host=$(basename "$(dirname "$who")")
    check_numbers "$who"
    engine_log "$who" "$host" >theirs
    our_log "$who" >ours
    if [ "$who" = "$lost" ]; then
      head -n "$(wc -l <theirs)" ours | cmp - theirs
      [ "$(gaps_of "$(basename "$who")" 'select(.certain) | .reason' | head -1)" = host_restarted ]
    else
      cmp ours theirs
    fi
    case $host in
      h2) [ "$(gaps_of "$(basename "$who")" .reason)" = engine_restarted ] ;;
      h3) [ "$(gaps_of "$(basename "$who")" .reason | sort -u)" = host_restarted ] ;;
      *) [ -z "$(gaps_of "$(basename "$who")" .reason)" ] && [ "$(wc -l <ours)" = "$amount" ] ;;
    esac
  done
  [[ $(cat out) == *"the engine has lost what $(basename "$lost") wrote between "* ]]
}

@test "a runner that is killed leaves files that down completes; what an engine cannot read is named" {
  local n who amount=20000 file
  write_services
  {
    writer_service silent 1 'logging: {driver: none}'
    writer_service rotated 1 'logging: {options: {max-size: 50k, max-file: "2"}}'
  } >>"$folder/compose.yaml"
  "$SEATRIAL_BIN/seatrial" --ssh-config "$ssh_config" -f "$folder/compose.yaml" --progress plain run >out 2>&1 3>&- &
  background=$!
  eventually printed "ok start $project-loader-1"
  for n in 1 2 3; do rig exec $n touch /run/go/now; done
  eventually come $((amount * 2)) 1 2 3
  eventually came_of_rotated 100
  kill -KILL "$background"
  wait "$background" || true
  background=
  # What was in a buffer of the kernel of this machine is gone, too, with half a line.
  for file in "$results"/h[123]/*writer*/output.log; do
    [ ! -s "$file" ] || truncate --size=$(($(stat --format %s "$file") * 3 / 4)) "$file"
  done
  for who in "$results"/h[123]/*rotated*; do cp "$who/output.log" before; done
  [ "$(wc -l <before)" -ge 50 ]
  rig exec 4 touch /run/go/end
  eventually all_written
  run -0 seatrial down
  [[ $output == *"what $project-silent-1 writes is not in the results: its engine cannot read the log driver 'none'"* ]]
  for who in "$results"/h[123]/*writer*; do
    diff <(seq $amount) <(sed -n 's/^[^ ]* stdout //p' "$who/output.log")
  done
  for who in "$results"/h[123]/*silent*; do [ ! -e "$who/output.log" ]; done
  # Of what had rotated we keep what we had, and say what is missing.
  for who in "$results"/h[123]/*rotated*; do
    head -c "$(($(sed '$d' before | wc -c)))" "$who/output.log" | cmp - <(sed '$d' before)
    check_rotated "$who" "$(sed '$d' before | sed -n '$s/.* //p')"
    [ "$(sed -n '$s/.* //p' "$who/output.log")" = $amount ]
  done
}
