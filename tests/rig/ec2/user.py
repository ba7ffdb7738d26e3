# Makes a user of moto who may do all and one who may make nothing, prints their keys as shell assignments, and has signatures
# checked from then on.
import json
import sys
import urllib.request

import boto3

endpoint = sys.argv[1]
iam = boto3.client("iam", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


def make_user(name, *statements):
    iam.create_user(UserName=name)
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
some = {"Effect": "Deny", "Action": ["ec2:RunInstances", "ec2:CreateSecurityGroup"], "Resource": "*"}
user, lesser = make_user("user", everything), make_user("lesser", everything, some)
urllib.request.urlopen(urllib.request.Request(endpoint + "/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}))
print("export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s" % user)
print("export LESSER_ACCESS_KEY_ID=%s LESSER_SECRET_ACCESS_KEY=%s" % lesser)
