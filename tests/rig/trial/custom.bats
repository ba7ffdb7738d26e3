# Custom commands on a real engine: when they run, where, and that nothing of them is left.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
  long=$((RANDOM + 100000)).$RANDOM # seconds, by which a test knows its own processes
}

teardown() {
  pkill -KILL --full "sleep $long" || true
  sweep_trial
}

# runtime DOCUMENT: the rest of the deployment file.
runtime() {
  cat >>"$folder/deployment.yaml"
}

# A shell, and sleep, but no grep.
with_shell() {
  sed -i 's|^WORKDIR|COPY busybox /bin/sh\nCOPY busybox /bin/sleep\nWORKDIR|' "$folder/Dockerfile"
}

of() {
  echo "$results/local/$project-replica-$1/custom"
}

counts() {
  jq --raw-output ".hosts[0].custom_commands.\"$1\" | \"\(.runs) \(.failures) \(.timed_out) \(.container_ended) \(.lost)\"" "$results/run.json"
}

is_asleep() {
  pgrep --full "sleep $long" >/dev/null
}

nobody_sleeps() {
  ! is_asleep
}

@test "commands at the start, at an interval and at the end, on the host and in read-only containers of another user" {
  with_shell
  sed -i 's|network_mode: host|&\n    read_only: true\n    user: "65534:65534"|' "$folder/compose.yaml"
  printf '#!/bin/sh\necho "in $SEATRIAL_RUN $CONTAINER_NAME $SEATRIAL_INDEX $HOST $1 $(/bin/busybox id -u)"\n' >"$folder/inside.sh"
  printf 'echo "at the start, $1"; exit 4\n' >"$folder/first.sh"
  runtime <<'END'
runtime:
  commands:
    - {name: first, script: first.sh, command: sh first.sh CONTAINER_NAME, when: start}
    - {name: inside, script: inside.sh, command: ./inside.sh CONTAINER_ID, in: container, interval_sec: 1}
    - {name: last, command: "ls /proc | grep -c . >/dev/null && echo done", when: end, services: [replica]}
    - {name: never, command: echo never, when: demand}
END
  LOAD_SECONDS=2 run -0 seatrial run
  local n
  for n in 1 2; do
    [ "$(cat "$(of $n)/first/1.out")" = "at the start, $project-replica-$n" ]
    [ "$(jq -c '[.exit_code, .in, .stopped]' "$(of $n)/first/1.json")" = '[4,"host",false]' ]
    [ "$(cat "$(of $n)/inside/1.out")" = "in $(jq -r .run "$results/run.json") $project-replica-$n $((n - 1)) local $(
      jq -r .Id "$results/local/$project-replica-$n/container.json") 65534" ]
    [ "$(cat "$(of $n)/last/1.out")" = "done" ]
    [ ! -e "$(of $n)/first/2.out" ]
    [ ! -e "$(of $n)/last/2.out" ]
    [ ! -e "$(of $n)/never/1.out" ]
  done
  [ "$(counts first)" = "2 2 0 0 0" ]
  [ "$(counts last)" = "2 0 0 0 0" ]
  [[ $output == *"custom command 'first' failed 2 of 2 times on host local: see custom/first/<n>.json"* ]]
  nothing_is_left
}

@test "a container without a shell is said before the load, with what to do" {
  runtime <<'END'
runtime: {commands: [{name: inside, command: ls, in: container, when: end}]}
END
  run -3 seatrial run
  [[ $output == *"start custom commands on 'local' on host 'local': prepare custom command 'inside': container '$project-replica-1' has no /bin/sh"* ]]
  [[ $output == *"hint: run it \`in: host\`"* ]]
  nothing_is_left
}

@test "a run ends with its container, by its timeout, and takes along what it left in the background" {
  runtime <<END
runtime:
  commands:
    - name: outlives
      interval_sec: 3600
      command: |
        [ SEATRIAL_INDEX = 1 ] || exit 0
        echo begun
        trap 'echo ending; exit' TERM
        grep -lsF CONTAINER_ID /proc/[0-9]*/cgroup | cut -d/ -f3 | xargs kill -KILL 2>/dev/null
        while :; do sleep $long & wait; done
    - {name: hangs, command: "echo hangs; exec sleep $long", when: start, timeout_sec: 1, roles: [replica]}
    - {name: forks, command: "(setsid sleep $long >/dev/null 2>&1 &); echo forked", when: start}
END
  LOAD_SECONDS=2 run -1 seatrial run
  [ "$(summary .verdict)" = crashed ]
  [ "$(cat "$(of 2)/outlives/1.out")" = $'begun\nending' ]
  [ "$(jq -c '[.container_ended, .timed_out, .stopped]' "$(of 2)/outlives/1.json")" = '[true,false,false]' ]
  [ "$(counts outlives)" = "2 0 0 1 0" ]
  [ "$(counts hangs)" = "2 0 2 0 0" ]
  [ "$(counts forks)" = "2 0 0 0 0" ]
  [ "$(cat "$(of 1)/hangs/1.out")" = hangs ]
  [ "$(jq -c '[.exit_code, .signal, .timed_out]' "$(of 1)/hangs/1.json")" = '[null,15,true]' ]
  [ "$(cat "$(of 2)/forks/1.out")" = forked ]
  nobody_sleeps
}

