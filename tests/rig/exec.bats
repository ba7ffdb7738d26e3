# Commands in containers: exit status, streams, environment, and a terminal that is always given back.

# Variables come from functions.bash.
# shellcheck disable=SC2016,SC2094,SC2154 # what is quoted is for a shell in the container
bats_require_minimum_version 1.5.0
load ../functions
load trial/functions

setup() {
  prepare_trial
  cd "$folder" || return
  seatrial up >run.out 2>&1 || {
    cat run.out
    return 1
  }
}

teardown() {
  sweep_trial
}

in_replica() {
  seatrial exec "$@"
}

@test "exit status, stdout and stderr are the command's; its options are not ours" {
  run -7 --separate-stderr in_replica replica /bin/busybox sh -c 'echo out; echo bad >&2; exit 7'
  [ "$output" = out ]
  [ "$stderr" = bad ]
  run -0 --separate-stderr in_replica "$project-replica-2" /bin/busybox sh -c 'echo $SEATRIAL_INDEX'
  [ "$output" = 1 ]
  run -0 --separate-stderr in_replica --index 2 replica /bin/busybox ls -d /bin
  [ "$output" = /bin ]
  run in_replica replica no-such-program
  [ "$status" = 126 ] || [ "$status" = 127 ]
  [[ $output == *no-such-program* ]]
}

@test "user, folder and environment" {
  run -0 --separate-stderr env OURS=kept "$SEATRIAL_BIN/seatrial" exec -u 5:6 -w /bin -e A='b c' -e OURS -e NOT_SET_HERE replica \
    /bin/busybox sh -c 'id -u; id -g; pwd; echo $A $OURS ${NOT_SET_HERE-unset}'
  [ "$(xargs <<<"$output")" = "5 6 /bin b c kept unset" ]
}

@test "stdin and stdout carry any bytes, and end" {
  head -c 20000000 /dev/urandom >bytes
  in_replica replica /bin/busybox cat <bytes | cmp bytes -
  run -0 --separate-stderr in_replica replica /bin/busybox wc -c <bytes
  [ "$output" = 20000000 ]
  run -0 in_replica replica /bin/busybox true </dev/null
}

@test "a command that closes its output is waited for" {
  run -3 in_replica replica /bin/busybox sh -c 'exec >&- 2>&-; /bin/busybox sleep 1; exit 3'
}

@test "what cannot be: no such container, a stopped one, no terminal" {
  run -1 in_replica --index 9 replica true
  [[ $output == *"service 'replica' has no container 9"* ]]
  seatrial stop "$project-replica-2"
  run -1 in_replica --index 2 replica true
  [[ $output == *"host 'local'"*"$project-replica-2"*"not running"* ]]
  run -2 in_replica --tty replica true </dev/null
  [[ $output == *"no terminal"* ]]
  run -2 in_replica replica
  run -2 in_replica --detach replica true
}

@test "Ctrl-C without a terminal ends us, and says that the command may go on" {
  mkfifo typed
  "$SEATRIAL_BIN/seatrial" exec replica /bin/busybox sh -c 'echo begun; /bin/busybox sleep 3600' <typed >out 2>err 3>&- &
  pid=$!
  exec 4>typed
  eventually grep -q begun out
  kill -INT "$pid"
  status=0
  wait "$pid" || status=$?
  exec 4>&-
  [ "$status" = 130 ]
  grep -q "may still run in container '$project-replica-1'" err
}

# on_terminal WORDS...: seatrial on a terminal, in the background; what is written to descriptor 4 is typed.
on_terminal() {
  mkfifo typed
  "$SEATRIAL_BIN/rig_pty" "$SEATRIAL_BIN/seatrial" "$@" <typed >shown 2>left 3>&- &
  pty=$!
  exec 4>typed
}

ended() {
  status=0
  wait "$pty" || status=$?
  exec 4>&-
  cat shown
  [[ " $1 " == *" $status "* ]]
  [ "$(cat left)" = "terminal restored" ]
}

# The engine hears of the size when the command runs already.
@test "a terminal has the size of ours, follows it, and is given back" {
  on_terminal exec replica /bin/busybox sh -c 'tty; until stty size | grep "30 90"; do sleep 0.05; done; until stty size | grep -q "40 100"; do sleep 0.05; done; echo larger; exit 5'
  eventually grep -q "30 90" shown
  kill -USR1 "$pty"
  ended 5
  grep -q /dev/pts shown
  grep -q larger shown
}

@test "Ctrl-C on a terminal is the command's" {
  on_terminal exec replica /bin/busybox sh -c 'trap "echo caught; exit 6" INT; echo begun; while :; do sleep 0.05; done'
  eventually grep -q begun shown
  printf '\003' >&4
  ended 6
  grep -q caught shown
}

@test "a shell takes what is typed, and ends with its own status" {
  on_terminal exec -it replica /bin/busybox sh
  printf 'echo $((6 * 7)); exit 9\n' >&4
  ended 9
  grep -q 42 shown
}

@test "the terminal is given back when the detach keys are typed, or we are told to end" {
  on_terminal exec replica /bin/busybox sh -c 'echo begun; sleep 3600'
  eventually grep -q begun shown
  printf '\020\021' >&4 # engines differ in what becomes of the command
  ended "0 126"
  rm typed
  on_terminal exec replica /bin/busybox sh -c 'echo begun; sleep 3600'
  eventually grep -q begun shown
  pkill -TERM --parent "$pty"
  ended 143
  rm typed
  on_terminal exec replica /bin/busybox sh -c 'echo begun; sleep 3600'
  eventually grep -q begun shown
  docker kill "$project-replica-1"
  ended 137
}
