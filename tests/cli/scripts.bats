# What a newcomer types, and mistypes.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  cd "$SEATRIAL_SOURCE" || return
}

@test "every script tells its usage" {
  local script
  for script in bootstrap engine test demo bench; do
    run -0 "script/$script" --help
    [[ $output == *"script/$script"* ]]
  done
}

@test "an unknown word is refused with the usage and exit status 2" {
  local script
  for script in bootstrap engine test bench; do
    run -2 "script/$script" --nonsense
    [ -n "$output" ]
  done
}

@test "the packages that the tests themselves run with are not installed again" {
  run -0 script/bootstrap test
  [ -z "$output" ]
}

@test "what is missing is named, and needs root" {
  need_root
  mkdir -p "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\necho not-installed\n' >"$BATS_TEST_TMPDIR/bin/dpkg-query"
  chmod 755 "$BATS_TEST_TMPDIR/bin/dpkg-query"
  chmod a+rx "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" 2>/dev/null || true
  cp script/bootstrap "$BATS_TEST_TMPDIR/"
  run -1 setpriv --reuid 65534 --clear-groups env "PATH=$BATS_TEST_TMPDIR/bin:$PATH" bash "$BATS_TEST_TMPDIR/bootstrap" build
  [[ $output == *"needs root: sudo apt-get install"*"cmake"* ]]
}

@test "a benchmark that does not exist is refused by name" {
  run -2 script/bench nonesuch
  [[ $output == *"tests/bench/nonesuch"* ]]
}

@test "what root made under sudo is given to the one who called sudo, and nobody else's file is" {
  need_root
  mkdir "$BATS_TEST_TMPDIR/build"
  touch "$BATS_TEST_TMPDIR/build/ours" "$BATS_TEST_TMPDIR/build/theirs"
  chown 1234 "$BATS_TEST_TMPDIR/build/theirs"
  SUDO_UID=4321 SUDO_GID=4322 bash -euc '. script/functions.bash; hand_back "$1/build" "$1/none"' bash "$BATS_TEST_TMPDIR"
  [ "$(stat -c %u:%g "$BATS_TEST_TMPDIR/build/ours")" = 4321:4322 ]
  [ "$(stat -c %u "$BATS_TEST_TMPDIR/build/theirs")" = 1234 ]
}
