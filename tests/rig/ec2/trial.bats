# Whole trials on machines of EC2, from deployment.yaml alone: moto has the machines and checks signatures, the rig's hosts are them.

# Variables come from the environment, from the files loaded, or are set in setup.
# shellcheck disable=SC2016,SC2154 # what is quoted is for a shell elsewhere
bats_require_minimum_version 1.5.0
load ../../functions
load ../hosts
load ../trial/functions
load moto
load cloud

setup_file() {
  need_engine # the builder
  need_moto
  need_cloud 5 us-east-2 us-west-2
  subnet_east=$(cloud_subnet us-east-2 1)
  subnet_west=$(cloud_subnet us-west-2 5)
  export subnet_east subnet_west
}

teardown_file() {
  [ -z "${SEATRIAL_RIG_ROOT:-}" ] || rig down
  end_cloud
  end_moto
  remove_kept_image
}

setup() {
  prepare_trial
  scale 4
  cp "$RIG_KEY" "$folder/id"
  cp "$RIG_KEY.pub" "$folder/id.pub"
  sed -i 's/role: replica, per_host: 4/role: replica, fleet: replicas/; s/role: loader/role: loader, fleet: loaders/' "$folder/compose.yaml"
  cat >>"$folder/deployment.yaml" <<EOF
name: $project
credentials: {ssh_key_path: $folder/id}
testbed:
  provider: ec2
  addresses: private
  user: sudoer
  ssh_from: [$RIG_GATEWAY/32]
  time_to_live: 2h
  fleets:
    replicas: {regions: {us-east-2: {count: 4, subnet: $subnet_east}}, instance_type: i3.2xlarge, image: ami-12c6146b}
    loaders: {regions: {us-west-2: {count: 1, subnet: $subnet_west}}, instance_type: c5.2xlarge, image: ami-12c6146b}
EOF
}

