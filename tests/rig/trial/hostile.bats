# A container that means harm: with what it leaves to be collected, with what it writes, and with when it goes.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
  cd "$folder" || return
  long_line=32 # MiB
  [ -z "${SEATRIAL_TEST_LONG:-}" ] || long_line=1024
}

teardown() {
  sweep_trial
}

# Before the replica's program runs what comes from stdin, with $b for busybox.
with_hostile_replica() {
  cat >over.yaml <<'EOF'
services:
  replica:
    command: [-c, "b=/bin/busybox; . /bin/hostile.sh; cd /cores; . /bin/replica.sh"]
    x-seatrial: {collect: [/harm]}
EOF
  cat >hostile.sh
  printf '\nCOPY hostile.sh /bin/hostile.sh\n' >>Dockerfile
}

hostile() {
  timeout 250 "$SEATRIAL_BIN/seatrial" -f compose.yaml -f over.yaml --progress plain "$@" 3>&-
}

results_of() {
  echo "$results/local/$project-replica-$1"
}

@test "what a container leaves: links, devices, set-user bits, holes of a terabyte and names with escapes do no harm" {
  with_hostile_replica <<'EOF'
$b mkdir -p /harm/deep && cd /harm
$b ln -s /etc/passwd absolute
$b ln -s ../../../../../../../../tmp/escaped upward
$b ln -s / root
$b mknod device c 1 3 && $b mknod disk b 8 0 && $b mkfifo pipe
$b truncate -s 1T terabyte
echo kept >"$($b printf 'red\033[31m\033]0;title\007')"
echo kept >"$($b printf 'new\nline')"
echo kept >deep/file && $b chmod 6777 deep/file && $b chmod 000 deep
EOF
  run hostile run
  [ "$status" -le 1 ] # what could not be taken may be said as a failure
  [[ $output != *$'\e'* ]]
  nothing_is_left
  harm=$(results_of 1)/harm
  [ "$(cat "$harm/deep/file")" = kept ]
  [ -z "$(find "$folder/results/" -type l ! -name latest -o -type b -o -type c -o -type p)" ]
  [ -z "$(find "$folder/results/" -perm /6000)" ]
  [ ! -e /tmp/escaped ]
  [ "$(du --summarize --block-size=1M "$folder/results" | cut -f1)" -lt 200 ]
}

@test "what a container writes: a line without end and escapes are kept, bounded and harmless" {
  with_hostile_replica <<EOF
\$b printf 'before \033[2J\033]0;title\007 \033[31mred\n'
\$b dd if=/dev/zero bs=1M count=$long_line 2>/dev/null | \$b tr '\000' x
\$b printf '\nafter\n'
EOF
  scale 1
  run -0 hostile up
  hostile logs replica >shown
  run -1 grep --quiet $'\e' shown
  grep --quiet 'after$' shown
  run hostile down
  [[ $output != *$'\e'* ]]
  nothing_is_left
  log=$(results_of 1)/output.log
  grep --quiet ' stdout after$' "$log"
  [ "$(tr --delete --complement x <"$log" | wc --bytes)" -ge $((long_line << 20)) ]
}

@test "when a container goes: one that is removed while it is collected is named, and the rest comes home" {
  with_hostile_replica <<'EOF'
$b mkdir /harm
$b dd if=/dev/urandom of=/harm/big bs=1M count=48 2>/dev/null
EOF
  hostile run >out 2>&1 &
  runner=$!
  eventually grep --quiet "collect-container.*$project-replica-2\|$project-replica-2.*collect-container" results/latest/journal.jsonl
  docker rm --force "$project-replica-2" >/dev/null
  status=0
  wait $runner || status=$?
  cat out
  [ "$status" -le 1 ]
  nothing_is_left
  [ "$(stat --format %s "$(results_of 1)/harm/big")" = $((48 << 20)) ]
  [ "$(stat --format %s "$(results_of 2)/harm/big" 2>/dev/null)" = $((48 << 20)) ] || grep --quiet "$project-replica-2" out
}
