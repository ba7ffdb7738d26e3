# One host over SSH, when something breaks: it is noticed, said, and mended.

bats_require_minimum_version 1.5.0
load ../../functions
load common

setup_file() {
  rig_setup 1
}

teardown_file() {
  rig_teardown
}

setup() {
  use_rig
  cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
  [ -z "${child:-}" ] || kill -TERM "$child" 2>/dev/null || true
  rig heal 1
  rig sshd 1
}

# Runs remote_host in the background as $child; its output goes to files `out` and `err`.
remote_background() {
  "$SEATRIAL_BIN/remote_host" --config "$RIG_SSH_CONFIG" "$@" >out 2>err 3>&- </dev/null &
  child=$!
}

finished() {
  local status=0
  wait "$child" || status=$?
  child=
  return $status
}

# A program that asks the engine each time it is told to, by a line; what curl says goes to `answers`.
# shellcheck disable=SC2016 # the inner shell expands it
asker='while read -r line; do
  curl -sS --max-time 100 --unix-socket "$SOCKET" http://engine/_ping >answer.new 2>&1 || true
  echo >>answer.new; cat answer.new >>answers
done <questions'

@test "sshd is killed and started again: what ran fails, the same socket works again, and forwards too" {
  mkfifo questions
  remote_background h1 hold sh -c "$asker"
  exec 5>questions
  echo >&5
  eventually grep -q OK answers
  kill_sessions 1
  # The first may still meet the broken connection.
  again() {
    echo >&5
    [ "$(tail -n 1 answers)" = OK ] && [ "$(wc -l <answers)" -gt 3 ]
  }
  eventually again
  exec 5>&-
  finished
  grep -q 'reconnects 1' err
}

@test "a command that was cut off says so, and one after host_await succeeds" {
  # The first time it hangs, the second time it does not.
  remote_background h1 await 'if [ -e /tmp/once ]; then echo done; else touch /tmp/once; sleep 1000; fi'
  eventually test -e "$SEATRIAL_RIG_ROOT/h1/private/tmp/once"
  kill_sessions 1
  finished
  grep -q "broken: host 'r1': " err
  grep -q 'done' out
  rm "$SEATRIAL_RIG_ROOT/h1/private/tmp/once"
}

@test "a listener there is asked for again after a reconnect, on the same port" {
  cat >answerer.pl <<'EOF'
use IO::Socket::INET;
my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die;
open(my $f, ">", "port.new"); print $f $s->sockport; close $f; rename "port.new", "port";
while (my $c = $s->accept) { print $c "hello\n"; close $c; }
EOF
  perl answerer.pl 3>&- &
  local answerer=$!
  eventually test -e port
  mkfifo go
  # shellcheck disable=SC2016 # the inner shell expands it
  remote_background h1 backward "$(cat port)" sh -c 'echo $FORWARD_PORT >there; read -r line <go'
  eventually test -s there
  greets() {
    remote h1 text "exec 4<>/dev/tcp/127.0.0.1/$(cat there); head -n 1 <&4" >greeting 2>/dev/null && grep -q hello greeting
  }
  eventually greets
  kill_sessions 1
  eventually greets
  echo >go
  finished
  kill "$answerer"
}

@test "a peer that falls silent is noticed, and its connection is made again when it speaks" {
  remote_background h1 await 'if [ -e /tmp/once ]; then echo done; else touch /tmp/once; sleep 1000; fi'
  eventually test -e "$SEATRIAL_RIG_ROOT/h1/private/tmp/once"
  local sessions session
  sessions=$(rig exec 1 pgrep -f '^sshd: ')
  for session in $sessions; do rig exec 1 kill -STOP "$session" || true; done
  eventually grep -q "broken: host 'r1': nothing was heard of it for" err
  for session in $sessions; do rig exec 1 kill -CONT "$session" 2>/dev/null || true; done
  finished
  grep -q 'done' out
  rm "$SEATRIAL_RIG_ROOT/h1/private/tmp/once"
}

@test "the network is cut and healed: who waits goes on" {
  remote_background h1 await 'if [ -e /tmp/once ]; then echo done; else touch /tmp/once; sleep 1000; fi'
  eventually test -e "$SEATRIAL_RIG_ROOT/h1/private/tmp/once"
  rig cut 1
  eventually grep -q "broken: host 'r1': nothing was heard of it for" err
  rig heal 1
  finished
  grep -q 'done' out
  rm "$SEATRIAL_RIG_ROOT/h1/private/tmp/once"
}

@test "a host that cannot be reached is said to be so, by each way" {
  rig cut 1
  run -200 remote --timeout 500 h1 ssh
  rig heal 1
  [[ $output == *"timeout: host 'r1': connect to port 22: $RIG_ADDRESS_1: no answer"* ]]
  printf 'Port 9\n' >config
  cat "$RIG_SSH_CONFIG" >>config
  CONFIG=$PWD/config run -200 remote h1 ssh
  [[ $output == *"unreachable: host 'r1': connect to port 9: $RIG_ADDRESS_1: Connection refused"* ]]
  run -200 remote nobody.invalid ssh
  [[ $output == *"host 'r1':"*"nobody.invalid"* ]]
}

@test "whoever cancels is obeyed: while it connects, while it runs" {
  rig cut 1
  remote_background --timeout 60000 h1 ssh
  connecting() {
    [[ $(ss -tnH state syn-sent dst "$RIG_ADDRESS_1") != "" ]]
  }
  eventually connecting
  kill -INT "$child"
  status=0
  finished || status=$?
  [ $status = 200 ]
  grep -q "cancelled: host 'r1':" err
  rig heal 1
  remote_background h1 exec 'touch /tmp/runs; sleep 1000'
  eventually test -e "$SEATRIAL_RIG_ROOT/h1/private/tmp/runs"
  kill -INT "$child"
  status=0
  finished || status=$?
  [ $status = 200 ]
  grep -q "cancelled: host 'r1':" err
}
