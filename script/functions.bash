# shellcheck shell=bash
# What several scripts share; sourced, never run.

# Runs a command and sets `status` to its exit status. SIGTERM and SIGHUP are handed on to it; a terminal's Ctrl-C reaches
# it by itself. In each case we live on until it has ended, and can clean up.
supervise() {
  local child
  trap : INT
  trap 'kill -TERM "$child" 2>/dev/null || true' TERM HUP
  # Bash gives background commands no input and makes them deaf to Ctrl-C; this one is in the background only so that
  # bash sees signals while it waits.
  env --default-signal=INT,QUIT -- "$@" <&0 &
  child=$!
  while :; do
    # shellcheck disable=SC2034 # the caller reads it
    wait "$child" && status=0 || status=$?
    kill -0 "$child" 2>/dev/null || break
  done
  trap - INT TERM HUP
}

# What sudo made root's belongs to who called it.
hand_back() {
  local path
  [ -n "${SUDO_UID:-}" ] || return 0
  for path in "$@"; do
    [ ! -e "$path" ] || chown -R --from=0 "$SUDO_UID:${SUDO_GID:-}" "$path"
  done
}
