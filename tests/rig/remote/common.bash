# shellcheck shell=bash
# What the tests of runner/remote share: a rig of their own for each file, and remote_host on it.

rig_setup() {
  need_root
  local missing=() program
  for program in sshd ip nsenter sudo docker curl perl; do
    command -v $program >/dev/null || [ -x /usr/sbin/$program ] || missing+=("$program")
  done
  [ ${#missing[@]} = 0 ] || lacking "the rig lacks ${missing[*]}"
  export SEATRIAL_RIG_ROOT=$BATS_FILE_TMPDIR/rig
  "$SEATRIAL_SOURCE/tests/rig/rig" up "$1" --until $$ "${@:2}" 3>&- || return
}

rig_teardown() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || "$SEATRIAL_SOURCE/tests/rig/rig" down
}

rig() {
  "$SEATRIAL_SOURCE/tests/rig/rig" "$@"
}

use_rig() {
  local variables
  variables=$(rig env)
  eval "$variables"
}

remote() {
  timeout --kill-after=10 120 "$SEATRIAL_BIN/remote_host" --config "${CONFIG:-$RIG_SSH_CONFIG}" "$@" 3>&-
}

# What curl says of a path of the engine, in a tunnel: engine HOST PATH
engine_get() {
  # shellcheck disable=SC2016 # the inner shell expands it
  remote "$1" hold sh -c 'curl -sS --max-time 60 --unix-socket "$SOCKET" "http://engine$0"' "$2"
}

# Ends what the host's sshd runs for its connections, and no more.
kill_sessions() {
  local session
  for session in $(rig exec "$1" pgrep -f '^sshd: [a-z]+' || true); do
    rig exec "$1" kill -KILL "$session" || true
  done
}