@test "a command in a container that would not end is ended there, with its children" {
  with_shell
  runtime <<END
runtime:
  commands:
    - {name: hangs, command: "echo hangs; (/bin/busybox setsid sleep $long &); exec sleep $long", in: container, when: start, timeout_sec: 1}
    - {name: goes-on, command: "echo begun; sleep $long", in: container, interval_sec: 1}
END
  LOAD_SECONDS=1 run -0 seatrial run
  [ "$(counts hangs)" = "2 0 2 0 0" ]
  [ "$(cat "$(of 2)/hangs/1.out")" = hangs ]
  [ "$(counts goes-on)" = "1 0 0 0 0" ]
  [ "$(jq -c '[.in, .stopped, .failure]' "$(of 1)/goes-on/1.json")" = '["container",true,null]' ]
  nobody_sleeps
}

@test "what a runner that was killed has left is ended by down" {
  runtime <<END
runtime:
  custom_command: "setsid sleep $long"
  custom_command_run_interval_sec: 600
END
  start_in_background killed.out run
  eventually is_asleep
  kill -KILL $!
  wait $! || true
  is_asleep
  run -0 seatrial down
  nobody_sleeps
  nothing_is_left
}

@test "by hand: which there are, and one of them now for all or some containers" {
  runtime <<'END'
runtime:
  custom_command: "echo whenever"
  custom_command_run_interval_sec: 600
  commands:
    - {name: say, command: "echo \"number SEATRIAL_INDEX of $$CONTAINER_NAME\"; printf unended", when: demand}
    - {name: fail, command: exit 3, when: end}
END
  run -0 seatrial up
  run -0 --separate-stderr seatrial custom
  [ "$(awk '{ print $1, $2, $3 }' <<<"$output" | xargs)" = "NAME IN WHEN custom_command host interval say host demand fail host end" ]
  run -0 --separate-stderr seatrial custom say
  [ "$output" = "$(for n in 1 2; do
    echo "$project-replica-$n | number $((n - 1)) of $project-replica-$n"
    echo "$project-replica-$n | unended"
  done)" ]
  run -0 --separate-stderr seatrial custom --no-log-prefix say "$project-replica-2"
  [ "$output" = $'number 1 of '"$project-replica-2"$'\nunended' ]
  [ -s "$(of 2)/say/2.out" ]
  [ ! -e "$(of 1)/say/2.out" ]
  run -0 seatrial custom custom_command -m local
  [ "$(cat "$(of 2)/1.out")" = whenever ]
  run -1 seatrial custom fail replica
  [[ $output == *"custom command 'fail': of 2 runs 2 failed"* ]]
  [ "$(jq .exit_code "$(of 1)/fail/1.json")" = 3 ]
  run -2 seatrial custom sya
  [[ $output == *"the deployment has no custom command 'sya'"*"did you mean 'say'?"* ]]
  run -1 seatrial custom say loader
  [[ $output == *"no container for custom command 'say' runs on the hosts"* ]]
  run -2 seatrial custom say -m elsewhere
  run -0 seatrial down
  run -1 seatrial custom say
  [[ $output == *"has no containers of ours on its hosts"* ]]
  [ -z "$(ls -d /tmp/seatrial-"$(jq -r .run "$results/run.json")"-* 2>/dev/null)" ]
}

@test "by hand and interrupted: the command ends on its host" {
  runtime <<END
runtime: {commands: [{name: long, command: "echo begun; exec sleep $long", when: demand}]}
END
  run -0 seatrial up
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain custom long >by-hand.out 2>&1 3>&- &
  local pid=$!
  eventually grep -q "$project-replica-1 | begun" by-hand.out
  kill -INT $pid
  local status=0
  wait $pid || status=$?
  [ "$status" = 130 ]
  nobody_sleeps
  [ "$(jq .stopped "$(of 1)/long/1.json")" = true ]
  run -0 seatrial down
}
