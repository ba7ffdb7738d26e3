# shellcheck shell=bash
# For setup_file and teardown_file of tests of core dumps: these must come to the containers. The pattern is the whole
# machine's: one that leads out of them is put back afterwards.
need_core_pattern() {
  core_pattern=$(cat /proc/sys/kernel/core_pattern)
  [[ $core_pattern == [\|/]* ]] || return 0
  need_root
  printf '%s' "$core_pattern" >"$BATS_FILE_TMPDIR/core_pattern"
  echo core >/proc/sys/kernel/core_pattern
}

restore_core_pattern() {
  [ ! -e "$BATS_FILE_TMPDIR/core_pattern" ] || cat "$BATS_FILE_TMPDIR/core_pattern" >/proc/sys/kernel/core_pattern
}
