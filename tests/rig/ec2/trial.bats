# Whole trials on machines of EC2, from deployment.yaml alone: moto has the machines and checks signatures, the rig's hosts are them.

# Variables come from the environment, from the files loaded, or are set in setup.
# shellcheck disable=SC2154
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
  cp "$RIG_KEY" "$folder/id"
  cp "$RIG_KEY.pub" "$folder/id.pub"
  sed -i 's/role: replica, per_host: 4/role: replica, fleet: replicas/; s/role: loader/role: loader, fleet: loaders/' "$folder/compose.yaml"
  cat >>"$folder/deployment.yaml" <<EOF2
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
EOF2
}

teardown() {
  [ -n "${BATS_TEST_COMPLETED:-}" ] || tail -n 20 "$cloud"/*log
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
