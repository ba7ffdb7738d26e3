# Data folders come home from hosts: whole, bit for bit, and without beginning anew when something breaks.

# Variables come from the environment, from hosts.bash, or are set in setup.
# shellcheck disable=SC2030,SC2031,SC2034,SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts

setup_file() {
  need_root
  need_rig 2
  make_image
}

teardown_file() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
}

# An image that needs no builder: a shell alone. Both hosts have the same.
make_image() {
  local root=$BATS_FILE_TMPDIR/root
  mkdir -p "$root/bin" "$root/tmp"
  cp /bin/busybox "$root/bin/busybox"
  ln -sf busybox "$root/bin/sh"
  tar -C "$root" -c . | rig exec 1 docker import - rigdata >/dev/null
  rig exec 1 docker save rigdata | rig exec 2 docker load >/dev/null
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  folder=$BATS_TEST_TMPDIR project=rigdata results=$BATS_TEST_TMPDIR/results/latest
  export COMPOSE_PROJECT_NAME=$project FILES=${FILES:-24}
  prepare_hosts
  cat >compose.yaml <<'EOF'
services:
  replica:
    image: rigdata
    entrypoint: [/bin/busybox, sh, -c]
    command:
      - |
        b=/bin/busybox
        $$b mkdir -p /data/checkpoint && cd /data
        for i in $$($$b seq 100 $$((99 + FILES))); do $$b dd if=/dev/urandom of=000$$i.sst bs=1M count=6 2>/dev/null; done
        $$b ln 000100.sst checkpoint/000100.sst
        $$b ln -s /etc/shadow link
        $$b mkfifo fifo
        $$b touch 'empty' "$$($$b printf 'odd\033[31mname')"
        $$b dd if=/dev/zero of=sparse bs=1 count=0 seek=32M 2>/dev/null
        $$b find . -type f | $$b sort | $$b xargs $$b sha256sum >/seatrial/out/sums
        trap 'exit 0' TERM
        while :; do $$b sleep 1; done
    environment: [FILES]
    stop_grace_period: 5s
    healthcheck: {test: [CMD, /bin/busybox, test, -s, /seatrial/out/sums]}
    network_mode: host
    x-seatrial: {role: replica, data: [/data]}
  loader:
    image: rigdata
    entrypoint: [/bin/busybox, "true"]
    network_mode: host
    x-seatrial: {role: loader}
EOF
  { echo 'local: {perf_test_root: results}' && testbed; } >deployment.yaml
}

teardown() {
  [ -z "${background:-}" ] || kill -KILL "$background" 2>/dev/null || true
  if [ -e run.out ]; then cat run.out; fi
  rig reset
  seatrial down >/dev/null 2>&1 || true
  nothing_is_left
}

begin() {
  "$SEATRIAL_BIN/seatrial" --ssh-config "$ssh_config" --progress plain --reconnect-timeout 120s run --copy-data >run.out 2>&1 3>&- &
  background=$!
}

finish() {
  status=0
  wait "$background" || status=$?
  background=''
  output=$(<run.out)
}

home=results/latest/h1/rigdata-replica-1

# MB under way, or there, so far.
arrived() {
  local mb
  mb=$(du --summarize --block-size=1M results/latest/h1 2>/dev/null | cut -f1)
  [ "${mb:-0}" -ge "$1" ]
}

data_is_right() {
  (cd "$home/data" && sha256sum --quiet --check ../sums)
  [ "$home/data/000100.sst" -ef "$home/data/checkpoint/000100.sst" ]
  [ ! -e "$home/data/link" ] && [ ! -L "$home/data/link" ] && [ ! -e "$home/data/fifo" ]
  [ "$(du --block-size=1M "$home/data/sparse" | cut -f1)" -lt 2 ]
  grep --fixed-strings '/data: data/link (a symbolic link, to /etc/shadow)' "$home/left_out.txt"
  grep --fixed-strings '/data: data/fifo (neither file nor folder)' "$home/left_out.txt"
  [ ! -e results/latest/h1/.fetch ]
}

# MiB that the host has sent.
sent() {
  rig exec 1 cat /proc/net/dev | awk '$1 == "eth0:" { printf "%d\n", $10 / 1048576 }'
}

# The whole archive has 176 MiB; SSH and the rest of a trial add a few.
came_once() {
  echo "the host has sent $1 MiB" >&2
  [ "$1" -ge 176 ] && [ "$1" -lt 210 ]
}

@test "--copy-data brings files, hard links and holes, and names what it leaves out" {
  FILES=3 run -0 seatrial run --copy-data
  data_is_right
  [[ $output == *"3 entries of '/data' in rigdata-replica-1 were not taken"* ]] ||
    [[ $output == *"2 entries of '/data' in rigdata-replica-1 were not taken"* ]]
  [ "$(summary '.left_behind | length')" = 0 ]
}

@test "collect.compress: zstd keeps the folder as one file" {
  sed -i '1i collect: {data: true, compress: zstd}' deployment.yaml
  FILES=3 run -0 seatrial run
  [ ! -e "$home/data" ]
  mkdir "$home/data"
  zstd --decompress --stdout --quiet "$home/data.tar.zst" | tar -x -C "$home" --exclude=data/link --exclude=data/fifo
  (cd "$home/data" && sha256sum --quiet --check ../sums)
}

@test "a connection that is cut in the middle: the transfer goes on where it was, and says so" {
  local begun
  begun=$(sent)
  rig slow 1 20ms
  begin
  eventually grep -q 'ok stop rigdata-replica-1' run.out
  eventually arrived 60
  rig cut 1
  [ $(($(sent) - begun)) -lt 170 ]
  eventually grep -q "host 'h1' does not answer" run.out
  rig heal 1
  finish
  [ "$status" = 0 ]
  data_is_right
  [[ $output == *"/data: went on behind "* ]]
  came_once $(($(sent) - begun))
}

@test "a runner that is killed: collect goes on with what came whole, and never shows half a file" {
  sed -i '1i collect: {data: true}' deployment.yaml
  local begun
  begun=$(sent)
  rig slow 1 20ms
  begin
  eventually grep -q 'ok stop rigdata-replica-1' run.out
  eventually arrived 60
  kill -KILL "$background"
  wait "$background" || true
  background=''
  [ ! -e "$home/data" ]
  [ $(($(sent) - begun)) -lt 170 ]
  rig slow 1 off
  run -0 seatrial collect latest
  came_once $(($(sent) - begun))
  (cd "$home/data" && sha256sum --quiet --check ../sums)
  begun=$(sent)
  run -0 seatrial collect latest
  [ $(($(sent) - begun)) -lt 20 ]
  run -0 seatrial down
}
