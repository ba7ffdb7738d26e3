# The registry's client against a real registry with TLS and a password.

bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup_file() {
  command -v docker-registry >/dev/null || lacking "there is no docker-registry"
  export folder=$BATS_FILE_TMPDIR/registry
  port=$(free_port)
  export port
  make_certificates "$folder/certs"
  registry_start "$folder" "$port" tls password
  export DOCKER_CONFIG=$BATS_FILE_TMPDIR/docker CERTIFICATES=$BATS_FILE_TMPDIR/certs.d
  mkdir -p "$CERTIFICATES/127.0.0.1:$port"
  cp "$folder/certs/ca.crt" "$CERTIFICATES/127.0.0.1:$port/"
  docker_login "$DOCKER_CONFIG" "$port"
  put_image
}

teardown_file() {
  registry_stop "$folder"
}

put() {
  curl --silent --show-error --fail --cacert "$folder/certs/ca.crt" --user captain:s3cret --request "$@"
}

# An image of nothing: an empty configuration, no layers.
put_image() {
  local url=https://127.0.0.1:$port/v2/team/app where digest
  printf '{}' >"$BATS_FILE_TMPDIR/blob"
  digest=sha256:$(sha256sum "$BATS_FILE_TMPDIR/blob" | cut -d ' ' -f 1)
  where=$(put POST "$url/blobs/uploads/" --dump-header - | tr -d '\r' | sed -n 's/^location: //Ip')
  put PUT "$where&digest=$digest" --header 'Content-Type: application/octet-stream' --data-binary "@$BATS_FILE_TMPDIR/blob"
  printf '{"schemaVersion": 2, "mediaType": "%s", "config": {"mediaType": "%s", "size": 2, "digest": "%s"}, "layers": []}' \
    application/vnd.docker.distribution.manifest.v2+json application/vnd.docker.container.image.v1+json "$digest" >"$BATS_FILE_TMPDIR/manifest"
  local tag
  for tag in one two; do
    put PUT "$url/manifests/$tag" --header 'Content-Type: application/vnd.docker.distribution.manifest.v2+json' --data-binary "@$BATS_FILE_TMPDIR/manifest"
  done
}

digest() {
  echo "sha256:$(sha256sum "$BATS_FILE_TMPDIR/manifest" | cut -d ' ' -f 1)"
}

ask() {
  "$SEATRIAL_BUILD/bin/ask_registry" "127.0.0.1:$port" "$@"
}

@test "who has the authority's certificate and the password is let in" {
  run -0 ask check
}

@test "what is there is told by tag and by digest, and what is not, too" {
  run -0 ask head team/app one
  [ "$output" = "$(digest) application/vnd.docker.distribution.manifest.v2+json" ]
  run -0 ask get team/app "$(digest)"
  [ "${output% *}" = "$(digest)" ]
  run -3 ask head team/app three
  run -3 ask head team/nothing one
  run -0 ask tags team/app
  [ "$output" = "one"$'\n'"two" ]
  run -3 ask tags team/nothing
}

@test "a wrong password is refused, and not shown" {
  docker_login "$BATS_TEST_TMPDIR" "$port" other-s3cret
  DOCKER_CONFIG=$BATS_TEST_TMPDIR run -1 ask head team/app one
  [[ $output == *"status 401"* && $output == *"auths of"* && $output != *other-s3cret* ]]
  DOCKER_CONFIG=$BATS_TEST_TMPDIR/none run -1 ask head team/app one
  [[ $output == *"docker login 127.0.0.1:$port"* ]]
}

@test "a certificate of another authority is refused" {
  make_certificates "$BATS_TEST_TMPDIR/other"
  mkdir -p "$BATS_TEST_TMPDIR/certs.d/127.0.0.1:$port"
  cp "$BATS_TEST_TMPDIR/other/ca.crt" "$BATS_TEST_TMPDIR/certs.d/127.0.0.1:$port/"
  CERTIFICATES=$BATS_TEST_TMPDIR/certs.d run -1 ask check
  [[ $output == *"refused"* ]]
}

@test "a bit that was flipped in a manifest is found" {
  local hex file
  hex=$(digest) && hex=${hex#sha256:}
  file=$folder/data/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data
  cp "$file" "$BATS_TEST_TMPDIR/whole"
  sed -i 's/"schemaVersion": 2/"schemaVersion":  2/' "$file"
  run -1 ask get team/app one
  cp "$BATS_TEST_TMPDIR/whole" "$file"
  [[ $output == *"team/app:one"* ]]
}

@test "a registry of this machine needs no TLS" {
  local port
  port=$(free_port)
  registry_start "$BATS_TEST_TMPDIR" "$port"
  DOCKER_CONFIG=$BATS_TEST_TMPDIR/none run ask check
  registry_stop "$BATS_TEST_TMPDIR"
  [ "$status" = 0 ]
}
