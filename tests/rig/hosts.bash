# shellcheck shell=bash disable=SC2154 # variables of tests
# What tests on rig hosts share: `load hosts` beside `load ../functions`.

rig() {
  "$SEATRIAL_SOURCE/tests/rig/rig" "$@" 3>&-
}

# A part of tests/rig/parts; those of Debian's unstable suite may be missing even where TEST_STRICT=1.
need_part() {
  "$SEATRIAL_SOURCE/tests/rig/parts" "$1" 3>&- && return
  case $1 in
    *-sid | engine-28.5) skip "there is no $1" ;;
    *) lacking "there is no $1" ;;
  esac
}

# The engines that can be had, as `rig up --engine` takes them. 20.10 is the machine's own; 28.5 is of the unstable suite.
three_engines() {
  local engines=20.10
  if need_part engine-26.1 >/dev/null; then engines+=,26.1; fi
  if "$SEATRIAL_SOURCE/tests/rig/parts" engine-28.5 >/dev/null 3>&-; then
    engines+=,28.5
  else
    echo "# no engine 28.5 here" >&3
  fi
  echo "$engines"
}

# For setup_file: one rig for all tests of a file, which ends with the file, however that ends. Takes words of `rig up`.
need_rig() {
  need_root
  export SEATRIAL_RIG_ROOT=$BATS_FILE_TMPDIR/rig
  rig up --until $$ "$@"
  eval "$(rig env)"
}

# ---- trials across the rig: with $folder, $project and $results of the test ----

# The testbed of a deployment file: hosts h1 to hN, each reached as [user@]hN (by words "2=member@h2").
testbed() {
  local n word
  echo "testbed:"
  echo "  provider: hosts"
  echo "  hosts:"
  for ((n = 1; n <= RIG_HOSTS; n++)); do
    local ssh=h$n
    for word in "$@"; do
      [ "${word%%=*}" != $n ] || ssh=${word#*=}
    done
    echo "    - {name: h$n, ssh: $ssh}"
  done
}

# The rig's SSH configuration, to be changed by a test.
prepare_hosts() {
  ssh_config=$BATS_TEST_TMPDIR/ssh_config
  cp "$RIG_SSH_CONFIG" "$ssh_config"
}

seatrial() {
  "$SEATRIAL_BIN/seatrial" --ssh-config "$ssh_config" -f "$folder/compose.yaml" --progress plain "$@" 3>&-
}

summary() {
  jq --raw-output "$1" "$results/summary.json"
}

# Containers, volumes and networks of the project on every host that is on, "hN: ...".
on_hosts() {
  local n
  for ((n = 1; n <= RIG_HOSTS; n++)); do
    rig exec "$n" sh -c "docker ps --all --format '{{.Names}}' --filter label=com.docker.compose.project=$project
      docker volume ls --quiet --filter label=com.docker.compose.project=$project" 2>/dev/null | sed "s/^/h$n: /"
  done
}

nothing_is_left() {
  local left
  left=$(on_hosts)
  echo "left: $left"
  [ -z "$left" ]
}

# How many connections the sshd of each host has accepted since it was started: "1 1 1 1 1".
connections() {
  local n
  for ((n = 1; n <= RIG_HOSTS; n++)); do rig connections "$n"; done | paste -sd ' '
}
