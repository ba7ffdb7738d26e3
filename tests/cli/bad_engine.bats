# The whole command against engines that misbehave in the middle of a trial (tests/fake/bad_engine.c).

bats_require_minimum_version 1.5.0

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  cat >compose.yaml <<'EOF'
name: bad-engine-test
services:
  a: {image: x, x-seatrial: {role: replica}}
  b: {image: x, x-seatrial: {role: loader}}
EOF
}

# Runs a trial, or another command, on an engine of that behaviour; its memory is bounded by ulimit.
run_on() {
  local words=("${@:2}")
  [ $# -gt 1 ] || words=(run)
  coproc ENGINE { "$SEATRIAL_BIN/bad_engine" "$1"; }
  local host in=${ENGINE[1]} pid=$ENGINE_PID
  read -r host <&"${ENGINE[0]}"
  status=0
  env "$host" "$SEATRIAL_BIN/seatrial" --progress plain --engine-timeout 2s "${words[@]}" >out 2>&1 || status=$?
  exec {in}>&-
  wait "$pid"
  output=$(cat out)
}

named() {
  [ "$status" = 1 ]
  [[ $output == *"check 'local' on host 'local': "* ]]
  [[ $output == *"verdict     failed"* ]]
}

@test "an engine that stalls is given up after --engine-timeout" {
  run_on stalls
  named
  [[ $output == *"timed out"* ]]
}

@test "an engine that closes in mid-stream" {
  run_on closes
  named
  [[ $output == *"/containers/json"* ]]
}

@test "an engine that sends 10 GB of JSON without a newline is refused after what we accept" {
  run_on floods
  named
  [[ $output == *"larger than"* ]]
}

@test "an engine that answers something else than its API says" {
  run_on lies
  named
}

@test "an engine's own words are shown, and cannot steer the terminal" {
  run_on fails
  named
  [[ $output == *'layer store is \x1b[31mbroken'* ]]
}

@test "a container's name that would steer the terminal is refused" {
  run_on names ps
  [ "$status" = 1 ]
  [[ $output == *"host 'local': "*'a\x1b[2J'* ]]
  [[ $output != *$'\x1b'* ]]
}

@test "a tar from a container writes only below the destination, and only files and folders" {
  mkdir here
  run_on smuggles cp a:/way here
  [ "$status" = 0 ]
  [[ $output == *"left out: "*"'../above' (an unsafe name)"* ]]
  [ "$(cat here/way/good)" = good ]
  [ "$(find here -mindepth 1 | sort | xargs)" = "here/way here/way/good here/way/link here/way/link/above here/way/set" ]
  [ ! -L here/way/link ]
  [ "$(stat -c %a here/way/set)" = 755 ]
  [ ! -e above ]
  [ ! -e /tmp/seatrial-smuggled ]
}
