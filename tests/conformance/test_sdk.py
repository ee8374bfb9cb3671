"""Unmodified AWS clients, each from Debian's packages, get the role of the container they run in."""

import pytest
from clients import CLIENTS, finished, started, witnessed
from host import ROLE, Host

ADDRESS = "10.98.200.2"
STS = "http://10.99.0.1:8000"
ROLES = {"a": "team/web", "b": "batch"}


@pytest.fixture(scope="module")
def sdk_host():
    """Containers a and b, of one and the same address, for clients that use tokens; old-a and old-b for
    those that do not; alone and old-alone have addresses of their own, and so a way to the STS; in six the
    metadata service answers by IPv6 alone."""
    with Host() as host:
        for prefix, tokens in (("", "required"), ("old-", "optional")):
            for name, role in ROLES.items():
                host.container(prefix + name, address=ADDRESS)
                host.register(prefix + name, role, tokens=tokens)
            host.container(prefix + "alone")
            host.register(prefix + "alone", "alone/app", tokens=tokens)
        six = host.container("six")
        host.register("six", "six")
        six.netns.run("iptables -w -t raw -A OUTPUT -d 169.254.169.254 -j DROP".split())
        yield host


def container(host, client, name):
    return host.containers[name if client.tokens == "required" else f"old-{name}"]


def role_of(host, access_key_id):
    return {s["access_key_id"]: s["role_arn"] for s in host.fake.sessions()}.get(access_key_id)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda c: c.name)
def test_two_containers_with_one_address_each_get_their_own_role(sdk_host, client):
    command = witnessed(client.program())
    a, b = (container(sdk_host, client, name) for name in ROLES)
    assert a.address == b.address and a.netns.inode != b.netns.inode
    with started(a, command) as in_a, started(b, command) as in_b:
        answers = [finished(in_a), finished(in_b)]
    for answer, role in zip(answers, ROLES.values()):
        # What it signed with, seen from the other end, and what it says itself.
        assert len(answer["signed_with"]) == 1, answer
        key = answer["signed_with"][0]
        assert answer.get("access_key_id", key) == key, answer
        assert role_of(sdk_host, key) == ROLE + role, answer


@pytest.mark.parametrize("client", [c for c in CLIENTS if c.calls == "sts"], ids=lambda c: c.name)
def test_the_sts_knows_who_it_is(sdk_host, client):
    """The whole of the credentials is right: the fake STS checks the signature and the session token."""
    alone = container(sdk_host, client, "alone")
    with started(alone, client.program(), ENDPOINT=STS) as process:
        answer = finished(process)
    assert answer["arn"] == f"arn:aws:sts::123456789012:assumed-role/app/rolegate-{alone.name}", answer


@pytest.mark.parametrize("client", [c for c in CLIENTS if c.ipv6], ids=lambda c: c.name)
def test_over_ipv6(sdk_host, client):
    """In a container where nothing is to be had from the IPv4 address."""
    with started(sdk_host.containers["six"], client.program(), ENDPOINT=STS,
                 AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE="IPv6") as process:
        answer = finished(process)
    assert answer["arn"] == "arn:aws:sts::123456789012:assumed-role/six/rolegate-six", answer
