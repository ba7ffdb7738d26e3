# What a trial makes before its containers: what prepare services leave, and volumes.

# Variables come from functions.bash.
# shellcheck disable=SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions

setup() {
  prepare_trial
}

teardown() {
  sweep_trial
  volumes | xargs --no-run-if-empty docker volume rm --force >/dev/null
  docker volume rm --force "$project-elsewhere" >/dev/null 2>&1 || true
}

volumes() {
  docker volume ls --quiet --filter label=com.docker.compose.volume --filter "label=com.docker.compose.project=$project"
}

# Two prepare services, of which the second needs the first and ends with $1; everybody is only healthy with what both left.
with_prepare_services() {
  cat >"$folder/over.yaml" <<EOF
services:
  keys:
    image: $project
    command: ["-c", "/bin/busybox mkdir -p /keys/deep && umask 077 && echo the-secret-of-\$\$SEATRIAL_RUN >/keys/deep/secret"]
    network_mode: host
    x-seatrial: {role: prepare, output: /keys}
  certificates:
    image: $project
    command: ["-c", "/bin/busybox mkdir -p /made && /bin/busybox cp /keys/deep/secret /made/copy; exit $1"]
    network_mode: host
    depends_on: [keys]
    x-seatrial: {role: prepare, output: /made}
  replica:
    healthcheck:
      test: [CMD, /bin/busybox, sh, -c, "busybox cmp /keys/deep/secret /made/copy && [ \$\$(busybox stat -c %a /keys/deep/secret) = 600 ]"]
  loader:
    command: ["-c", "/bin/busybox cmp /keys/deep/secret /made/copy && exec /bin/busybox sh /bin/loader.sh"]
    x-seatrial: {collect: [/keys]}
EOF
}

@test "what prepare services leave is in every other container, and in no results, even if it is asked for" {
  with_prepare_services 0
  run -0 seatrial -f "$folder/over.yaml" run
  [[ $output == *"verdict     good"* ]]
  run ! grep -r "the-secret-of-$(summary .run)" "$results/"
  nothing_is_left
}

@test "a loader that is started by hand is given it too" {
  with_prepare_services 0
  run -0 seatrial -f "$folder/over.yaml" up
  run -0 seatrial -f "$folder/over.yaml" load
  run -0 seatrial -f "$folder/over.yaml" down
  nothing_is_left
}

@test "a prepare service that fails ends the trial before any other container is made" {
  with_prepare_services 3
  run -1 seatrial -f "$folder/over.yaml" run
  [[ $output == *"'$project-certificates-1' on host 'local': it ended with exit status 3"* ]]
  [ "$(jq -r 'select(.event == "begin" and .kind == "create-container") | .subject' "$results/journal.jsonl" | sort | xargs)" = \
    "$project-certificates-1 $project-keys-1" ]
  nothing_is_left
}

@test "named volumes are made for a trial and removed with it; --keep leaves them, and down removes them" {
  cat >"$folder/over.yaml" <<EOF
services:
  replica: {volumes: ["data:/data"]}
  loader: {volumes: ["data:/seen:ro"]}
volumes: {data: {labels: {team: blue}}}
EOF
  run -0 seatrial -f "$folder/over.yaml" run
  [ -z "$(volumes)" ]
  run -0 seatrial -f "$folder/over.yaml" run --keep
  [ "$(volumes)" = "${project}_data" ]
  [ "$(docker volume inspect --format '{{index .Labels "team"}} {{index .Labels "com.docker.compose.volume"}}' "${project}_data")" = "blue data" ]
  [ "$(docker volume inspect --format '{{index .Labels "io.seatrial.run"}}' "${project}_data")" = "$(summary .run)" ]
  run -0 seatrial -f "$folder/over.yaml" down
  [ -z "$(volumes)" ]
  nothing_is_left
}

@test "an external volume must be there, is not made, and stays" {
  cat >"$folder/over.yaml" <<EOF
services:
  replica: {volumes: ["data:/data"]}
volumes: {data: {external: true, name: $project-elsewhere}}
EOF
  run ! seatrial -f "$folder/over.yaml" run
  [[ $output == *"external volume '$project-elsewhere' is not there"* ]]
  run ! docker volume inspect "$project-elsewhere"
  docker volume create "$project-elsewhere"
  run -0 seatrial -f "$folder/over.yaml" run
  docker volume inspect "$project-elsewhere"
  nothing_is_left
}
