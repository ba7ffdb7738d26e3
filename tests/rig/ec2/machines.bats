# `seatrial machines` against moto, which checks signatures; behind a witness that knows botocore's signer and model of EC2.

# Variables come from the environment, from moto.bash, or are set in setup.
# shellcheck disable=SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load moto

setup_file() {
  need_moto
  AWS_ENDPOINT_URL=$(need_witness front "" "$AWS_ENDPOINT_URL")
}

teardown_file() {
  end_witness front
  end_witness alone
  end_moto
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  ssh-keygen -q -t ed25519 -N '' -f id
  cat >compose.yaml <<'EOT'
services:
  replica: {image: r, deploy: {replicas: 4}, network_mode: host, x-seatrial: {role: replica, fleet: replicas}}
  loader: {image: l, network_mode: host, x-seatrial: {role: loader, fleet: loaders}}
EOT
  write_deployment perf
}

write_deployment() {
  cat >deployment.yaml <<EOT
name: $1
credentials: {ssh_key_path: id}
testbed:
  provider: ec2
  ssh_from: [203.0.113.7/32, 198.51.100.0/24]
  fleets:
    replicas: {regions: {us-east-2: 4}, instance_type: i3.2xlarge, image: ami-12c6146b}
    loaders: {regions: {us-west-2: 1}, instance_type: c5.2xlarge, image: ami-12c6146b}
EOT
}

seatrial() {
  "$SEATRIAL_BIN/seatrial" --progress plain "$@" 3>&-
}

# typed TEXT COMMAND...: at a terminal.
typed() {
  "$SEATRIAL_BIN/rig_pty" "${@:2}" <<<"$1" 3>&-
}

# Of machines: "NAME STATE" sorted, in one line.
states() {
  seatrial machines status --format json | jq -r 'select(.kind == "machine") | .name + " " + .state' | sort | paste -sd ,
}

all_run="loaders-1 running,replicas-1 running,replicas-2 running,replicas-3 running,replicas-4 running"

@test "five machines in two fleets and regions: up, again, stop, start, down, and nothing is left" {
  run -0 seatrial machines up --dry-run
  [ -z "$(states)" ]
  local before
  before=$(seen requests)
  run -0 seatrial machines up
  [ "$(states)" = "$all_run" ]
  # One RunInstances for each fleet and region.
  [ "$(grep -c '"event":"make"' "$XDG_STATE_HOME/seatrial/machines/perf.jsonl")" = 2 ]
  local ids
  ids=$(seatrial machines ls --format json | jq -r .id | sort)
  run -0 seatrial machines up
  [ "$(seatrial machines ls --format json | jq -r .id | sort)" = "$ids" ]
  # The same machines for provider hosts.
  seatrial machines status --format hosts >on-ec2.yaml
  [ "$(grep -c 'ssh: "\?ubuntu@[0-9.]*"\?, fleet: [a-z]*, host_key: "\?SHA256:' on-ec2.yaml)" = 5 ]
  run -0 --separate-stderr seatrial -d on-ec2.yaml machines ls --format json
  [ "$(jq -r .name <<<"$output" | sort | paste -sd ' ')" = "loaders-1 replicas-1 replicas-2 replicas-3 replicas-4" ]
  run -0 seatrial machines stop
  [ "$(states)" = "${all_run//running/stopped}" ]
  run -0 seatrial machines start
  [ "$(states)" = "$all_run" ]
  [ "$(seatrial machines ls --format json | jq -r .id | sort)" = "$ids" ]
  # Without a key none are made, and all are stopped and ended.
  rm id.pub
  run -3 seatrial machines up
  [[ $output == *"nobody could log in"* ]]
  run -0 seatrial machines stop
  run -0 seatrial machines down
  [ -z "$(seatrial machines ls --all --format json)" ]
  [ "$(seen requests)" -gt "$before" ]
}

@test "what machines cost is said, asked above a limit, and refused where nobody can be asked" {
  # Prices of our own, in which one type is missing.
  echo 'us-east-2: {i3.2xlarge: 3.5}' >prices.yaml
  sed -i 's/  provider: ec2/&\n  prices: prices.yaml/' deployment.yaml
  run -2 seatrial machines up
  [[ $output == *"5 machines would cost 14.00 USD per hour, without disks, addresses and traffic; what 1 of 5 machines cost is not known: the table of prices has no c5.2xlarge in us-west-2; above 10 USD per hour"*"--yes wants it"* ]]
  [ -z "$(states)" ]
  run -0 seatrial machines up --yes
  run -0 seatrial machines status
  [[ $output == *"USD/HOUR"*" 3.50"*" unknown"* || $output == *"USD/HOUR"*" unknown"*" 3.50"* ]]
  [[ $output == *"cost: 14.00 USD per hour, "*" USD since the machines were last started, without disks, addresses and traffic; what 1 of 5 "* ]]
  [ "$(seatrial machines ls --format json | jq -c .usd_per_hour | sort | paste -sd ' ')" = "3.5 3.5 3.5 3.5 null" ]
  # What runs already is no question; what would be started is one.
  run -0 seatrial machines up
  run -0 seatrial machines stop
  run -0 seatrial machines status
  [[ $output != *cost:* && $output != *3.50* ]]
  run -2 seatrial machines start
  [[ $output == *"14.00 USD per hour"* ]]
  sed -i 's/  prices: .*/  cost_limit_usd_per_hour: 2/' deployment.yaml
  run -2 seatrial machines start
  [[ $output == *"5 machines would cost 2.836 USD per hour, without disks, addresses and traffic; above 2 USD"* ]]
  # At a terminal one is asked.
  run -1 typed n "$SEATRIAL_BIN/seatrial" machines start
  [[ $output == *"Go on? [y/N]"*"nothing was made or started"* ]]
  [ "$(states)" = "${all_run//running/stopped}" ]
  run -0 typed y "$SEATRIAL_BIN/seatrial" machines start
  [ "$(states)" = "$all_run" ]
  run -0 seatrial machines down
}

@test "a group of our own lets in SSH from the runner, its machines, and those of the other region" {
  run -0 seatrial machines up
  cat >rules.py <<'EOT'
import sys
import boto3
for region in ("us-east-2", "us-west-2"):
    ec2 = boto3.client("ec2", endpoint_url=sys.argv[1], region_name=region, aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])
    groups = ec2.describe_security_groups(Filters=[{"Name": "tag:io.seatrial.deployment", "Values": ["perf"]}])["SecurityGroups"]
    assert len(groups) == 1
    for p in groups[0]["IpPermissions"]:
        for r in p["IpRanges"]:
            print(region, p["IpProtocol"], p.get("FromPort"), "world" if r["CidrIp"].endswith("/0") else "peer" if p["IpProtocol"] == "-1" else r["CidrIp"])
        for g in p["UserIdGroupPairs"]:
            print(region, p["IpProtocol"], "itself" if g["GroupId"] == groups[0]["GroupId"] else "another")
    for r in ec2.describe_instances()["Reservations"]:
        for i in r["Instances"]:
            if i["State"]["Name"] == "running":
                assert [g["GroupId"] for n in i["NetworkInterfaces"] for g in n["Groups"]] == [groups[0]["GroupId"]], i["NetworkInterfaces"]
                assert {"io.seatrial.owner", "io.seatrial.deployment", "io.seatrial.fleet", "io.seatrial.expires"} <= {t["Key"] for t in i["Tags"]}
EOT
  run -0 moto_python rules.py "$AWS_ENDPOINT_URL" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
  [ "$(sort <<<"$output" | uniq -c | sed 's/^ *//')" = "$(
    cat <<'EOT'
1 us-east-2 -1 None peer
1 us-east-2 -1 itself
1 us-east-2 tcp 22 198.51.100.0/24
1 us-east-2 tcp 22 203.0.113.7/32
4 us-west-2 -1 None peer
1 us-west-2 -1 itself
1 us-west-2 tcp 22 198.51.100.0/24
1 us-west-2 tcp 22 203.0.113.7/32
EOT
  )" ]
  run -0 seatrial machines down
}

