# `seatrial doctor` of provider ec2, against moto, which knows policies: who we are, what may be done, what could be made.

# Variables come from moto.bash, or are set in setup.
# shellcheck disable=SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load moto

setup_file() {
  need_moto
  moto_url=$AWS_ENDPOINT_URL
  AWS_ENDPOINT_URL=$(need_witness front "" "$AWS_ENDPOINT_URL")
  export moto_url
}

teardown_file() {
  end_witness front
  end_moto
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  ssh-keygen -q -t ed25519 -N '' -f id
  echo 'services: {s: {image: i, network_mode: host}}' >compose.yaml
  cat >deployment.yaml <<'EOT'
name: perf
credentials: {ssh_key_path: id}
testbed:
  provider: ec2
  ssh_from: [203.0.113.7/32]
  fleets:
    a: {regions: {us-east-2: 2, us-west-2: 1}, instance_type: c5.large, image: ami-12c6146b}
    b: {regions: {us-east-2: 1}, instance_type: c5.large, image: name:amazon/amzn-ami-hvm-2017*}
EOT
}

seatrial() {
  "$SEATRIAL_BIN/seatrial" --progress plain "$@" 3>&-
}

# The texts of a check, with its results.
found() {
  seatrial --progress json doctor | jq -r --arg check "$1" 'select(.check == $check) | "\(.host) \(.result): \(.text)"'
}

@test "who we are, what may be done, what could be made" {
  local before
  before=$(seen RunInstances)
  run -0 seatrial doctor
  [ "$(found identity)" = "us-east-2 good: arn:aws:iam::123456789012:user/user, by the environment" ]
  [ "$(found permissions)" = "us-east-2 good: 7 actions are allowed
us-east-2 not checked: nothing of ours is there yet: StartInstances, StopInstances, TerminateInstances, CreateTags, AuthorizeSecurityGroupIngress, RevokeSecurityGroupIngress, DeleteSecurityGroup
us-west-2 good: 7 actions are allowed
us-west-2 not checked: nothing of ours is there yet: StartInstances, StopInstances, TerminateInstances, CreateTags, AuthorizeSecurityGroupIngress, RevokeSecurityGroupIngress, DeleteSecurityGroup" ]
  [ "$(found machines)" = "us-east-2 good: fleet 'a': 2 of c5.large could be made
us-east-2 good: fleet 'b': 1 of c5.large could be made
us-west-2 good: fleet 'a': 1 of c5.large could be made" ]
  [[ $(found image) == "us-east-2 good: fleet 'b': 'name:amazon/amzn-ami-hvm-2017*' is ami-"* ]]
  [[ $(found network) == "us-east-2 good: vpc-"*", the default VPC"* ]]
  [ "$(found login | sort | uniq -c | xargs)" = "1 a-1 not checked: there is no machine for it 1 a-2 not checked: there is no machine for it 1 a-3 not checked: there is no machine for it 1 b-1 not checked: there is no machine for it" ]
  [[ $(found limits) == *"not checked: "* ]]
  # Dry runs were dry.
  [ "$(seen RunInstances)" -gt "$before" ]
  [ -z "$(seatrial machines ls --all --format json)" ]
}

# On what is there, the rights to change it are tried; it stays as it was.
@test "what is there is not changed by asking whether it could be" {
  run -0 seatrial machines up
  local all
  all=$(seatrial machines ls --all --format json)
  [ "$(found permissions)" = "us-east-2 good: 14 actions are allowed
us-west-2 good: 14 actions are allowed" ]
  [ "$(seatrial machines ls --all --format json)" = "$all" ]
  run -0 seatrial machines down
}

@test "what the policy lacks is named" {
  export AWS_ENDPOINT_URL=$moto_url AWS_ACCESS_KEY_ID=$LESSER_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$LESSER_SECRET_ACCESS_KEY
  run -1 seatrial doctor
  [[ $output == *"permissions"*"failed"*"the policy lacks CreateSecurityGroup"*"us-east-2, permissions: docs/EC2.md has the policy"* ]]
  [[ $(found machines) == "us-east-2 failed: "*"RunInstances in us-east-2: EC2 says AccessDenied"* ]]
}

@test "keys that nobody knows, an image and a key pair that are not there are findings" {
  AWS_SECRET_ACCESS_KEY=wrong run -1 seatrial doctor
  [[ $output == *identity*failed*"GetCallerIdentity in us-east-2: STS says "* ]]
  sed -i 's/amzn-ami-hvm-2017/no-such-thing/' deployment.yaml
  rm id.pub
  run -1 seatrial doctor
  [[ $output == *cloud*failed*"nobody could log in to the machines: no SSH key is said"* ]]
  sed -i 's/ssh_key_path: id/&, ssh_key_name: nobodys/' deployment.yaml
  run -1 seatrial doctor
  [[ $output == *"ssh key"*failed*"InvalidKeyPair.NotFound"* ]]
  [[ $output == *image*failed*"fleet 'b': us-east-2 has no image 'no-such-thing*' of owner 'amazon'"* ]]
}

@test "every request was signed as botocore does and fits its models of EC2 and STS" {
  [ "$(seen GetCallerIdentity)" -gt 5 ]
  [ "$(seen invalid)" = 0 ]
}
