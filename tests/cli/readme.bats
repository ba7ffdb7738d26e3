# What README.md tells people to type works.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  cd "$SEATRIAL_SOURCE" || return
}

# The command lines in fenced blocks of sh, bash or console, without prompts and comments.
commands() {
  awk '/^```/ { inside = !inside && /^```(sh|bash|console)$/; next } inside' "$1" |
    sed -e 's/^\$ //' -e 's/[[:space:]]\{1,\}#.*//' -e 's/^#.*//' -e '/^[[:space:]]*$/d'
}

# The commands that a test cannot run, because they run the tests, or because they fetch what is here already: that what
# they start exists is all that is checked.
is_main_command() {
  case $1 in
    "sudo script/demo" | "sudo script/test" | "sudo script/test --all") [ -x "$(cut -d ' ' -f 2 <<<"$1")" ] ;;
    "git clone "* | "cd "*) true ;;
    *) false ;;
  esac
}

@test "the extraction sees prompts, comments and fences" {
  printf '%s\n' 'text' '```sh' '$ script/demo --help   # a comment' '# only a comment' '' 'true' '```' '```' 'not a command' '```' \
    '```yaml' 'a: b' '```' >"$BATS_TEST_TMPDIR/page.md"
  run -0 commands "$BATS_TEST_TMPDIR/page.md"
  [ "$output" = $'script/demo --help\ntrue' ]
}

@test "every command in README.md works" {
  local line count=0
  [ -f README.md ] || skip "there is no README.md yet"
  need_engine
  export PATH=$SEATRIAL_BIN:$PATH BENCH_TINY=1
  while read -r line; do
    count=$((count + 1))
    is_main_command "$line" && continue
    line=${line#sudo }
    echo "README.md: $line"
    timeout 120 bash -c "${line//build\/release\/bin/"$SEATRIAL_BIN"}" </dev/null
  done < <(commands README.md)
  [ "$count" -ge 2 ]
}