@test "machines of another deployment are seen with --all, ended by their time only, and never by our down" {
  write_deployment other
  sed -i 's/  provider: ec2/&\n  time_to_live: 1s/' deployment.yaml
  run -0 seatrial machines up
  write_deployment perf
  run -0 seatrial machines up
  [ -z "$(seatrial machines ls --format json | jq -r 'select(.deployment != "perf")')" ]
  [ "$(seatrial machines ls --all --format json | jq -r 'select(.kind == "machine") | .deployment' | sort | uniq -c | xargs)" = "5 other 5 perf" ]
  until [ "$(seatrial machines ls --all --format json | jq -rs 'map(select(.deployment == "other").expires) | max < now - 1')" = true ]; do sleep 0.2; done
  run -0 --separate-stderr seatrial machines reap
  [ "${#lines[@]}" = 5 ]
  [ "$(states)" = "$all_run" ]
  run -0 seatrial machines down
  [ "$(seatrial machines ls --all --format json | jq -r .kind | sort | uniq -c | xargs)" = "2 security-group" ]
  run -0 seatrial machines down --all
  [ -z "$(seatrial machines ls --all --format json)" ]
}

# killed_at N COMMAND: `seatrial machines COMMAND`, killed as soon as it has written N lines of its journal; 1 if it never had so many.
killed_at() {
  : >"$XDG_STATE_HOME/seatrial/machines/perf.jsonl"
  "$SEATRIAL_BIN/rig_kill_at" "$1" "$XDG_STATE_HOME/seatrial/machines/perf.jsonl" "$SEATRIAL_BIN/seatrial" machines "$2" 3>&-
}

nothing_is_left() {
  run -0 seatrial machines down
  [ -z "$(seatrial machines ls --all --format json)" ]
}

