# A host loses its power in each phase of a trial. It is named with what to do, what was begun on it is listed as left
# behind, the rest of the trial is collected and cleaned up, and the exit status says all of it.

# Variables come from the environment, from faults.bash and hosts.bash.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts
export hosts=3 # a power cut of one of five is the same
load faults

# The host with a replica loses its power while it carries out that step, which takes long: it is some way away ($2).
# Whatever is there when it is on again has been listed.
power_cut_in() {
  local step=$1
  rig slow 2 "${2:-200ms}"
  begin
  eventually journal_has "$step"
  rig powercut 2
  finish
  [ "$status" = 1 ] || [ "$status" = 5 ]
  [[ $output == *"host 'h2'"* ]]
  [[ $output == *"hint: see whether it runs and lets us in"* ]]
  [ "$(summary .verdict)" = failed ]
  rest_is_clean
  rig reset
  what_is_left_was_listed
}

# All that is on a host which has come back.
what_is_left_was_listed() {
  local left host name
  left=$(on_hosts)
  echo "left: $left"
  while read -r host name; do
    [ -z "$name" ] || [[ ${output##*LEFT BEHIND} == *" $name on host ${host%:} "* ]] || return
  done <<<"$left"
  [ -z "$left" ] || { [ "$status" = 5 ] && [ "$(summary '.left_behind | length')" -ge 1 ]; }
}

left_behind_is_listed() {
  [ "$status" = 5 ]
  [[ $output == *"LEFT BEHIND container $project-replica-2 on host h2"* ]]
  [ "$(summary '.left_behind | length')" -ge 1 ]
}

@test "power off while the image is brought" {
  rig exec 2 docker rmi --force "$project" >/dev/null 2>&1 || true
  power_cut_in transfer-image
  [[ $output == *"FAILED transfer $project on h2"* ]]
}

@test "power off while the container is created" {
  power_cut_in create-container 450ms # a single question and answer
  [[ $output == *"FAILED create $project-replica-2 on h2"* ]]
  [ "$status" = 5 ] # by the container only if it may have been made; by the host's volumes in any case
}

@test "power off while the container is started" {
  power_cut_in start-container
  left_behind_is_listed
}

@test "power off while the trial waits for health" {
  ODD=sick ODD_ONE=1 power_cut_in wait-healthy
  [[ $output == *"FAILED wait for health of $project-replica-2 on h2"* ]]
  left_behind_is_listed
}

@test "power off while the container is stopped" {
  power_cut_in stop-container
  left_behind_is_listed
  rest_is_collected
}

@test "power off while results are collected" {
  power_cut_in collect-container
  left_behind_is_listed
  rest_is_collected
}

@test "power off of a replica's host during the load: the rest is collected" {
  LOAD_SECONDS=8 begin
  eventually printed "ok start $project-loader-1"
  rig powercut 2
  finish
  [ "$status" = 5 ]
  [[ $output == *"host 'h2'"* ]]
  left_behind_is_listed
  rest_is_collected
  rest_is_clean
}

@test "power off of the loader's host during the load: the replicas are collected" {
  LOAD_SECONDS=3600 begin
  eventually printed "ok start $project-loader-1"
  rig powercut 3
  finish
  [ "$status" = 5 ]
  [[ $output == *"FAILED wait for end of $project-loader-1 on h3"*"host 'h3'"* ]]
  [[ $output == *"LEFT BEHIND container $project-loader-1 on host h3"* ]]
  rest_is_collected
  rest_is_clean
}
