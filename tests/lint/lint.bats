# Each lint fails on what it is there for, and says where. The trees are made here, one offence at a time.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  tree=$BATS_TEST_TMPDIR/tree
  mkdir -p "$tree"/{lib,runner/engine,tests/lint,script}
  cp "$SEATRIAL_SOURCE/.clang-format" "$tree"
  printf 'lib:\nrunner/engine: lib\n' >"$tree/tests/lint/layers.txt"
  printf 'foreign.h lib/a.c\nstdio.h sys/\n' >"$tree/tests/lint/doors.txt"
  file lib/a.h '#pragma once' '' '/*' ' * What a is and does.' ' */' '' 'int a(void);'
  file lib/a.c '#include "lib/a.h"' '' '#include <foreign.h>' '#include <sys/types.h>'
  file runner/engine/b.c '#include "lib/a.h"' '' '#include <stdio.h>'
  file script/c '#!/usr/bin/env bash' 'echo fine'
}

file() {
  local path=$1
  shift
  printf '%s\n' "$@" >"$tree/$path"
}

lint() {
  "$SEATRIAL_SOURCE/tests/lint/$1" "$tree"
}

# offends LINT TEXT: the lint fails, and the text is in what it says.
offends() {
  run -1 lint "$1"
  [[ $output == *"$2"* ]] || {
    echo "said: $output"
    return 1
  }
}

@test "a good tree passes every lint" {
  local name
  for name in layers doors sizes headers format shell words; do
    lint "$name"
  done
}

@test "layers: an include upward" {
  file runner/engine/b.h '#pragma once'
  file lib/a.c '#include "runner/engine/b.h"'
  offends layers "lib/a.c:1: lib may not include runner/engine"
}

@test "layers: an edge that nothing uses" {
  file runner/engine/b.c '#include <stdio.h>'
  offends layers "nothing uses the edge 'runner/engine: lib'"
}

@test "layers: a table whose edge points upward" {
  printf 'lib: runner/engine\nrunner/engine: lib\n' >"$tree/tests/lint/layers.txt"
  offends layers "'lib' may not include 'runner/engine', which does not stand above it"
}

@test "layers: a room that is not listed, as includer and as included" {
  mkdir "$tree/loader"
  file loader/d.h '#include "lib/a.h"'
  file runner/engine/b.c '#include "loader/d.h"' '#include "lib/a.h"'
  offends layers "loader/d.h:1: its room is not listed"
  offends layers "runner/engine/b.c:1: includes loader/d.h, whose room is not listed"
}

@test "layers: a program may not include tests" {
  file tests/t.h '#pragma once'
  file lib/a.c '#include "tests/t.h"'
  offends layers "lib/a.c:1: includes tests/t.h, whose room is not listed"
}

@test "layers: an include that is not rooted" {
  file lib/a.c '#include "a.h"'
  offends layers "lib/a.c:1: \"a.h\" is not a path from the root"
}

@test "doors: a second door" {
  file runner/engine/b.c '#include "lib/a.h"' '#include <foreign.h>'
  offends doors "runner/engine/b.c:2: <foreign.h> belongs to its one door, lib/a.c"
}

@test "doors: a library without a door" {
  file lib/a.c '#include <foreign.h>' '#include <other/other.h>'
  offends doors "lib/a.c:2: <other/other.h> is of no library"
}

@test "doors: a door that is not used" {
  file lib/a.c '#include <stdio.h>'
  offends doors "lib/a.c does not include <foreign.h>"
}

long_function() {
  echo 'static int f(int x,'
  echo '             int y) {'
  seq -f '    x += %.0f;' "$1"
  echo '}'
}

@test "sizes: a function of 71 lines, not one of 70, nor a table" {
  long_function 67 >"$tree/lib/a.c"
  lint sizes
  {
    echo 'static const struct row table[] = {'
    seq -f '    ROW(%.0f),' 100
    echo '};'
    echo 'struct row {'
    seq -f '    int (*f%.0f)(void);' 100
    echo '};'
    long_function 68
  } >"$tree/lib/a.c"
  offends sizes "lib/a.c:205: a function of 71 lines"
}

@test "sizes: a long file is listed, and is no offence" {
  seq -f 'int v%.0f;' 601 >"$tree/lib/a.c"
  run -0 lint sizes
  [[ $output == *"lib/a.c: 601 lines"* ]]
}

@test "headers: no pragma, no comment, a comment that says nothing" {
  file lib/a.h 'int a(void);'
  offends headers "lib/a.h:1: does not begin with #pragma once"
  file lib/a.h '#pragma once' '' 'int a(void);' '/* What a is and does. */'
  offends headers "lib/a.h:3: does not say"
  file lib/a.h '#pragma once' '' '/* a.h */' '' 'int a(void);'
  offends headers "lib/a.h:3: does not say"
}

@test "format: a file that clang-format would change" {
  file lib/a.c 'int  a;'
  offends format "lib/a.c:1"
}

@test "shell: an unquoted variable" {
  # shellcheck disable=SC2016 # it is the offence
  file script/c '#!/usr/bin/env bash' 'rm -r $1'
  offends shell "SC2086"
}

@test "words: work that is not done" {
  file lib/a.c "/* $(printf 'TO%s' DO): later */"
  offends words "lib/a.c:1"
}
