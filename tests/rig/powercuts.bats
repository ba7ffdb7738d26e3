# A host loses its power in each phase of a trial. It is named with what to do, what was begun on it is listed as left
# behind, the rest of the trial is collected and cleaned up, and the exit status says all of it.

# Variables come from the environment, from faults.bash and hosts.bash.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts
load faults

# The host with a replica loses its power while it carries out that step, which takes long: it is some way away.
# Whatever is there when it is on again has been listed.
power_cut_in() {
  local step=$1
  rig slow 2 200ms
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
  local left
  left=$(on_hosts)
  echo "left: $left"
  [ -z "$left" ] || left_behind_is_listed
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
  power_cut_in create-container
  [[ $output == *"FAILED create $project-replica-2 on h2"* ]]
  left_behind_is_listed # whether it was made, nobody can know
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
  rig powercut 5
  finish
  [ "$status" = 5 ]
  [[ $output == *"FAILED wait for end of $project-loader-1 on h5"*"host 'h5'"* ]]
  [[ $output == *"LEFT BEHIND container $project-loader-1 on host h5"* ]]
  rest_is_collected
  rest_is_clean
}