teardown() {
  [ -n "${BATS_TEST_COMPLETED:-}" ] || { tail -n 20 "$cloud"/*log ./*.log || true; seatrial machines down; }
  sweep_trial
}

# Of machines: "NAME STATE" sorted, in one line.
states() {
  seatrial machines status --format json | jq -r 'select(.kind == "machine") | .name + " " + .state' | sort | paste -sd ,
}

all_run="loaders-1 running,replicas-1 running,replicas-2 running,replicas-3 running,replicas-4 running"

# All of it: verdict, who was where, each log to its last line.
results_are_complete() {
  local n
  [ "$(summary .verdict)" = good ]
  [ "$(summary .agreement.replicas)" = 4 ]
  [ "$(summary .agreement.acknowledged_in_chain)" = 100 ]
  [ "$(summary '.left_behind | length')" = 0 ]
  [ "$(summary '[.containers[].host] | sort | join(" ")')" = "loaders-1 replicas-1 replicas-2 replicas-3 replicas-4" ]
  for n in 1 2 3 4; do
    tail -n 1 "$results/replicas-$n/$project-replica-$n/output.log" | grep -q 'last words'
  done
  grep -q 'load with -b 100' "$results/loaders-1/$project-loader-1/output.log"
}

@test "machines up, run, stop, start, run, down: five machines in two fleets and regions" {
  local ids
  run -0 seatrial plan
  [[ $output == *"machines of fleet replicas: 4 of i3.2xlarge in us-east-2, on demand, image ami-12c6146b: 0.624 USD per hour each"*"machines cost 2.836 USD per hour, without disks, addresses and traffic"*"host replicas-1 (fleet replicas): $project-replica-1"* ]]
  [ -z "$(states)" ]
  run -0 seatrial machines up
  [ "$(states)" = "$all_run" ]
  ids=$(seatrial machines ls --format json | jq -r .id | sort)
  run -0 seatrial run
  [[ $output == *"5 of 5 machines can be used"*"5 machines are left running until"* ]]
  results_are_complete
  [[ $output == *"cost        2.836 USD per hour: "*" USD for this run, "* ]]
  [ "$(summary '.cost | .machines == 5 and (.usd_per_hour * 1000 | round) == 2836 and .usd_so_far > .usd_of_run and .usd_of_run > 0')" = true ]
  run -0 seatrial machines stop
  eventually all_off
  run -1 seatrial run --use-existing
  [[ $output == *"5 of 5 machines do not run; host 'replicas-1': its machine i-"*" is stopped"* ]]
  run -0 seatrial machines start
  [ "$(seatrial machines ls --format json | jq -r .id | sort)" = "$ids" ]
  rm "$results"
  run -0 seatrial run --stop-machines
  [[ $output == *"all machines are stopped"* ]]
  results_are_complete
  [ "$(states)" = "${all_run//running/stopped}" ]
  run -0 seatrial machines down
  [ -z "$(seatrial machines ls --all --format json)" ]
}

# Of machines, sorted: what the status says of them.
of_machines() {
  seatrial machines status --format json | jq -r "select(.kind == \"machine\") | $1" | sort
}

@test "a runner dies while host keys are replaced; commands find the machines, by keys that only they have" {
  local journal=$XDG_STATE_HOME/seatrial/machines/$project.jsonl runner n
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain up >up.log 2>&1 3>&- &
  runner=$!
  until grep -q '"asked"' "$journal" 2>/dev/null; do kill -0 $runner; done
  kill -KILL $runner
  wait $runner || true
  run -0 seatrial up
  [[ $output != *"host key is still"* ]]
  [ "$(of_machines .host_key)" = "$(for n in 1 2 3 4 5; do ssh-keyscan -t ed25519 "${RIG_GATEWAY%.*}.$((n + 10))" 2>/dev/null; done | cut -d' ' -f2,3 | sort)" ]
  [ "$(jq -r 'select(.event == "host key" and .state == "pinned").id' "$journal" | sort)" = "$(of_machines .id)" ]
  run -0 seatrial ps
  [ "$(grep -c "$project-replica-" <<<"$output")" = 4 ]
  run -0 seatrial exec -T --index 2 replica /bin/busybox cat /seatrial/cluster.yaml
  [[ $output == *"host: \"replicas-2\", address: \"${RIG_GATEWAY%.*}.1"* ]]
  run -0 seatrial ssh loaders-1 hostname
  [ "$output" = h5 ]
  run -0 seatrial tunnel -m replicas-1 docker ps --format '{{.Names}}'
  [[ $output == *"$project-replica-1"* ]]
  run -0 seatrial load
  [[ $output == *"load with -b 100"* ]]
  run -0 seatrial down
  # Who has the key of the user-data is not the machine.
  rig exec 1 sh -c 'cat >/etc/ssh/ssh_host_ed25519_key && kill -HUP "$(cat /run/rig/sshd.pid)"' <"$cloud/h1.key"
  run -1 seatrial ps
  [[ $output == *"its host key is SHA256:"*"is pinned"* ]]
  run -0 seatrial machines down
}

lives_on() {
  [ "$(lives_until "$1")" -gt "$2" ]
}

load_runs() {
  grep -q "ok start $project-loader-1" "$1"
}

# All that ran on this machine and the hosts, as long as a process does.
watch_arguments() {
  while kill -0 "$1" 2>/dev/null; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n'; done | sort -u >"$2" 3>&-
}

@test "run makes its machines; one that dies goes on; they live on; and nothing that was written, said or started has a secret" {
  local runner until n
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress json run >run.out 2>run.err 3>&- &
  runner=$!
  watch_arguments $runner arguments
  wait $runner
  results_are_complete
  export LOAD_SECONDS=5
  "$SEATRIAL_BIN/seatrial" -f "$folder/compose.yaml" --progress plain run >run.log 2>&1 3>&- &
  runner=$!
  eventually load_runs run.log
  kill -KILL $runner
  wait $runner || true
  run -0 seatrial run --resume latest
  results_are_complete
  for n in 1 2 3 4 5; do rig exec $n sh -c 'echo $(($(date +%s) + 60)) >/run/seatrial/expires'; done
  run -0 seatrial run
  for n in 1 2 3 4 5; do [ "$(lives_until $n)" -gt $(($(date +%s) + 6000)) ]; done
  run ! jq -e '.warnings[] | select(contains("time to live"))' "$results/run.json"
  echo "$AWS_SECRET_ACCESS_KEY" >>"$cloud/secrets"
  secrets_of "$folder/id" >>"$cloud/secrets"
  [ "$(grep -c '.\{40\}' "$cloud/secrets")" -gt 12 ]
  grep -q "$SEATRIAL_BIN/seatrial" arguments # it was watched
  run ! grep -rF -f "$cloud/secrets" arguments run.out run.err "$folder/results" "$XDG_STATE_HOME"
  run ! grep -rF 'PRIVATE KEY' arguments run.out run.err "$folder/results" "$XDG_STATE_HOME"
  # Whoever interrupts a run is told, too, that machines cost on.
  start_in_background run.log run
  runner=$!
  eventually load_runs run.log
  kill -INT $runner
  wait $runner && return 1
  grep -q 'machines are left running, until when is not known (interrupted)' run.log
  run -0 seatrial machines down
}

@test "machines that are renewed, then one that EC2 takes back and one that somebody ends: the run says which, and why" {
  local runner until id given n
  sed -i 's/time_to_live: 2h/time_to_live: 20s/; s/instance_type: i3.2xlarge/&, market: spot/' "$folder/deployment.yaml"
  start_in_background run.log run
  runner=$!
  eventually load_runs run.log
  until=$(lives_until 3)
  eventually lives_on 3 "$until"
  [ "$(of_machines .expires | head -n 1)" -gt "$(date +%s)" ]
  given=$(of_machines 'select(.name == "replicas-2").private_address')
  given=$((${given##*.} - 10)) # the host that it is
  give_notice $given
  wait $runner && return 1
  grep -q "host 'replicas-2': EC2 takes back its spot machine i-.* in us-east-2 at 2030-01-02T03:04:05Z" run.log
  [ "$(summary .verdict)" = failed ]
  [ "$(summary '.left_behind | length')" = 0 ]
  for n in 1 2 3 4; do grep -q 'last words' "$results/replicas-$n/$project-replica-$n/output.log"; done
  rig exec $given ip addr del 169.254.169.254/32 dev lo
  start_in_background run.log --reconnect-timeout 5s run
  runner=$!
  eventually load_runs run.log
  id=$(of_machines 'select(.name == "replicas-3").id')
  moto_python "$SEATRIAL_SOURCE/tests/rig/ec2/terminate.py" "$AWS_ENDPOINT_URL" us-east-2 "$id"
  wait $runner && return 1
  grep -q "host 'replicas-3': its machine $id in us-east-2 was ended" run.log
  [ "$(summary '.left_behind | length')" = 0 ]
  run -0 seatrial machines down
}
