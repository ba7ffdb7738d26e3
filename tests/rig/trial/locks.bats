# The lock of a project on a host: between runners that know nothing of one another.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
  cd "$folder" || return
  lock=seatrial-lock-$project
}

teardown() {
  sweep_trial
  docker volume rm --force "$lock" "$lock-other" >/dev/null 2>&1 || true
}

# A lock as its owner left it: OWNER HOLDER.
locked_by() {
  docker volume create --label io.seatrial.run=0badcafe --label "io.seatrial.owner=$1" --label "io.seatrial.holder=$2" \
    --label "io.seatrial.lock=${3:-$project}" --label io.seatrial.since=2026-01-02T03:04:05Z "${4:-$lock}" >/dev/null
}

owner() {
  echo "$(id -un)@$(uname -n)"
}

@test "a project that is locked by another owner is left alone, and the error says by whom" {
  locked_by somebody@elsewhere "process 7 of boot 1"
  run -1 seatrial run
  [[ $output == *"project '$project' is locked there since 2026-01-02T03:04:05Z by run 0badcafe of somebody@elsewhere"* ]]
  [[ $output == *"--break-lock takes the lock from it"* ]]
  [ "$(docker volume inspect --format '{{index .Labels "io.seatrial.run"}}' "$lock")" = 0badcafe ]
  nothing_is_left
  run -0 seatrial down
  docker volume inspect "$lock" >/dev/null
  run -0 seatrial run --break-lock
  [[ $output == *"was taken from run 0badcafe"* ]]
  run ! docker volume inspect "$lock"
}

@test "our own lock whose runner may live elsewhere is kept, too" {
  locked_by "$(owner)" "process 7 of boot 1"
  run -1 seatrial run
  [[ $output == *"\`seatrial run --resume 0badcafe\` goes on with it and \`seatrial down\` ends it"* ]]
}

@test "the lock of a runner that died on this machine is taken over" {
  sleep 0 &
  wait $!
  locked_by "$(owner)" "process $! of boot $(cat /proc/sys/kernel/random/boot_id)"
  run -0 seatrial run
  [[ $output == *"was taken from run 0badcafe, whose runner died"* ]]
  run ! docker volume inspect "$lock"
}

@test "while a trial runs its project is locked, and other trials beside it are told" {
  locked_by somebody@elsewhere "process 7 of boot 1" other "$lock-other"
  start_in_background out run
  pid=$!
  eventually docker volume inspect "$lock"
  eventually grep -q "wait-exit\|start.*loader" out
  [ "$(docker volume inspect --format '{{index .Labels "io.seatrial.owner"}}' "$lock")" = "$(owner)" ]
  kill -INT $pid
  status=0
  wait $pid || status=$?
  [ "$status" = 130 ]
  run ! docker volume inspect "$lock"
  grep -q "host local is shared with the trial 'other' of somebody@elsewhere" out
  [ "$(jq '.hosts[0].other_trials' "$results/run.json")" = 1 ]
}

@test "containers that are not ours are told of" {
  docker build --quiet --tag "$project" "$folder" >/dev/null
  other=$(docker run --detach --network none "$project" -c '/bin/busybox sleep 3600')
  LOAD_SECONDS=0 run -0 seatrial run
  docker rm --force "$other" >/dev/null
  [[ $output == *"containers that are not of this trial run on host local"* ]]
  [ "$(jq '.hosts[0].other_containers' "$results/run.json")" = 1 ]
}
