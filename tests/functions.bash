# shellcheck shell=bash
# What bats tests share: `load ../functions`.

# A test without its component is skipped on a laptop, and fails where TEST_STRICT=1.
lacking() {
  if [ "${TEST_STRICT:-}" = 1 ]; then
    echo "TEST_STRICT=1, and $*" >&2
    return 1
  fi
  skip "$*"
}

need_root() {
  [ "$(id -u)" = 0 ] || lacking "this test needs root"
}

# An engine to create and remove things on, as DOCKER_HOST.
need_engine() {
  [ -n "${SEATRIAL_TEST_DOCKER_HOST:-}" ] || lacking "SEATRIAL_TEST_DOCKER_HOST names no engine (script/test starts one)"
  export DOCKER_HOST=$SEATRIAL_TEST_DOCKER_HOST
}

# Waits until a command succeeds; a test fails when it has not after a minute.
eventually() {
  local deadline=$((SECONDS + 180))
  until "$@"; do
    [ $SECONDS -lt $deadline ] || {
      echo "never happened: $*" >&2
      return 1
    }
    sleep 0.05
  done
}
