"""What the metadata service of the fake instance knows, as a tree.

A node is a text (a leaf), a dict (a directory) or a function that returns one of them, or None
where there is nothing at the moment. What a container must never see carries a greppable marker:
HOSTUSERDATA, HOSTSIGNATURE, HOSTPUBLICKEY, HOSTSSHKEYS, besides the ones of the credentials.
"""

import json
import time

from .state import HOST_ROLE, INSTANCE_ID

VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01",
    "2008-09-01", "2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25",
    "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02", "2018-03-28",
    "2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23",
    "2021-07-15", "2022-09-24", "2024-04-11", "latest",
)

AMI_ID = "ami-0fedcba9876543210"
INSTANCE_TYPE = "m5.xlarge"
LOCAL_IPV4 = "10.1.2.3"
PUBLIC_IPV4 = "203.0.113.25"
MAC = "0e:49:61:0f:c3:11"
IPV6 = "2001:db8:1234:1a00::3"
USER_DATA = ("#!/bin/sh\n# HOSTUSERDATA: what the host was started with, secrets included\n"
             "export DB_PASSWORD=HOSTUSERDATA-hunter2\n")


class Directory(dict):
    """A directory whose listing is not simply its children's names."""

    def __init__(self, children, listing):
        super().__init__(children)
        self.listing = listing


def resolve(node):
    return node() if callable(node) else node


def listing(directory):
    """A directory's text: names by line, directories with a slash, no line feed at the end."""
    if isinstance(directory, Directory):
        return directory.listing
    lines = []
    for name, child in directory.items():
        node = resolve(child)
        if node is not None:
            lines.append(name + "/" if isinstance(node, dict) else name)
    return "\n".join(sorted(lines))


def build(world):
    """The children of one version directory; they are the same for all versions."""
    # The top of a version is listed without slashes.
    return Directory({
        "dynamic": _dynamic(world),
        "meta-data": _meta_data(world),
        "user-data": USER_DATA,
    }, "dynamic\nmeta-data\nuser-data")


def pretty(value):
    """JSON as IMDS prints it."""
    return json.dumps(value, indent=2, separators=(",", " : "))


