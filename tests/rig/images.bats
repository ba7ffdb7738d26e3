# The images of replica and loader, from what the `stage` target leaves in build/stage.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  cd "$SEATRIAL_SOURCE" || return
}

need_stage() {
  [ -d build/stage/loader ] || lacking "nothing is staged (cmake --build build/release --target stage)"
}

# The debug image is the plain one and a shell.
build_images() {
  local name
  for name in replica loader; do
    DOCKER_BUILDKIT=0 docker build --quiet --tag "stage-test-$name" "build/stage/$name" 2>/dev/null
    DOCKER_BUILDKIT=0 docker build --quiet --tag "stage-test-$name:debug" --target debug "build/stage/$name" 2>/dev/null
  done
}

teardown_file() {
  [ -z "${SEATRIAL_TEST_DOCKER_HOST:-}" ] ||
    DOCKER_HOST=$SEATRIAL_TEST_DOCKER_HOST docker rmi --force stage-test-{replica,loader}{,:debug} >/dev/null 2>&1 || true
}

stage_to() {
  cmake -Dname=replica -Dprograms="$SEATRIAL_BIN/replica" -Dstage_dir="$1" -Dobjcopy=objcopy -Dreadelf=readelf \
    -Dfiles="$PWD/dockerfiles/replica/Dockerfile" -P dockerfiles/stage.cmake
}

digest_of() {
  tar --sort=name --mtime=@0 -C "$1" -c . | sha256sum
}

@test "staging twice, with any umask, gives the same bytes" {
  (umask 077 && stage_to "$BATS_TEST_TMPDIR/one")
  (umask 002 && stage_to "$BATS_TEST_TMPDIR/two" && stage_to "$BATS_TEST_TMPDIR/two")
  [ "$(digest_of "$BATS_TEST_TMPDIR/one/replica")" = "$(digest_of "$BATS_TEST_TMPDIR/two/replica")" ]
}

@test "a staged root holds the program, its libraries, a user, /tmp, and nothing else" {
  need_stage
  local name
  for name in replica loader; do
    run -0 bash -c "cd build/stage/$name/root && find . -type f -o -type l | grep -vE '^\./(usr/)?lib(32|64)?/'"
    [ "$(sort <<<"$output")" = "./etc/passwd"$'\n'"./usr/bin/$name" ]
    [ "$(stat -c %a "build/stage/$name/root/tmp")" = 1777 ]
  done
}

@test "debug information is kept aside, under the build id of the program" {
  stage_to "$BATS_TEST_TMPDIR/s"
  local program=$BATS_TEST_TMPDIR/s/replica/root/usr/bin/replica id
  id=$(readelf --notes "$program" | sed -n 's/.*Build ID: //p')
  run ! grep -q debug_info <(readelf --sections --wide "$program")
  grep -q debug_info <(readelf --sections --wide "$BATS_TEST_TMPDIR/s/debug/.build-id/${id:0:2}/${id:2}.debug")
}

@test "a program with a missing library is refused by the library's name" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\necho "\tlibgone.so.1 => not found"\n' >"$BATS_TEST_TMPDIR/bin/ldd"
  chmod +x "$BATS_TEST_TMPDIR/bin/ldd"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH run -1 stage_to "$BATS_TEST_TMPDIR/s"
  [[ $output == *"libgone.so.1, which is not"* ]]
}

@test "the images run as their user, say how they are stopped and checked, and have no shell" {
  need_engine
  need_stage
  build_images
  local name
  for name in replica loader; do
    [ "$(docker inspect --format '{{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}} {{.Config.Entrypoint}}' "stage-test-$name")" = \
      "10001:10001 /cores SIGTERM [/usr/bin/$name]" ]
    docker run --rm --network none "stage-test-$name" --help | grep -qi "usage"
    run -127 docker run --rm --network none --entrypoint sh "stage-test-$name" -c true
  done
  [ "$(docker inspect --format '{{.Config.Healthcheck.Test}}' stage-test-replica)" = "[CMD /usr/bin/replica --health]" ]
}

@test "the debug images have a shell; their user writes to /data, /cores and /tmp only" {
  need_engine
  need_stage
  build_images
  local name
  for name in replica loader; do
    # shellcheck disable=SC2016 # the container's shell expands it
    run -0 docker run --rm --network none --entrypoint sh "stage-test-$name:debug" -c '
      id -u; for d in /data /cores /tmp; do touch $d/x || echo "not $d"; done
      for d in / /usr/bin /etc /lib; do touch $d/x 2>/dev/null && echo "$d"; done; ls / >/dev/null'
    [ "$output" = 10001 ]
  done
}
