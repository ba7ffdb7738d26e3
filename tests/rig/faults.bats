# What goes wrong with hosts, and what users get to see of it: which host, in which phase, and what to do. The rest of the
# trial is collected and cleaned up, and the exit status says how it ended.

# Variables come from the environment, from faults.bash and hosts.bash.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../functions
load hosts
export hosts=3
load faults

@test "one host is never reachable: it is named with what to do, and nothing is started on the others" {
  rig powercut 2
  for_h2 'ConnectTimeout 2'
  run -1 seatrial run
  [[ $output == *"FAILED check h2"*"host 'h2': connect to port 22: $RIG_ADDRESS_2: no answer"* ]]
  [[ $output == *"hint: see whether it runs"* ]]
  [[ $output == *"verdict     failed"* ]]
  [[ $output != *"ok create"* ]]
  rest_is_clean
}

@test "a wrong host key is refused, with the line that knows another and what to do" {
  rig sshd 2 # with a new log
  sed -i "s|$RIG_KNOWN_HOSTS|$RIG_KNOWN_HOSTS_WRONG|" "$ssh_config"
  run -1 seatrial run
  [[ $output == *"FAILED check h2"*"its host key is SHA256:"*"known by another ($RIG_KNOWN_HOSTS_WRONG:2)"* ]]
  [[ $output == *"hint: "*"ssh-keygen -R '$RIG_ADDRESS_2'"* ]]
  [[ $(cat "$RIG_LOGS_2/sshd.log") != *Accepted* ]]
}

@test "a user who is not let in is named, with the keys that were tried and what to do" {
  for_h2 'User stranger'
  run -1 seatrial run
  [[ $output == *"FAILED check h2"*"user 'stranger' is not let in"*"$RIG_KEY"* ]]
  [[ $output == *"hint: "*authorized_keys* ]]
  rest_is_clean
}

@test "where sshd does not forward to sockets there is a way around, still over one connection" {
  local n
  for n in 1 2 3; do rig sshd $n 'AllowStreamLocalForwarding no'; done
  run -0 seatrial run
  [ "$(connections)" = "1 1 1" ]
  rest_is_collected
  rest_is_clean
}

@test "where the engine needs sudo, and sshd allows one session, that is said instead of waiting for ever" {
  rig sshd 2 'MaxSessions 1'
  sed -i 's/ssh: h2/ssh: sudoer@h2/' "$folder/deployment.yaml"
  run -1 seatrial run
  [[ $output == *"FAILED check h2"*"sshd allows 1 sessions at a time (MaxSessions)"* ]]
  [[ $output == *"hint: raise MaxSessions"* ]]
  rest_is_clean
}

@test "a full disk is noticed before anything is started, and when it fills up while an image comes" {
  rig disk 2 100m
  rig fill 2 500000
  run -1 seatrial run
  [[ $output == *"FAILED check h2"*"disk"*"is full"* ]]
  [[ $output == *"hint: free some space on host 'h2'"* ]]
  rest_is_clean
  run -1 seatrial run --min-disk 0
  [[ $output == *"FAILED transfer $project on h2"*"no space left on device"* ]]
  [[ $output == *"hint: "* ]]
  rest_is_clean
  rig disk 2 off
}

@test "an engine that is stopped is told from a host that is gone; and when it runs again so does the trial" {
  rig engine 2 stop
  run -1 seatrial run
  [[ $output == *"FAILED check h2"*"no engine listens on"* ]]
  [[ $output == *"start it: "* ]]
  rest_is_clean
  rig engine 2 start
  run -0 seatrial run
}

@test "an engine stopped and started again during the load: what it ran has ended, the rest is collected" {
  LOAD_SECONDS=8 begin
  eventually printed "ok start $project-loader-1"
  rig engine 2 stop
  rig engine 2 start
  finish
  [ "$status" = 1 ]
  [[ $output == *"verdict     crashed"* ]]
  [[ $output == *"$project-replica-2 on h2 ended by itself"* ]]
  grep -q 'last words of 1' "$results/h2/$project-replica-2/output.log"
  rest_is_collected
  rest_is_clean
}

@test "a tunnel cut for 20 s and healed: the trial goes on, and not a line is lost" {
  local n
  reconnect=60s COUNT_TO=350 begin
  eventually printed "ok start $project-loader-1"
  rig cut 2 && rig cut 3
  sleep 20 # the fault itself
  rig heal 2 && rig heal 3
  finish
  [ "$status" = 0 ]
  [[ $output == *"host 'h2' does not answer"*"host 'h2' is back"* ]]
  for n in h2/$project-replica-2 h3/$project-loader-1; do
    [ "$(grep -c 'stdout line ' "$results/$n/output.log")" = 350 ]
    diff <(seq 350) <(sed -n 's/.* stdout line //p' "$results/$n/output.log")
  done
  rest_is_collected
  rest_is_clean
}
