# Help, the manual in docs/ and the completion of bash are made of one table, and agree.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  seatrial=$SEATRIAL_BIN/seatrial
  demo=$SEATRIAL_SOURCE/examples/demo
  unset ARGP_HELP_FMT
  cd "$BATS_TEST_TMPDIR" || return
}

# What --help says but for the three options that all have, and without the blank lines that go with them.
without_common() {
  sed 's,^\(Usage: seatrial [a-z]*\( [a-z]*\)\?\) \[OPTION...\],\1,' |
    grep -v -e '^  -?, --help  ' -e '^      --usage  ' -e '^  -V, --version  ' |
    awk '/^Mandatory or optional/ { skip = 2 } skip > 0 { skip--; next } NF'
}

# The section of docs/COMMANDS.md about a command.
section() {
  awk -v name="$1" '$0 == name { inside = 1; next } /^##/ { inside = 0 } inside && !/^```/' "$SEATRIAL_SOURCE/docs/COMMANDS.md"
}

commands() {
  sed -n 's/^## //p' "$SEATRIAL_SOURCE/docs/COMMANDS.md" | grep -v '^seatrial$'
}

@test "docs/COMMANDS.md is what the program says (renew it: seatrial help --manual >docs/COMMANDS.md)" {
  "$seatrial" help --manual | diff -u "$SEATRIAL_SOURCE/docs/COMMANDS.md" -
}

@test "the manual and --help of each command agree" {
  local command
  [ "$(commands | wc -l)" -gt 10 ]
  for command in $(commands); do
    diff -u <(section "## $command" | without_common) <("$seatrial" "$command" --help | without_common)
    diff -u <(section "## $command" | without_common) <("$seatrial" help "$command" | without_common)
  done
  diff -u <(section "## seatrial" | without_common) <("$seatrial" --help | without_common)
  for command in build lock verify; do
    diff -u <(section "### images $command" | without_common) <("$seatrial" images "$command" --help | without_common)
  done
}

@test "every command that the help lists has a page, and every page is listed" {
  diff <(commands) <("$seatrial" --help | awk '/^Commands:/ { inside = 1; next } !NF { inside = 0 } inside { print $1 }')
}

@test "help of what is unknown or not supported yet is wrong usage" {
  run -2 "$seatrial" help strat
  [[ $output == *"did you mean 'start'?"* ]]
  run -2 "$seatrial" help compare
  [[ $output == *"not supported yet"* ]]
  run -2 "$seatrial" help ps logs
}

@test "a command of a command that is not there names the nearest, and none at all is wrong usage" {
  run -2 "$seatrial" images puhs
  [[ $output == *"there is no command 'images puhs'"*"did you mean 'images push'?"* ]]
  run -2 "$seatrial" machines statsu --format json
  [[ $output == *"there is no command 'machines statsu'"*"did you mean 'machines status'?"* ]]
  run -2 "$seatrial" machines
  [[ $output == *"Usage: seatrial machines"* ]]
}

@test "a file of hosts is of one deployment, not of all" {
  run -2 "$seatrial" machines ls --all --format hosts
  [[ $output == *"leave out --all"* ]]
}

# complete WORDS...: what bash would offer for the last of them.
complete() {
  bash -c '
    source <("$0" completion bash)
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _seatrial
    echo "${COMPREPLY[*]}"' "$seatrial" "$@"
}

@test "bash completes commands, options, and the names that the files say" {
  "$seatrial" completion bash | shellcheck --shell bash -
  [ "$(complete "$seatrial" st)" = "stop start" ]
  [ "$(complete "$seatrial" --pro)" = "--project-name --progress" ]
  [ "$(complete "$seatrial" --progress '')" = "auto tty plain json quiet" ]
  [ "$(complete "$seatrial" ps --f)" = "--format" ]
  [ "$(complete "$seatrial" -p x ps --format j)" = json ]
  [ "$(complete "$seatrial" -f "$demo/compose.yaml" logs rep)" = replica ]
  [ "$(complete "$seatrial" -f "$demo/compose.yaml" ps -m '')" = local ]
  [ "$(complete "$seatrial" -f "$demo/compose.yaml" ssh lo)" = local ]
  [ "$(complete "$seatrial" -f "$demo/compose.yaml" custom '' | xargs)" = "--no-log-prefix --machine --help custom_command keys replica loader" ]
  [ "$(complete "$seatrial" completion b)" = bash ]
  [ "$(complete "$seatrial" -f "$demo/comp")" = "$demo/compose.yaml" ]
  run -2 "$seatrial" completion fish
  run -2 "$seatrial" completion
}

@test "-m with a host that is not there names those that are" {
  local command
  for command in ps logs stop start custom; do
    run -2 "$seatrial" -f "$demo/compose.yaml" "$command" -m 'east-*'
    [[ $output == *"there is no host 'east-*' in this deployment"* ]]
    [[ $output == *"its hosts are: local"* ]]
  done
}

@test "config lists services and hosts" {
  [ "$("$seatrial" -f "$demo/compose.yaml" config --services | sort | xargs)" = "keys loader replica" ]
  [ "$("$seatrial" -f "$demo/compose.yaml" config --machines)" = local ]
  [ "$("$seatrial" -f "$demo/compose.yaml" config --commands)" = custom_command ]
}

@test "custom lists what there is, and names the nearest of what there is not" {
  run -0 --separate-stderr "$seatrial" -f "$demo/compose.yaml" custom
  [ "$(awk '{ print $1, $2, $3, $4 }' <<<"${lines[1]}")" = "custom_command host interval ./sample.sh" ]
  run -2 "$seatrial" -f "$demo/compose.yaml" custom custom_comand
  [[ $output == *"the deployment has no custom command 'custom_comand'"*"did you mean 'custom_command'?"* ]]
}

@test "cp between two of ours, or two containers, is wrong usage" {
  run -2 "$seatrial" -f "$demo/compose.yaml" cp a b
  [[ $output == *"one of 'a' and 'b' must be SERVICE:PATH"* ]]
  run -2 "$seatrial" -f "$demo/compose.yaml" cp a:/x b:/y
  run -2 "$seatrial" -f "$demo/compose.yaml" cp a
  run -2 "$seatrial" -f "$demo/compose.yaml" cp --archive a b:/
  [[ $output == *"--archive is not supported"* ]]
}