def utc(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def _meta_data(world):
    zone = world.region + "a"
    private_name = f"ip-{LOCAL_IPV4.replace('.', '-')}." + (
        "ec2.internal" if world.region == "us-east-1" else f"{world.region}.compute.internal")
    public_name = f"ec2-{PUBLIC_IPV4.replace('.', '-')}.compute-1.{world.domain}"
    return {
        "ami-id": AMI_ID,
        "ami-launch-index": "0",
        "ami-manifest-path": "(unknown)",
        "autoscaling": {"target-lifecycle-state": "InService"},
        "block-device-mapping": lambda: {
            "ami": "/dev/xvda", "ebs1": "sdb", "root": "/dev/xvda",
            **{f"ephemeral{n}": "sdc" for n in range(world.faults.get("imds_disks"))}},
        "events": {"maintenance": {"history": "[]", "scheduled": "[]"}},
        "hibernation": {"configured": "false"},
        "hostname": private_name,
        "iam": lambda: None if world.faults.get("imds_no_role") else _iam(world),
        "identity-credentials": {"ec2": _identity_credentials(world)},
        "instance-action": "none",
        "instance-id": INSTANCE_ID,
        "instance-life-cycle": "on-demand",
        "instance-type": INSTANCE_TYPE,
        "ipv6": IPV6,
        "local-hostname": private_name,
        "local-ipv4": LOCAL_IPV4,
        "mac": MAC,
        "managed-ssh-keys": {"signer-cert": "HOSTSSHKEYS signer certificate\n",
                             "signer-ocsp": "HOSTSSHKEYS ocsp\n"},
        "metrics": {"vhostmd": '<?xml version="1.0" encoding="UTF-8"?>'},
        "network": {"interfaces": {"macs": {MAC: _interface(world, private_name, public_name)}}},
        "placement": {
            "availability-zone": zone,
            "availability-zone-id": _zone_id(world.region),
            "group-name": "rolegate-tests",
            "region": world.region,
        },
        "profile": "default-hvm",
        "public-hostname": public_name,
        "public-ipv4": PUBLIC_IPV4,
        "public-keys": Directory(
            {"0": {"openssh-key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5HOSTPUBLICKEY host-key\n"}},
            "0=host-key"),
        "reservation-id": "r-0123456789abcdef0",
        "security-groups": "host-default\nhost-admin",
        "services": {"domain": world.domain, "partition": world.partition},
        "system": "nitro",
        "tags": {"instance": {"Name": "rolegate-host", "team": "platform"}},
    }


def _zone_id(region):
    """us-east-1 -> use1-az4, as AWS abbreviates."""
    parts = region.split("-")
    directions = "".join(word[0] for part in parts[1:-1]
                         for word in part.replace("north", "n ").replace("south", "s ").split())
    return f"{parts[0]}{directions}{parts[-1]}-az4"


def _interface(world, private_name, public_name):
    return {
        "device-number": "0",
        "interface-id": "eni-0123456789abcdef0",
        "ipv4-associations": {PUBLIC_IPV4: LOCAL_IPV4},
        "ipv4-prefix": "10.1.9.0/28",
        "ipv6s": IPV6,
        "local-hostname": private_name,
        "local-ipv4s": LOCAL_IPV4,
        "mac": MAC,
        "network-card": "0",
        "owner-id": world.account,
        "public-hostname": public_name,
        "public-ipv4s": PUBLIC_IPV4,
        "security-group-ids": "sg-0aaaaaaaaaaaaaaa0\nsg-0bbbbbbbbbbbbbbb0",
        "security-groups": "host-default\nhost-admin",
        "subnet-id": "subnet-0123456789abcdef0",
        "subnet-ipv4-cidr-block": "10.1.2.0/24",
        "subnet-ipv6-cidr-blocks": "2001:db8:1234:1a00::/64",
        "vpc-id": "vpc-0123456789abcdef0",
        "vpc-ipv4-cidr-block": "10.1.0.0/16",
        "vpc-ipv4-cidr-blocks": "10.1.0.0/16",
        "vpc-ipv6-cidr-blocks": "2001:db8:1234:1a00::/56",
    }


def _iam(world):
    return {
        "info": lambda: pretty({
            "Code": "Success",
            "LastUpdated": utc(world.keys.host().issued),
            "InstanceProfileArn": f"arn:{world.partition}:iam::{world.account}:"
                                  "instance-profile/host-profile",
            "InstanceProfileId": "AIPA" + "HOSTPROFILE234567"}),
        "security-credentials": {
            HOST_ROLE: lambda: pretty(_credentials(world.keys.host()))},
        # Only some instances have it; here it is always, so that a proxy that forgets it leaks.
        "security-credentials-extended": {
            HOST_ROLE: lambda: pretty(_credentials(world.keys.host())
                                      | {"AccountId": world.account})},
    }


def _identity_credentials(world):
    return {
        "info": lambda: pretty({
            "Code": "Success",
            "LastUpdated": utc(world.keys.instance_identity().issued),
            "AccountId": world.account}),
        "security-credentials": {
            "ec2-instance": lambda: pretty(_credentials(world.keys.instance_identity()))},
    }


def _credentials(credential):
    return {
        "Code": "Success",
        "LastUpdated": utc(credential.issued),
        "Type": "AWS-HMAC",
        "AccessKeyId": credential.access_key_id,
        "SecretAccessKey": credential.secret,
        "Token": credential.token,
        "Expiration": utc(credential.expiration),
    }


def _dynamic(world):
    document = pretty({
        "accountId": world.account,
        "architecture": "x86_64",
        "availabilityZone": world.region + "a",
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": AMI_ID,
        "instanceId": INSTANCE_ID,
        "instanceType": INSTANCE_TYPE,
        "kernelId": None,
        "pendingTime": utc(world.started),
        "privateIp": LOCAL_IPV4,
        "ramdiskId": None,
        "region": world.region,
        "version": "2017-09-30",
    })
    signature = "\n".join(["HOSTSIGNATURE" + "A" * 51] * 3)
    return {
        "fws": {"instance-monitoring": "disabled"},
        "instance-identity": {
            "document": document,
            "pkcs7": signature,
            "rsa2048": signature,
            "signature": signature,
        },
    }
