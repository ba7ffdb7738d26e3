# Trials through real registries: built, pushed, pulled by digest on engines of three versions, run, verified; and when the
# registry goes wrong. One more host of the rig is the builder.

# Variables come from the environment, from hosts.bash, or are set in setup.
# shellcheck disable=SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load ../hosts
load functions

setup_file() {
  need_root
  command -v docker-registry >/dev/null || lacking "there is no docker-registry"
  need_rig 4 --engine "$(engines_and_builder)"
  export real=$BATS_FILE_TMPDIR/real tls=$BATS_FILE_TMPDIR/tls certificates=$BATS_FILE_TMPDIR/certs.d
  real_port=$(free_port) && registry_start "$real" "$real_port" password
  tls_port=$(free_port) && make_certificates "$tls/certs" "$RIG_GATEWAY"
  registry_start "$tls" "$tls_port" tls password "at=$RIG_GATEWAY"
  faulty_port=$(free_port)
  export real_port tls_port faulty_port script=$BATS_FILE_TMPDIR/script
  true >"$script"
  "$SEATRIAL_BUILD/bin/faulty" "$script" "$real_port" "$faulty_port" 127.0.0.1 "$RIG_GATEWAY" 3>&- &
  echo $! >"$BATS_FILE_TMPDIR/faulty.pid"
  lead_hosts
}

teardown_file() {
  local folder
  for folder in "$real" "$tls"; do registry_stop "$folder"; done
  kill "$(cat "$BATS_FILE_TMPDIR/faulty.pid")" || true
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
}

# 26.1 and 28.5 where they can be had.
engines_and_builder() {
  local engines count
  engines=$(three_engines)
  count=$(tr -cd , <<<"$engines" | wc -c)
  case $count in
    2) echo "$engines,20.10" ;;
    1) echo "$engines,20.10,20.10" ;;
    *) echo 20.10 ;;
  esac
}

# Engines speak without TLS to 127.0.0.0/8 only, so the faulty registry is found there on all hosts; and all know the
# authority of the other one.
lead_hosts() {
  local n
  for n in 1 2 3 4; do
    rig exec $n sh -c "sysctl -q -w net.ipv4.conf.all.route_localnet=1
      iptables -w -t nat -A OUTPUT -p tcp -d 127.0.0.1 --dport $faulty_port -j DNAT --to $RIG_GATEWAY:$faulty_port
      iptables -w -t nat -A POSTROUTING -p tcp -d $RIG_GATEWAY --dport $faulty_port -j MASQUERADE
      mkdir -p /etc/docker/certs.d/$RIG_GATEWAY:$tls_port"
    rig exec $n sh -c "cat >/etc/docker/certs.d/$RIG_GATEWAY:$tls_port/ca.crt" <"$tls/certs/ca.crt"
  done
  mkdir -p "$certificates/$RIG_GATEWAY:$tls_port"
  cp "$tls/certs/ca.crt" "$certificates/$RIG_GATEWAY:$tls_port/"
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  folder=$BATS_TEST_TMPDIR project=through$BATS_TEST_NUMBER results=$BATS_TEST_TMPDIR/results/latest
  export COMPOSE_PROJECT_NAME=$project DOCKER_HOST=unix://$RIG_SOCKET_4 SEATRIAL_CERTIFICATES=$certificates
  export DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
  prepare_hosts
  true >"$script"
  true >"$script.log"
  write_files "127.0.0.1:$faulty_port/team"
}

# write_files REGISTRY|"" [SECRET [HOSTS]]
write_files() {
  mkdir -p "$folder/replica"
  cp /bin/busybox "$folder/replica/busybox"
  head -c 300000 /dev/urandom >"$folder/replica/noise"
  printf 'FROM scratch\nCOPY busybox /bin/busybox\nCOPY noise /noise\nENTRYPOINT ["/bin/busybox"]\n' >"$folder/replica/Dockerfile"
  cat >"$folder/compose.yaml" <<EOF
services:
  replica:
    image: through-$BATS_TEST_NUMBER
    build: replica
    command: [sh, -c, 'trap "exit 0" TERM; while :; do sleep 1; done']
    network_mode: host
    deploy: {replicas: ${3:-1}}
    stop_grace_period: 5s
    x-seatrial: {role: replica}
  loader:
    image: through-$BATS_TEST_NUMBER
    command: ["true"]
    network_mode: host
    x-seatrial: {role: loader}
EOF
  (umask 077 && printf %s "${2:-s3cret}" >"$folder/token")
  {
    [ -z "$1" ] || echo "docker: {registry: \"$1\", username: captain, access_token: {file: token}}"
    echo "local: {perf_test_root: results}"
    echo "general: {num_of_replicas: ${3:-1}}"
    testbed | sed "/name: h[$((${3:-1} + 1))-4]/d"
  } >"$folder/deployment.yaml"
}

