# The rig does what its commands say, survives being killed, and leaves nothing.

bats_require_minimum_version 1.5.0
load ../functions
load hosts

# Variables come from the environment or are set in setup.
# shellcheck disable=SC2154
setup_file() {
  need_root
  local engines
  engines=$(three_engines)
  need_rig 3 --engine "$engines" --registry
}

teardown_file() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
}

# The same file system image on every engine, of one static program.
import_sleeper() {
  tar -C / -c --dereference bin/busybox | rig exec "$1" docker import - "${2:-sleeper:1}" >/dev/null
}

on() {
  ssh -F "$RIG_SSH_CONFIG" "$@" 3>&-
}

address() {
  local variable=RIG_ADDRESS_$1
  echo "${!variable}"
}

# One round trip, in whole microseconds: a TCP connection to its sshd.
round_trip_us() {
  curl -s -o /dev/null --max-time 30 -w '%{time_connect}' "http://$(address "$1"):22" | awk '{ printf "%d\n", $1 * 1e6 }'
}

# Whether the host answers within a second; it is silent otherwise. (sshd is no web server: curl says 1.)
reaches() {
  local status=0
  curl -s -o /dev/null --max-time 1 "http://$(address "$1"):22" || status=$?
  echo "h$1: curl ends with $status"
  [ $status = 1 ]
}

silent() {
  run -28 curl -s -o /dev/null --max-time 1 "http://$(address "$1"):22"
}

teardown() {
  [ -z "${background:-}" ] || kill "$background" 2>/dev/null || true # of a test that has failed half way
}

# What a rig with that folder has left on the machine, if anything.
left_of() {
  local hash
  hash=$(printf %s "$1" | sha256sum | cut -c1-8)
  ip -o link show "rig$hash" 2>/dev/null || true
  find /sys/fs/cgroup -name "seatrial-rig-$hash" 2>/dev/null
  find /run -maxdepth 1 -name "seatrial-rig-$hash"
  grep -F "seatrial-rig-$hash" /proc/[0-9]*/mounts 2>/dev/null || true
  processes_of "$hash" "$1"
}

processes_of() {
  local pid
  for pid in $(pgrep --full "^[^ ]*(dockerd|containerd|docker-registry|unshare|sshd:|tests/rig/rig inside|bash .*/rig (inside|keep)).*($1|$2)"); do
    grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null || echo "$pid"
  done
}

nothing_left_of() {
  local left
  left=$(left_of "$1")
  echo "left of $1: $left"
  [ -z "$left" ]
}

@test "each host has its own name, address, machine id, key, files and engine" {
  local n
  for n in 1 2 3; do
    [ "$(rig exec $n hostname)" = "h$n" ]
    [[ $(rig exec $n ip -4 -o addr show eth0) == *"inet $(address $n)/24"* ]]
    rig exec $n touch /etc/mine "/etc/of_h$n" /tmp/mine /root/mine
    [ "$(rig exec $n bash -c 'echo /etc/of_h*')" = "/etc/of_h$n" ]
  done
  [ ! -e /etc/mine ] && [ ! -e /tmp/mine ] && [ ! -e /root/mine ]
  [ "$(for n in 1 2 3; do rig exec $n cat /etc/machine-id; done | sort -u | wc -l)" = 3 ]
  [ "$(cut -d' ' -f3 "$RIG_KNOWN_HOSTS" | sort -u | wc -l)" = 3 ]
  [ "$(for n in 1 2 3; do rig exec $n docker info --format '{{.ID}}' 2>/dev/null; done | sort -u | wc -l)" = 3 ]
}

