# What becomes of our machines at EC2: a line of JSON whenever the state of one has changed, with what its user-data says to cloud-init.
import base64
import json
import sys
import time

import boto3
import yaml

endpoint, key, secret = sys.argv[1:4]
regions = [boto3.client("ec2", endpoint_url=endpoint, region_name=r, aws_access_key_id=key, aws_secret_access_key=secret) for r in sys.argv[4:]]
known = {}
while True:
    for ec2 in regions:
        for reservation in ec2.describe_instances(Filters=[{"Name": "tag-key", "Values": ["io.seatrial.owner"]}])["Reservations"]:
            for i in reservation["Instances"]:
                state = i["State"]["Name"]
                if known.get(i["InstanceId"]) == state:
                    continue
                known[i["InstanceId"]] = state
                data = ec2.describe_instance_attribute(InstanceId=i["InstanceId"], Attribute="userData")["UserData"]["Value"]
                event = {"id": i["InstanceId"], "address": i.get("PrivateIpAddress", ""), "state": state, "data": yaml.safe_load(base64.b64decode(data))}
                print(json.dumps(event), flush=True)
    time.sleep(0.05)
