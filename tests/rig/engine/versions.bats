# The engine client against engines of three versions, over a unix socket and over TLS. What it asks of each is in
# test_engine.c and test_rest.c.

bats_require_minimum_version 1.5.0
load ../../functions

setup_file() {
  need_root
  export rig_folder=$BATS_FILE_TMPDIR/rig
  "$SEATRIAL_SOURCE/tests/rig/rig" up 3 --engine 20.10,26.1,28.5 --registry --root "$rig_folder" >"$BATS_FILE_TMPDIR/rig.log" 2>&1 3>&- || {
    lacking "no rig: $(tail -n 3 "$BATS_FILE_TMPDIR/rig.log")"
  }
}

teardown_file() {
  [ ! -d "$rig_folder" ] || "$SEATRIAL_SOURCE/tests/rig/rig" down --root "$rig_folder" 3>&-
}

setup() {
  eval "$("$SEATRIAL_SOURCE/tests/rig/rig" env --root "$rig_folder")"
  unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
  export DOCKER_CONFIG=$BATS_TEST_TMPDIR
  programs=$SEATRIAL_BUILD/tests/rig/engine
}

# An image in the registry, by its digest.
push_image() {
  local folder=$BATS_FILE_TMPDIR/image
  [ ! -e "$folder/pushed" ] || return 0
  mkdir -p "$folder"
  cp /bin/busybox "$folder"
  printf 'FROM scratch\nCOPY busybox /bin/busybox\n' >"$folder/Dockerfile"
  DOCKER_BUILDKIT=0 docker -H "unix://$RIG_SOCKET_1" build -q -t "$RIG_REGISTRY/seatrial-test/pull:1" "$folder"
  docker -H "unix://$RIG_SOCKET_1" push -q "$RIG_REGISTRY/seatrial-test/pull:1"
  docker -H "unix://$RIG_SOCKET_1" image inspect --format '{{index .RepoDigests 0}}' "$RIG_REGISTRY/seatrial-test/pull:1" >"$folder/pushed"
  docker -H "unix://$RIG_SOCKET_1" image rm -f "$RIG_REGISTRY/seatrial-test/pull:1"
}

all_of_it() {
  push_image
  SEATRIAL_TEST_DOCKER_HOST=$1 "$programs/rig_engine"
  SEATRIAL_TEST_PULL=$(cat "$BATS_FILE_TMPDIR/image/pushed") SEATRIAL_TEST_DOCKER_HOST=$1 "$programs/rig_engine_rest"
}

@test "Docker 20.10 does all that the client can ask" {
  all_of_it "unix://$RIG_SOCKET_1"
}

@test "Docker 26.1 does all that the client can ask" {
  all_of_it "unix://$RIG_SOCKET_2"
}

@test "Docker 28.5 does all that the client can ask" {
  all_of_it "unix://$RIG_SOCKET_3"
}

# ca.pem, and cert.pem and key.pem of $2 in folder $1, for server and client alike. $3: the server's address.
make_certificate() {
  local folder=$1
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=authority" -keyout "$folder/ca.key" -out "$folder/ca.pem"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$folder/key.pem" -out "$folder/request.pem"
  openssl x509 -req -in "$folder/request.pem" -days 1 -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial -out "$folder/cert.pem" \
    -extfile <(echo "subjectAltName=IP:$3")
}

# A second dockerd on host 3, which speaks TLS and wants a certificate of its clients.
start_tls_engine() {
  local tls=$BATS_TEST_TMPDIR/tls
  mkdir "$tls"
  make_certificate "$tls" seatrial "$RIG_ADDRESS_3" 2>/dev/null
  # shellcheck disable=SC2016 # expanded there
  tar -C "$tls" -c . | "$SEATRIAL_SOURCE/tests/rig/rig" exec --root "$rig_folder" 3 bash -c '
    mkdir -p /run/tls && cd /run/tls && tar -x || exit
    PATH=$(cat /run/rig/engine)/bin:$PATH exec dockerd --host "tcp://$1:2376" --tlsverify --tlscacert ca.pem --tlscert cert.pem \
      --tlskey key.pem --data-root /run/tls/data --exec-root /run/tls/exec --pidfile /run/tls/pid --bridge=none --iptables=false \
      --ip6tables=false --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent /seatrial-tls' bash "$RIG_ADDRESS_3" \
    >"$BATS_TEST_TMPDIR/dockerd.log" 2>&1 3>&- &
  eventually curl -s --cacert "$tls/ca.pem" --cert "$tls/cert.pem" --key "$tls/key.pem" "https://$RIG_ADDRESS_3:2376/_ping" || {
    tail -n 5 "$BATS_TEST_TMPDIR/dockerd.log"
    return 1
  }
  export DOCKER_CERT_PATH=$tls DOCKER_TLS_VERIFY=1
}

@test "an engine behind TLS does all of it, and nothing without a certificate" {
  start_tls_engine
  SEATRIAL_TEST_DOCKER_HOST=tcp://$RIG_ADDRESS_3:2376 "$programs/rig_engine_rest"
  rm "$DOCKER_CERT_PATH/key.pem"
  run -1 env SEATRIAL_TEST_DOCKER_HOST="tcp://$RIG_ADDRESS_3:2376" "$programs/rig_engine_rest"
  [[ $output == *"does not accept our certificate"* ]]
  unset DOCKER_TLS_VERIFY
  run -1 env SEATRIAL_TEST_DOCKER_HOST="tcp://$RIG_ADDRESS_3:2376" "$programs/rig_engine_rest"
  [[ $output == *"HTTP request to an HTTPS server"* ]]
}

# Podman's service, which speaks Docker's API 1.41, in a mount namespace of its own.
start_podman() {
  local part
  part=$("$SEATRIAL_SOURCE/tests/rig/parts" podman) || lacking "no podman"
  podman_root=$BATS_TEST_TMPDIR/podman
  mkdir -p "$podman_root/data" /etc/containers
  cat >"$podman_root/containers.conf" <<END
[engine]
conmon_path = ["$part/bin/conmon"]
helper_binaries_dir = ["$part/bin"]
runtime = "crun"
events_logger = "file"
cgroup_manager = "cgroupfs"
[engine.runtimes]
crun = ["$part/bin/crun"]
END
  # shellcheck disable=SC2016 # expanded there
  CONTAINERS_CONF=$podman_root/containers.conf PODMAN_IGNORE_CGROUPSV1_WARNING=1 unshare --mount --pid --fork --mount-proc --kill-child \
    bash -c '
      ! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified
      mount -t tmpfs tmpfs /run
      mount --bind "$1/etc/containers" /etc/containers
      "$1/bin/podman" --root "$2/data" --runroot /run/podman system service --time 0 "unix://$2/socket"' bash "$part" "$podman_root" \
    >"$podman_root/log" 2>&1 3>&- &
  podman=$!
  eventually curl -sf --unix-socket "$podman_root/socket" http://podman/_ping || {
    tail -n 5 "$podman_root/log"
    return 1
  }
}

teardown() {
  [ -z "${podman:-}" ] || {
    kill -KILL "$podman" 2>/dev/null || true
    wait "$podman" 2>/dev/null || true
  }
}

@test "Podman does what moves images, carries events and attaches to commands" {
  start_podman
  SEATRIAL_TEST_DOCKER_HOST=unix://$podman_root/socket "$programs/rig_engine_rest"
}
