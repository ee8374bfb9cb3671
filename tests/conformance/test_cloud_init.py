"""cloud-init's EC2 data source, Debian's own, crawls a container's metadata: no error, no warning, nothing of the host's.

The package is downloaded and unpacked, not installed: an installed cloud-init takes the machine in hand at its next boot.
"""

import json
import os
import pathlib
import subprocess

import pytest
from host import Host

UNPACKED = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "/var/cache")) / "rolegate-tests" / "cloud-init"
MODULES = UNPACKED / "usr/lib/python3/dist-packages"
HOST_MARKERS = ("ASIAHOST", "HOSTSECRET", "HOSTTOKEN", "HOSTUSERDATA", "HOSTSIGNATURE", "HOSTPUBLICKEY", "HOSTSSHKEYS")

# The data source as cloud-init runs it on EC2; its log goes to stderr, from warnings on; the crawl comes out as JSON.
DRIVER = r"""
import json, logging, sys
logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s")
from unittest import mock
from cloudinit import helpers
from cloudinit.sources import DataSourceEc2 as ec2
source = ec2.DataSourceEc2({"datasource": {"Ec2": {"max_wait": 5, "timeout": 5, "metadata_urls": [sys.argv[1]]}}},
                           mock.Mock(), helpers.Paths({"run_dir": "/nonexistent", "cloud_dir": "/nonexistent"}))
source._cloud_name = ec2.CloudNames.AWS
# It would look names up first to see whether the DNS lies; there is none here.
with mock.patch("cloudinit.util.is_resolvable_url", return_value=True):
    if not source._get_data():
        sys.exit("the crawl came to nothing")
out = {"crawled": source._crawled_metadata, "zone": source.availability_zone, "region": source.region,
       "network": ec2.convert_ec2_metadata_network_config(source.metadata["network"], macs_to_nics={sys.argv[2]: "eth0"},
                                                          fallback_nic="eth0") if len(sys.argv) > 2 else None}
print(json.dumps(out, default=lambda b: b.decode()))
"""


@pytest.fixture(scope="module")
def modules():
    if not MODULES.exists():
        UNPACKED.mkdir(parents=True, exist_ok=True)
        # As another user apt would need to write there, too.
        subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "cloud-init"], cwd=UNPACKED, check=True)
        package = next(UNPACKED.glob("cloud-init_*.deb"))
        subprocess.run(["dpkg", "-x", str(package), str(UNPACKED)], check=True)
        package.unlink()
    return str(MODULES)


@pytest.fixture(scope="module")
def host():
    with Host() as host:
        host.prefetched()
        yield host


def crawl(host, modules, name, url="http://169.254.169.254", *arguments):
    result = host.containers[name].netns.run(
        ["/usr/bin/python3", "-W", "ignore", "-c", DRIVER, url, *arguments], check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": modules, "HOME": "/nonexistent"})
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert not any(marker in result.stdout for marker in HOST_MARKERS)
    return json.loads(result.stdout)


@pytest.mark.parametrize("url", ["http://169.254.169.254", "http://[fd00:ec2::254]"])
def test_a_container_that_says_nothing_of_itself(host, modules, url):
    name = "plain6" if "[" in url else "plain"
    host.container(name)
    host.register(name)
    found = crawl(host, modules, name, url)
    crawled = found["crawled"]
    assert crawled["_metadata_api_version"] == "2021-03-23" and crawled["user-data"] == ""
    data = crawled["meta-data"]
    assert data["instance-id"] == "i-0123456789abcdef0" and data["block-device-mapping"]["ebs1"] == "sdb"
    assert (found["zone"], found["region"]) == ("us-east-1a", "us-east-1")
    assert list(data["iam"]) == ["info"] and "network" not in data and "public-keys" not in data
    assert crawled["dynamic"]["instance-identity"]["document"]["accountId"] == "123456789012"
    # What cloud-init keeps of this is on disk in the container: no keys.
    assert host.show(name)["access_key_id"] not in json.dumps(crawled)


def test_a_container_with_metadata_of_its_own(host, modules):
    mac = "02:00:0a:00:00:07"
    host.container("own")
    host.register("own", metadata={"mac": mac, "local-ipv4": "10.0.0.7", "hostname": "web-1", "tags": {"Name": "web"},
                                   "availability-zone": "eu-west-1c", "security-groups": ["sg-0abc"]})
    found = crawl(host, modules, "own", "http://169.254.169.254", mac)
    data = found["crawled"]["meta-data"]
    assert data["local-ipv4"] == "10.0.0.7" and data["local-hostname"] == "web-1" and data["tags"]["instance"]["Name"] == "web"
    assert data["network"]["interfaces"]["macs"][mac]["local-ipv4s"] == "10.0.0.7"
    assert (found["zone"], found["region"]) == ("eu-west-1c", "eu-west-1")
    assert found["crawled"]["dynamic"]["instance-identity"]["document"]["privateIp"] == "10.0.0.7"
    assert found["network"]["ethernets"]["eth0"]["match"]["macaddress"] == mac


def test_a_container_for_which_much_is_open(host, modules):
    host.container("open")
    host.register("open", allow=["meta-data/network", "meta-data/events", "meta-data/spot", "meta-data/tags",
                                 "meta-data/local-ipv4", "meta-data/hostname", "meta-data/local-hostname", "meta-data/mac"])
    found = crawl(host, modules, "open", "http://169.254.169.254", "0e:49:61:0f:c3:11")
    data = found["crawled"]["meta-data"]
    assert data["network"]["interfaces"]["macs"]["0e:49:61:0f:c3:11"]["subnet-id"] == "subnet-0123456789abcdef0"
    assert data["tags"]["instance"] == {"Name": "rolegate-host", "team": "platform"}
    assert data["events"]["maintenance"] == {"history": "[]", "scheduled": "[]"} and "spot" not in data