run_trial() {
  run seatrial run --min-disk 1m "$@"
  echo "$output"
  nothing_is_left
}

# In the image of each container: the digest that the registry has under the tag.
digests_agree() {
  local digest
  digest=$(jq --raw-output '.images[0].digest' "$results/run.json")
  [[ $digest == *"/through-$BATS_TEST_NUMBER@sha256:"* ]]
  [ "$(jq --raw-output '[.containers[].image_digest] | unique | .[]' "$results/run.json")" = "$digest" ]
}

@test "what was built is pushed with TLS and a password, pulled by digest on three engines, and run" {
  write_files "$RIG_GATEWAY:$tls_port/team" s3cret 3
  run_trial
  [ "$status" = 0 ]
  digests_agree
  # Nothing is pushed that is there already, nothing pulled that was.
  run_trial
  [ "$status" = 0 ]
  [[ $output == *"is there already"* && $output == *"has it already"* ]]
  digests_agree
  # By hand, too; what was pushed is locked by the registry's digest, and comes back by it.
  run -0 --separate-stderr seatrial images push
  [ "$output" = "through-$BATS_TEST_NUMBER $(jq --raw-output '.images[0].digest' "$results/run.json")" ]
  docker rmi --force "through-$BATS_TEST_NUMBER" >/dev/null
  local pushed=$output
  run -0 --separate-stderr seatrial images pull replica
  [ "$output" = "$pushed" ]
  docker image inspect "through-$BATS_TEST_NUMBER" >/dev/null
  # What is found here and pulled there is locked as well as what is built.
  rm "$folder/seatrial.lock"
  run_trial --no-build
  [ "$status" = 0 ]
  [ "$(jq --raw-output '.images[]|.digest' "$folder/seatrial.lock")" = "${pushed#*@}" ]
  [ "$(jq --raw-output '.images[0].locked.digest' "$results/run.json")" = "${pushed#*@}" ]
  # By a digest, an image comes from its registry, even if this machine has it.
  rig exec 1 docker image prune --all --force
  sed -i "/loader:/,\$s|image: .*|image: '${pushed#* }'|" "$folder/compose.yaml"
  run_trial
  [ "$status" = 0 ]
  run seatrial doctor
  grep -E "^- +registry +good +'$RIG_GATEWAY:$tls_port' lets us in as captain" <<<"$output"
  # Old ones go with all names that they have, here and in the registry; not while a container has them.
  rig exec 1 docker create --name holds "through-$BATS_TEST_NUMBER" >/dev/null
  run -0 --separate-stderr seatrial images prune --older-than 1s
  [ "$(wc -l <<<"$output")" = 2 ]
  [[ $stderr == *"h1: 0 images went"*"1 old ones in use"* ]]
  rig exec 1 docker image inspect "through-$BATS_TEST_NUMBER" >/dev/null
  rig exec 1 docker rm holds >/dev/null
  run -0 --separate-stderr seatrial images prune --older-than 1s
  [ "$(wc -l <<<"$output")" = 1 ]
  # Secrets are in no file of the results.
  run ! grep -r s3cret "$folder/results/"
}

@test "a registry that answers 500 twice, cuts an upload, and is too busy for engine and runner is asked again, when it says" {
  cat >"$script" <<EOF
2 500 HEAD /manifests/
1 cut PATCH /blobs/uploads/
2 429 PUT /manifests/
1 429 GET /v2/
EOF
  run_trial
  cat "$script.log"
  [ "$status" = 0 ]
  [[ $output == *"again in a moment"* ]]
  digests_agree
  local action
  for action in 500 cut 429; do grep -q "^$action" "$script.log"; done
  # One that wants more patience than we have ends the run: it is not the host that does not answer.
  rig exec 1 docker image prune --all --force
  echo "99 503 GET /v2/" >"$script"
  run_trial
  [ "$status" = 1 ]
  [[ $output == *"registry '127.0.0.1:$faulty_port': GET answered with status 503"* && $output != *"does not answer"* ]]
}

