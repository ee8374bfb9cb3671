"""boto3 as a workload uses it: its default credential chain, then one signed call."""

import json
import os

import boto3

session = boto3.Session()
credentials = session.get_credentials().get_frozen_credentials()
arn = session.client("sts", endpoint_url=os.environ["ENDPOINT"]).get_caller_identity()["Arn"]
print(json.dumps({"access_key_id": credentials.access_key, "arn": arn}))
