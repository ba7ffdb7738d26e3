# What becomes of our machines at EC2: a line of JSON whenever the state of one has changed, with what its user-data says to cloud-init.
import base64
import json
import sys
import time

import boto3
import yaml

# Who we are is in the environment: what stands in arguments, everybody can read.
regions = [boto3.client("ec2", endpoint_url=sys.argv[1], region_name=r) for r in sys.argv[2:]]
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