@test "a token that has expired is said, with what to do, and is never shown" {
  write_files "127.0.0.1:$faulty_port/team" expired-s3cret
  run_trial
  [ "$status" != 0 ]
  [[ $output == *"registry '127.0.0.1:$faulty_port'"* && $output == *"the token may have expired"* || $output == *"may not do this"* ]]
  run ! grep -r expired-s3cret "$folder/results/"
}

@test "one bit that was flipped in a layer is refused, by digest" {
  printf '99 flip GET /blobs/sha256\n' >"$script"
  run_trial
  [ "$status" != 0 ]
  [[ $output == *"pull image '127.0.0.1:$faulty_port/team/through-"*"@sha256:"* ]]
  [[ $output == *"verification failed"* || $output == *"unexpected"* || $output == *"digest"* ]]
}

@test "without a push, the registry must have just what is here; a tag that somebody has moved is told" {
  run_trial --no-push
  [ "$status" != 0 ]
  [[ $output == *"was not pushed as"* && $output == *"leave --no-push out"* ]]
  run_trial
  [ "$status" = 0 ]
  digests_agree
  local before
  before=$(jq --raw-output '.images[0].digest' "$results/run.json")
  run_trial --no-push
  [ "$status" = 0 ]
  digests_agree
  # Somebody pushes another image to the same tag; ours is pushed again under it, with the digest that it had.
  local url=http://127.0.0.1:$real_port/v2/team/through-$BATS_TEST_NUMBER/manifests
  curl --silent --fail --user captain:s3cret -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "$url/latest" |
    jq --indent 7 . >"$BATS_TEST_TMPDIR/other"
  curl --silent --fail --user captain:s3cret -X PUT -H 'Content-Type: application/vnd.docker.distribution.manifest.v2+json' \
    --data-binary "@$BATS_TEST_TMPDIR/other" "$url/latest"
  run_trial --no-push
  [ "$status" != 0 ]
  [[ $output == *"${before#*@}"* && $output == *"in the registry, and the image here is"* ]]
}

kept() {
  find "$XDG_CACHE_HOME/seatrial/layers/sha256" -type f | wc -l
}

@test "without a registry, engines pull through their tunnels what they lack, and each layer is saved once" {
  write_files "" s3cret 3
  run_trial
  [ "$status" = 0 ]
  [[ $output != *"is loaded on host"* ]]
  [ "$(kept)" = 3 ] # two layers and a configuration
  [ "$(jq '[.containers[].image_id] | unique | length' "$results/run.json")" = 1 ]
  [ "$(jq '[.containers[].image_digest] | unique | tostring' "$results/run.json")" = '"[null]"' ]
  # Another layer on top: it and the new configuration are all that is kept more. No name of a port stays behind.
  echo more >"$folder/replica/more"
  sed -i '/ENTRYPOINT/i COPY more /more' "$folder/replica/Dockerfile"
  run_trial
  [ "$status" = 0 ]
  [[ $output != *"is loaded on host"* ]]
  [ "$(kept)" = 5 ]
  run ! rig exec 1 sh -c 'docker images --digests | grep 127.0.0.1:.*seatrial'
  # The first image has lost its name to the second: it can go, the other one stays.
  run -0 --separate-stderr seatrial images prune
  [ -z "$output" ]
  run -0 --separate-stderr seatrial images prune --keep 0 --dry-run
  [ "$(wc -l <<<"$output")" = 3 ]
  run -0 --separate-stderr seatrial images prune --keep 0
  [ "$(wc -l <<<"$output")" = 3 ]
  run -0 --separate-stderr seatrial images prune --keep 0
  [ -z "$output" ]
  rig exec 3 docker image inspect "through-$BATS_TEST_NUMBER" >/dev/null
}

@test "where sshd forbids forwards, or what is kept is damaged, the image is loaded, and that is said" {
  write_files ""
  rig sshd 1 'AllowTcpForwarding no'
  run_trial
  rig sshd 1
  [ "$status" = 0 ]
  [[ $output == *"is loaded on host 'h1', not pulled through its tunnel"*"AllowTcpForwarding"* ]]
  # A bit that was flipped in what is kept: its digest tells, and it is saved anew the next time.
  local layer
  layer=$(find "$XDG_CACHE_HOME/seatrial/layers/sha256" -type f -size -700k -size +200k)
  printf X | dd of="$layer" bs=1 seek=100000 conv=notrunc status=none
  rig exec 1 docker rmi --force "through-$BATS_TEST_NUMBER" >/dev/null
  run_trial
  [ "$status" = 0 ]
  [[ $output == *"is loaded on host 'h1', not pulled through its tunnel"*"verif"* ]]
  [ "$(kept)" = 0 ]
}
