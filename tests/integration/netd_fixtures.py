"""Fixtures of the tests of rolegate-netd: a machine, a container and a netd between them.

The machine is a netns, and so are its containers: the machine's own netns is never touched.
"""

import contextlib
import os
import time

import pytest

from netd_protocol import Netd, rules
from netns import Netns, veth

METADATA_V4 = ["169.254.169.254", "169.254.170.2", "169.254.170.23"]
METADATA_V6 = ["fd00:ec2::254", "fd00:ec2::23"]
METADATA = METADATA_V4 + METADATA_V6

# In netd's mount namespace only (`ip netns exec` makes one), the legacy programs take the place of
# those that work on nf_tables.
_OVER = "mount --bind /usr/sbin/xtables-legacy-multi /usr/sbin/xtables-nft-multi"
WRAPPERS = {"nft": [], "legacy": ["sh", "-c", f'{_OVER} && exec "$@"', "sh"]}

ROLEGATE_UID = 987


@pytest.fixture(params=["nft", "legacy"])
def variant(request):
    """Which iptables netd finds."""
    return request.param


@pytest.fixture
def machine():
    with Netns("machine") as netns:
        yield netns


@pytest.fixture
def container():
    """A container's netns as a runtime makes it: lo is down, no address, no route."""
    with Netns("container", lo=False) as netns:
        yield netns


@pytest.fixture
def netd(machine):
    with Netd(machine) as netd:
        yield netd
        assert netd.process.poll() is None, f"netd died:\n{netd.log()}"


@pytest.fixture
def client(netd):
    with netd.client() as client:
        yield client


def with_user(directory, there=True):
    """A wrapper that gives netd's mount namespace an /etc/passwd with the user rolegate, or without."""
    passwd = os.path.join(directory, "passwd")
    with open("/etc/passwd") as f, open(passwd, "w") as out:
        out.writelines(line for line in f if not line.startswith("rolegate:"))
        if there:
            out.write(f"rolegate:x:{ROLEGATE_UID}:{ROLEGATE_UID}::/:/usr/sbin/nologin\n")
    os.chmod(passwd, 0o644)
    return ["sh", "-c", f'mount --bind {passwd} /etc/passwd && exec "$@"', "sh"]


def save(netns, variant="nft", family=4, table=None):
    """All lines of iptables-save, by the program of that variant."""
    command = [f"ip{'6' if family == 6 else ''}tables-{variant}-save"]
    if table:
        command += ["-t", table]
    return netns.run(command).stdout.splitlines()


def ours(netns, variant="nft"):
    """What of ours is in the netns: rules of both families, and routes."""
    found = [line for family in (4, 6) for line in save(netns, variant, family) if "ROLEGATE" in line]
    for family in ("-4", "-6"):
        out = netns.run(["ip", family, "route", "show", "table", "all", "proto", "169"]).stdout
        found += out.splitlines()
    return found


def reaches(netns, address, listeners, port=80):
    """Does a connection from in there to the address arrive at one of the listeners?"""
    try:
        sock = netns.connect(address, port, timeout=1)
    except OSError:
        return False
    with sock:
        for listener in listeners:
            listener.settimeout(1)
            if (listener.family.name == "AF_INET6") != (":" in address):
                continue
            accepted, _ = listener.accept()
            with accepted:
                sock.sendall(b"hello")
                return accepted.recv(5) == b"hello"
    return False


def eventually(predicate, timeout, what):
    """Wait until it is true; returns how long that took."""
    start = time.monotonic()
    while not predicate():
        if time.monotonic() - start > timeout:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - start


@contextlib.contextmanager
def routed_container(machine):
    """A container with an address, and a default route through the machine, which forwards."""
    with Netns("routed") as netns:
        veth(netns, machine, "10.77.0.2/24", "10.77.0.1/24")
        veth(netns, machine, "fd77::2/64", "fd77::1/64")
        machine.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])
        yield netns


__all__ = [name for name in dir() if not name.startswith("_")] + ["rules"]
