# shellcheck shell=bash
# What tests on rig hosts share: `load hosts` beside `load ../functions`.

rig() {
  "$SEATRIAL_SOURCE/tests/rig/rig" "$@" 3>&-
}

# A part of tests/rig/parts; those of Debian's unstable suite may be missing even where TEST_STRICT=1.
need_part() {
  "$SEATRIAL_SOURCE/tests/rig/parts" "$1" 3>&- && return
  case $1 in
    *-sid | engine-28.5) skip "there is no $1" ;;
    *) lacking "there is no $1" ;;
  esac
}

# The engines that can be had, as `rig up --engine` takes them. 20.10 is the machine's own; 28.5 is of the unstable suite.
three_engines() {
  local engines=20.10
  if need_part engine-26.1 >/dev/null; then engines+=,26.1; fi
  if "$SEATRIAL_SOURCE/tests/rig/parts" engine-28.5 >/dev/null 3>&-; then
    engines+=,28.5
  else
    echo "# no engine 28.5 here" >&3
  fi
  echo "$engines"
}

# For setup_file: one rig for all tests of a file, which ends with the file, however that ends. Takes words of `rig up`.
need_rig() {
  need_root
  export SEATRIAL_RIG_ROOT=$BATS_FILE_TMPDIR/rig
  rig up --until $$ "$@"
  eval "$(rig env)"
}
