# Somebody ends a machine. Arguments: endpoint, region, id.
import sys

import boto3

endpoint, region, machine = sys.argv[1:4]
ec2 = boto3.client("ec2", endpoint_url=endpoint, region_name=region)
ec2.terminate_instances(InstanceIds=[machine])