@test "engines of three versions answer with theirs" {
  local n socket version
  for n in 1 2 3; do
    socket=RIG_SOCKET_$n version=RIG_ENGINE_$n
    [[ $(curl -s --unix-socket "${!socket}" http://engine/version | jq -r .Version) == "${!version}".* ]]
    import_sleeper $n
    [ "$(rig exec $n docker run --rm --network host sleeper:1 /bin/busybox hostname)" = "h$n" ]
  done
  [ "$RIG_ENGINE_2" = 26.1 ]
  [ "$(curl -s --unix-socket "$RIG_SOCKET_1" http://engine/version | jq -r .ApiVersion)" = 1.41 ]
  [ "$(curl -s --unix-socket "$RIG_SOCKET_2" http://engine/version | jq -r .ApiVersion)" = 1.45 ]
}

@test "root, a member of group docker, and one outside with sudo, log in with each kind of key" {
  on -o IdentityFile="$RIG_KEY_RSA" root@h1 docker version >/dev/null
  [ "$(on member@h1 id -Gn)" = "member docker" ]
  on member@h1 docker version >/dev/null
  [ "$(on sudoer@h1 id -Gn)" = sudoer ]
  run on sudoer@h1 docker version
  [ "$status" != 0 ]
  on sudoer@h1 sudo -n docker version >/dev/null
  run ssh-keygen -y -P '' -f "$RIG_KEY_ENCRYPTED"
  [ "$status" != 0 ]
  ssh-keygen -y -P "$RIG_PASSPHRASE" -f "$RIG_KEY_ENCRYPTED" >/dev/null
  run -255 on -F /dev/null -o IdentitiesOnly=yes -i "$RIG_KEY_STRANGER" -o UserKnownHostsFile="$RIG_KNOWN_HOSTS" "root@$RIG_ADDRESS_1" true
  [[ $output == *"Permission denied"* ]]
}

@test "with the wrong known_hosts no host is trusted" {
  run -255 on -o UserKnownHostsFile="$RIG_KNOWN_HOSTS_WRONG" h1 true
  [[ $output == *"REMOTE HOST IDENTIFICATION HAS CHANGED"* ]]
}

@test "connections are counted from sshd's start on, and its options can be changed" {
  rig sshd 1 'AllowStreamLocalForwarding no' 'MaxSessions 1'
  [ "$(rig connections 1)" = 0 ]
  on h1 true
  on h1 true
  [ "$(rig connections 1)" = 2 ]
  [[ $(rig exec 1 sshd -T -f /run/rig/sshd_config) == *"maxsessions 1"* ]]
  rig sshd 1
  [ "$(rig connections 1)" = 0 ]
  [[ $(rig exec 1 sshd -T -f /run/rig/sshd_config) == *"maxsessions 10"* ]]
}

@test "a power cut is silent and ends everything of that host; a reboot brings back engine, ssh, images and files" {
  import_sleeper 1
  rig exec 1 docker run --detach --network host --name sleeper sleeper:1 /bin/busybox sleep 3600.25 >/dev/null
  rig exec 1 bash -c 'echo kept >/etc/kept'
  # A peer on a connection that is open hears nothing: it would end with a reset or an end of file, not with its time.
  local status
  mkfifo "$BATS_TEST_TMPDIR/input"
  exec 4<>"$BATS_TEST_TMPDIR/input"
  curl -s -N --max-time 4 "telnet://$RIG_ADDRESS_1:22" <&4 >"$BATS_TEST_TMPDIR/banner" 3>&- 4>&- &
  background=$!
  eventually grep -q SSH "$BATS_TEST_TMPDIR/banner"
  rig powercut 1
  [ -z "$(pgrep --full '^/bin/busybox sleep 3600.25')" ]
  wait $background && status=0 || status=$?
  [ "$status" = 28 ]
  silent 1
  run -1 rig exec 1 true
  [[ $output == *"host h1 is powered off"* ]]
  reaches 2
  rig reboot 1
  [ "$(rig exec 1 docker inspect --format '{{.State.Running}}' sleeper)" = false ]
  rig exec 1 docker rm sleeper >/dev/null
  [ "$(rig exec 1 docker run --rm --network none sleeper:1 /bin/busybox echo again)" = again ]
  [ "$(on h1 cat /etc/kept)" = kept ]
}

@test "what is cut is silent, keeps running and its connections, and is healed" {
  on h2 'echo begun; until [ -e /tmp/healed ]; do sleep 0.05; done; echo through' </dev/null >"$BATS_TEST_TMPDIR/said" &
  background=$!
  eventually grep -q begun "$BATS_TEST_TMPDIR/said"
  rig cut 2
  silent 2
  reaches 1
  run -28 rig exec 1 curl -s --max-time 1 http://h2:22
  rig exec 2 docker version >/dev/null
  rig heal 2
  reaches 2
  rig exec 2 touch /tmp/healed
  wait $background
  grep -q through "$BATS_TEST_TMPDIR/said"
}

@test "a slow host's round trips take that much longer, over reboots, until it is off" {
  local before
  before=$(round_trip_us 3)
  rig slow 3 40ms
  [ "$(round_trip_us 3)" -ge 40000 ]
  rig reboot 3
  [ "$(round_trip_us 3)" -ge 40000 ]
  [ "$(head -c 3000000 /dev/urandom | tee >(md5sum >"$BATS_TEST_TMPDIR/sum") | on h3 md5sum)" = "$(cat "$BATS_TEST_TMPDIR/sum")" ]
  rig slow 3 off
  echo "before: $before us, after: $(round_trip_us 3) us"
  run rig slow 3 soon
  [[ $output == *"A time like 20ms"* ]]
}

@test "an engine is stopped, killed and started while its host stays" {
  rig engine 1 stop
  run ! rig exec 1 docker version
  on h1 true
  rig engine 1 start
  rig exec 1 docker version
  rig engine 1 kill
  run ! rig exec 1 docker version
  rig engine 1 start
  rig exec 1 docker version
}

@test "a disk that is full refuses, and one that is freed again takes" {
  import_sleeper 1 small:1
  rig exec 1 docker save small:1 >"$BATS_TEST_TMPDIR/image"
  run -1 rig fill 1
  [[ $output == *"rig disk 1 200m"* ]]
  rig disk 1 100m
  rig fill 1 100000
  run ! rig exec 1 docker load <"$BATS_TEST_TMPDIR/image"
  [[ $output == *"no space left on device"* ]]
  rig fill 1 off
  rig exec 1 docker load <"$BATS_TEST_TMPDIR/image"
  rig disk 1 off
  rig exec 1 docker inspect small:1 >/dev/null
}

@test "reset undoes whatever was done to hosts, and leaves the others alone" {
  local before
  before=$(on h3 true && rig connections 3)
  rig sshd 1 'MaxSessions 1'
  rig slow 1 40ms
  rig engine 1 stop
  rig cut 1
  rig disk 2 100m
  rig powercut 2
  rig reset
  reaches 1 && reaches 2
  [ ! -e "$RIG_LOGS_1/slow" ]
  rig exec 1 docker version >/dev/null
  [[ $(rig exec 1 sshd -T -f /run/rig/sshd_config) == *"maxsessions 10"* ]]
  [ "$(rig exec 2 stat -f -c %T /var/lib/docker)" != tmpfs ]
  [ "$(rig connections 3)" = "$before" ]
}

@test "what one host pushes to the registry, others pull by the same name" {
  import_sleeper 1 "$RIG_REGISTRY/shared:1"
  rig exec 1 docker push "$RIG_REGISTRY/shared:1"
  rig exec 2 docker pull "$RIG_REGISTRY/shared:1"
  [[ $(curl -s "http://$RIG_REGISTRY/v2/shared/tags/list") == *'"1"'* ]]
}

@test "two rigs at once do not see one another, and one goes without the other" {
  local root=$BATS_TEST_TMPDIR/second address
  rig up 1 --root "$root" --no-engine --until $$
  address=$(rig exec --root "$root" 1 true && eval "$(rig env --root "$root")" && echo "$RIG_ADDRESS_1")
  [ "$address" != "$RIG_ADDRESS_1" ]
  run -7 rig exec 1 curl -s --max-time 1 "http://$address:22"
  rig down --root "$root"
  nothing_left_of "$root"
  [ ! -e "$root" ]
  on h1 true
}

@test "a rig that runs is not started twice; what is no host is refused" {
  run -1 rig up 2
  [[ $output == *"a rig runs already"* ]]
  run -1 rig cut 4
  [[ $output == *"This rig has h1 to h3"* ]]
  run -1 rig env --root "$BATS_TEST_TMPDIR/none"
  [[ $output == *"no rig runs"* ]]
  run -2 rig sink 1
}

@test "when the process it was started for is killed, the rig leaves nothing" {
  local root=$BATS_TEST_TMPDIR/bound owner
  sleep 60 3>&- &
  owner=$! background=$!
  rig up 2 --root "$root" --until $owner
  [ -n "$(left_of "$root")" ]
  kill -KILL $owner
  eventually nothing_left_of "$root"
  eventually test ! -e "$root"
}

@test "when any of its processes is killed everything ends, and it starts again with its images" {
  local root=$BATS_TEST_TMPDIR/killed hash victim
  hash=$(printf %s "$root" | sha256sum | cut -c1-8)
  rig up 1 --root "$root" --until $$
  tar -C / -c --dereference bin/busybox | rig exec --root "$root" 1 docker import - sleeper:1
  for victim in 'bash .*/rig keep' '(setpriv|unshare) .* inside ' 'bash .*/rig inside '; do
    pgrep --full "^$victim.*$root" | xargs kill -KILL
    eventually no_process_of "$hash" "$root"
    eventually no_link "rig$hash" # the kernel takes its time
    run -1 rig status --root "$root"
    rig up 1 --root "$root" --until $$
    rig exec 1 docker inspect sleeper:1 >/dev/null
  done
  rig down --root "$root"
  nothing_left_of "$root"
}

no_link() {
  [ -z "$(ip -o link show "$1" 2>/dev/null)" ]
}

no_process_of() {
  [ -z "$(processes_of "$1" "$2")" ]
}

@test "a host's engine can be Podman" {
  need_part podman
  local root=$BATS_TEST_TMPDIR/podman
  rig up 1 --root "$root" --engine podman --until $$
  tar -C / -c --dereference bin/busybox >"$BATS_TEST_TMPDIR/tar"
  rig exec --root "$root" 1 docker import - sleeper:1 <"$BATS_TEST_TMPDIR/tar"
  [ "$(rig exec --root "$root" 1 docker run --rm --network host sleeper:1 /bin/busybox hostname)" = h1 ]
  [[ $(rig exec --root "$root" 1 docker version --format '{{json .Server.Components}}') == *Podman* ]]
  rig down --root "$root"
  nothing_left_of "$root"
}

@test "a command runs with a rig around it, and its exit status is handed back" {
  local root=$BATS_TEST_TMPDIR/around
  # shellcheck disable=SC2016 # the inner shell knows it
  run -7 rig run 1 --root "$root" --no-engine -- bash -c 'ssh -F "$RIG_SSH_CONFIG" h1 exit 7'
  nothing_left_of "$root"
}