# At each line of the journal: `up` again makes what is missing and no machine twice, and `down` instead leaves nothing.
@test "a runner that is killed at a line of the journal of up leaks nothing" {
  local n killed=0 at="5 8"
  [ -z "${SEATRIAL_TEST_LONG:-}" ] || at=$(seq 100)
  mkdir -p "$XDG_STATE_HOME/seatrial/machines"
  for n in $at; do
    killed_at "$n" up || break
    killed=$((killed + 1))
    run -0 seatrial machines up
    [ "$(states)" = "$all_run" ]
    [ "$(seatrial machines ls --all --format json | jq -rs 'map(select(.kind == "machine")) | length')" = 5 ]
    nothing_is_left
    killed_at "$n" up || true
    nothing_is_left
  done
  nothing_is_left
  [ "$killed" -ge 2 ]
}

@test "a runner that is killed at a line of the journal of down leaks nothing" {
  local n killed=0 at="1 4"
  [ -z "${SEATRIAL_TEST_LONG:-}" ] || at=$(seq 100)
  for n in $at; do
    run -0 seatrial machines up
    killed_at "$n" down || break
    killed=$((killed + 1))
    nothing_is_left
  done
  nothing_is_left
  [ "$killed" -ge 2 ]
}

# The line of a call that nobody heard the end of, then one that was torn.
@test "a token is used again while what it made may not be seen yet, and not later" {
  local journal=$XDG_STATE_HOME/seatrial/machines/perf.jsonl
  mkdir -p "${journal%/*}"
  {
    printf '{"ns":%s,"event":"make","token":"5eed","fleet":"replicas","region":"us-east-2"}\n' "$(date +%s%N)"
    printf '{"ns":%s,"event":"make","token":"01d","fleet":"loaders","region":"us-west-2"}\n' "$(date -d '-11 min' +%s%N)"
    printf '{"ns":1,"event":"ma'
  } >"$journal"
  run -0 seatrial machines up
  run -0 jq -r 'select(.event == "made") | .fleet + " " + .token' "$journal"
  [[ $output == *"replicas 5eed"* && $output == *"loaders "* && $output != *"loaders 01d"* ]]
  run -0 seatrial machines down
}

@test "wrong keys are said so, and nothing that was written or said has the secret" {
  local secret=$AWS_SECRET_ACCESS_KEY
  AWS_SECRET_ACCESS_KEY=wrong run -1 seatrial machines up
  [[ $output == *"EC2 says"*hint:* ]]
  run -0 seatrial machines up
  [[ $output != *"$secret"* ]]
  run -0 seatrial machines down
  run ! grep -rF -e "$secret" -e "PRIVATE KEY" "$XDG_STATE_HOME" compose.yaml deployment.yaml
}

@test "what is wrong with a trial is said before anything is made, and a plan asks nobody" {
  local before
  before=$(seen requests)
  run -0 seatrial plan
  sed -i 's/fleet: loaders/fleet: nobody/' compose.yaml
  run -3 seatrial run
  [[ $output == *nobody* ]]
  sed -i 's/fleet: nobody/fleet: loaders/; s/image: ami-12c6146b}/&/; s/instance_type: c5.2xlarge/&, market: spot/' compose.yaml deployment.yaml
  run -2 seatrial run --stop-machines
  [[ $output == *"spot machines of fleet 'loaders' cannot be stopped"* ]]
  [ "$(seen requests)" = "$before" ]
}

@test "commands say of each host that it has no machine, or one that is stopped" {
  run -1 seatrial ps
  [[ $output == *"host 'replicas-3': there is no machine for it"*"machines up"* ]]
  run -1 seatrial run --use-existing
  [[ $output == *"5 of 5 machines do not run"* ]]
  run -0 seatrial machines up
  run -0 seatrial machines stop
  run -1 seatrial exec replica true
  [[ $output == *"host 'loaders-1': its machine i-"*" in us-west-2 is stopped"* ]]
  run -0 seatrial config --machines
  [ "${#lines[@]}" = 5 ]
  run -0 seatrial machines down
}

@test "the machines of hosts are shown, and are not ours to end" {
  echo 'testbed: {provider: hosts, hosts: [{name: r1, ssh: root@192.0.2.1}]}' >deployment.yaml
  run -0 --separate-stderr seatrial machines status
  [[ $output == *r1*running*192.0.2.1* ]]
  run -2 seatrial machines down
  [[ $output == *"the machines of provider 'hosts' are not ours to end"* ]]
}

@test "signatures are botocore's, with a session token too, and every request fits its model of EC2" {
  [ "$(seen requests)" -gt 50 ]
  [ "$(seen invalid)" = 0 ]
  [ "$(seen wrong)" -le 2 ] # those with wrong keys
  AWS_ENDPOINT_URL=$(need_witness alone a+session/token==)
  AWS_SESSION_TOKEN=a+session/token== run -0 "$SEATRIAL_BIN/ec2_calls" 200 "${SEATRIAL_TEST_SEED:-1}"
  [ "$(seen requests) $(seen signatures) $(seen invalid)" = "200 200 0" ]
  # Keys by the role of the machine that we run on.
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_EC2_METADATA_DISABLED
  AWS_EC2_METADATA_SERVICE_ENDPOINT=$AWS_ENDPOINT_URL run -0 "$SEATRIAL_BIN/ec2_calls" 5 2
  [ "$(seen requests) $(seen signatures) $(seen invalid)" = "205 205 0" ]
}
