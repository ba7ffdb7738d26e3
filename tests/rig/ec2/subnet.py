# A subnet of moto's in a region, in which the next machine gets the address of a rig's host: those before it are other people's.
# Arguments: endpoint, region, "10.1.2", the last number of the address. Prints the subnet's id.
import sys

import boto3

endpoint, region, network, first = sys.argv[1:5]
ec2 = boto3.client("ec2", endpoint_url=endpoint, region_name=region)
vpc = ec2.create_vpc(CidrBlock=network + ".0/24")["Vpc"]["VpcId"]
subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=network + ".0/24")["Subnet"]["SubnetId"]
while True:
    others = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"]
    last = int(others[0]["PrivateIpAddress"].rsplit(".", 1)[1])
    assert last < int(first), last
    if last == int(first) - 1:
        break
print(subnet)
