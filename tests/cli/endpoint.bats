# Which engine the environment means: docker's own answer is the oracle.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  command -v docker >/dev/null || lacking "there is no docker CLI to compare with"
  unset DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH
  export HOME=$BATS_TEST_TMPDIR/home
  mkdir -p "$HOME/.docker"
  certificates=$BATS_TEST_TMPDIR/certificates
  endpoint=$SEATRIAL_BIN/endpoint
}

# Both with the variables in front; the first line of ours is the context's name and its endpoint.
same_as_docker() {
  local theirs ours
  theirs=$(env "$@" docker context inspect --format '{{.Name}} {{.Endpoints.docker.Host}}')
  ours=$(env "$@" "$endpoint" | head -n 1)
  [ "$ours" = "$theirs" ] || {
    echo "$*: docker says '$theirs', we say '$ours'" >&2
    return 1
  }
}

both_refuse() {
  run ! env "$@" docker context inspect
  run -3 env "$@" "$endpoint"
}

make_certificates() {
  mkdir -p "$certificates"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=x -keyout "$certificates/key.pem" \
    -out "$certificates/cert.pem" 2>/dev/null
  cp "$certificates/cert.pem" "$certificates/ca.pem"
}

@test "DOCKER_HOST is completed as docker does it" {
  same_as_docker
  for host in unix:///x unix:// "  unix:///x " tcp:// tcp://:1 tcp://h tcp://h:3 h:3 h h: tcp: 'tcp://[::1]:5' tcp://::1 ssh://me@there \
    ssh://there:2222 fd://x npipe://x; do
    same_as_docker DOCKER_HOST="$host"
  done
  for host in tcp://h:p http://x ://x 'a b'; do
    both_refuse DOCKER_HOST="$host"
  done
}

@test "a context is found by DOCKER_CONTEXT and by config.json, and DOCKER_HOST stands above both" {
  docker context create lab --docker host=tcp://lab.example:2375
  docker context create far --docker host=ssh://me@far
  same_as_docker DOCKER_CONTEXT=lab
  same_as_docker DOCKER_CONTEXT=default
  docker context use far
  same_as_docker
  same_as_docker DOCKER_CONTEXT=lab
  same_as_docker DOCKER_HOST=tcp://h:1
  same_as_docker DOCKER_HOST=tcp://h:1 DOCKER_CONTEXT=lab
  cp -r "$HOME/.docker" "$BATS_TEST_TMPDIR/moved"
  same_as_docker HOME=/nonexistent DOCKER_CONFIG="$BATS_TEST_TMPDIR/moved"
}

@test "what is wrong with a context is said with its name" {
  both_refuse DOCKER_CONTEXT=nope
  [[ $output == *"context 'nope' is not found"* ]]
  [[ $output == *"docker context ls"* ]]
  both_refuse DOCKER_CONTEXT=../../x
  docker context create lab --docker host=tcp://lab.example:2375
  echo '{"Name":"lab","Metadata":{},"Endpoints":{}}' >"$(echo "$HOME"/.docker/contexts/meta/*/meta.json)"
  run -3 env DOCKER_CONTEXT=lab "$endpoint"
  [[ $output == *"context 'lab': it has no endpoint of a Docker Engine"* ]]
  echo '{"Name"' >"$(echo "$HOME"/.docker/contexts/meta/*/meta.json)"
  both_refuse DOCKER_CONTEXT=lab
  [[ $output == *"context 'lab': "*"not valid JSON"* ]]
  echo '{"currentContext":' >"$HOME/.docker/config.json"
  run -3 "$endpoint"
  [[ $output == *"config.json"* ]]
  DOCKER_HOST=unix:///x "$endpoint"
}

@test "TLS comes from the variables for DOCKER_HOST, and from its own files for a context" {
  both_refuse DOCKER_TLS_VERIFY=1
  [[ $output == *"ca.pem' does not exist"*"DOCKER_TLS_VERIFY"* ]]
  make_certificates
  files="ca=$certificates/ca.pem cert=$certificates/cert.pem key=$certificates/key.pem"
  same_as_docker DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$certificates"
  same_as_docker DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$certificates" DOCKER_HOST=tcp://h:1
  run env DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$certificates" DOCKER_HOST=tcp://h:1 "$endpoint"
  [ "${lines[1]}" = "DOCKER_HOST tls=1 skip_verify=0 $files" ]
  run env DOCKER_TLS=1 DOCKER_CERT_PATH="$certificates" DOCKER_HOST=tcp://h:1 "$endpoint"
  [ "${lines[1]}" = "DOCKER_HOST tls=1 skip_verify=1 $files" ]
  run env DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$certificates" DOCKER_HOST=unix:///x "$endpoint"
  [ "${lines[1]}" = "DOCKER_HOST tls=0 skip_verify=0 ca= cert= key=" ]

  docker context create lab --docker "host=tcp://lab:2376,ca=$certificates/ca.pem,cert=$certificates/cert.pem,key=$certificates/key.pem"
  docker context create lax --docker "host=tcp://lax:2376,skip-tls-verify=true"
  docker context create open --docker host=tcp://open:2375
  same_as_docker DOCKER_CONTEXT=lab
  run env DOCKER_CONTEXT=lab "$endpoint"
  folder=$(echo "$HOME"/.docker/contexts/tls/*/docker)
  [ "${lines[1]}" = "context 'lab' tls=1 skip_verify=0 ca=$folder/ca.pem cert=$folder/cert.pem key=$folder/key.pem" ]
  run env DOCKER_CONTEXT=lax DOCKER_TLS_VERIFY=1 "$endpoint"
  [ "${lines[1]}" = "context 'lax' tls=1 skip_verify=1 ca= cert= key=" ]
  run env DOCKER_CONTEXT=open "$endpoint"
  [ "${lines[1]}" = "context 'open' tls=0 skip_verify=0 ca= cert= key=" ]
}
