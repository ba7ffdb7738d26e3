# Many machines, and what is still there at the end, against moto behind the witness that counts calls.

# Variables come from moto.bash, or are set in setup.
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
  end_moto
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  ssh-keygen -q -t ed25519 -N '' -f id
  echo 'services: {s: {image: i, network_mode: host}}' >compose.yaml
}

# write_deployment NAME FLEETS
write_deployment() {
  cat >deployment.yaml <<EOT
name: $1
credentials: {ssh_key_path: id}
testbed: {provider: ec2, ssh_from: [203.0.113.7/32], fleets: {$2}}
EOT
}

fleet="instance_type: c5.large, image: ami-12c6146b"

seatrial() {
  "$SEATRIAL_BIN/seatrial" --progress plain "$@" 3>&-
}

@test "100 machines of two fleets in two regions are made by one call for each fleet and region" {
  write_deployment hundred "a: {regions: {us-east-2: 50, us-west-2: 20}, $fleet}, b: {regions: {us-west-2: 30}, $fleet}"
  run -0 seatrial machines up
  [[ $output == *"100 machines run"* ]]
  [ "$(seen RunInstances)" = 3 ]
  local looks
  looks=$(seen DescribeInstances)
  [ "$(seatrial machines status --format json | jq -r .name | sort -u | wc -l)" = 100 ]
  [ "$(seen DescribeInstances)" = $((looks + 2)) ] # one of each region
  run -0 seatrial machines down
  [ "$(seen RunInstances) $(seen TerminateInstances)" = "3 2" ]
}

@test "more machines elsewhere than a security group has rules are told before they are made" {
  write_deployment crowd "a: {regions: {us-east-2: 60, us-west-2: 1}, $fleet}"
  run -1 seatrial machines up
  [[ $output == *"the security group in us-west-2 will need 62 rules, one for each machine of another region: EC2 gives 60 unless it was asked for more"*"EC2 says RulesPerSecurityGroupLimitExceeded"*"hint: a security group has 60 rules"* ]]
  run -0 seatrial machines down
}

@test "what down cannot remove is listed, and the exit status is 5" {
  write_deployment stuck "a: {regions: {us-east-2: 1}, disk: {size: 30g, type: gp3, iops: 4000, throughput_mib: 200}, $fleet}"
  run -0 seatrial machines up
  curl -s "$AWS_ENDPOINT_URL/refuse/DeleteSecurityGroup/DependencyViolation" >seen
  run -5 --separate-stderr seatrial machines down --timeout 3s
  [[ $output == *"(security group)"*sg-*us-east-2* && $output != *" i-"* ]]
  [[ $stderr == *"1 things of ours are still there: sg-"*" in us-east-2"*hint:* ]]
  curl -s "$AWS_ENDPOINT_URL/refuse/DeleteSecurityGroup" >seen
  run -0 --separate-stderr seatrial machines down
  [ -z "$output" ]
}

@test "every request was signed as botocore does and fits its model of EC2" {
  [ "$(seen RunInstances)" -ge 1 ]
  [ "$(seen wrong) $(seen invalid)" = "0 0" ]
}
