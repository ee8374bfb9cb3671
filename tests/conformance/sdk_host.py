"""The test host that real clients run on, and the two ways in which they are tried."""

import contextlib

from clients import finished, started, witnessed
from host import ROLE, Host

ADDRESS = "10.98.200.2"
STS = "http://10.99.0.1:8000"
ROLES = {"a": "team/web", "b": "batch"}


class SdkHost:
    """Containers a and b, of one and the same address, for clients that use tokens; old-a and old-b for
    those that do not; alone and old-alone have addresses of their own, and so a way to the STS. In six the
    metadata service answers by IPv6 alone, in task not at all: only the container credentials are there."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.host = self.stack.enter_context(Host())
        for prefix, tokens in (("", "required"), ("old-", "optional")):
            for name, role in ROLES.items():
                self.host.container(prefix + name, address=ADDRESS)
                self.host.register(prefix + name, role, tokens=tokens)
            self.host.container(prefix + "alone")
            self.host.register(prefix + "alone", "alone/app", tokens=tokens)
        for name in ("six", "task"):
            netns = self.host.container(name).netns
            self.task = self.host.register(name, "alone/app" if name == "six" else name)
            netns.run("iptables -w -t raw -A OUTPUT -d 169.254.169.254 -j DROP".split())
            if name == "task":
                netns.run("ip6tables -w -t raw -A OUTPUT -d fd00:ec2::254 -j DROP".split())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    @contextlib.contextmanager
    def telling(self):
        """A failure in here tells what the daemons have said, too."""
        try:
            yield
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.host.logs()}") from error

    def container(self, client, name):
        return self.host.containers[name if client.tokens == "required" else f"old-{name}"]

    def role_of(self, access_key_id):
        return {s["access_key_id"]: s["role_arn"] for s in self.host.fake.sessions()}.get(access_key_id)

    def check_two_at_once(self, client):
        """In two containers with one address at the same time, each gets its own role."""
        with self.telling():
            command = witnessed(client.program())
            a, b = (self.container(client, name) for name in ROLES)
            assert a.address == b.address and a.netns.inode != b.netns.inode
            with started(a, command) as in_a, started(b, command) as in_b:
                answers = [finished(in_a), finished(in_b)]
            for answer, role in zip(answers, ROLES.values()):
                # What it signed with, seen from the other end, and what it says itself.
                assert len(answer["signed_with"]) == 1, answer
                key = answer["signed_with"][0]
                assert answer.get("access_key_id", key) == key, answer
                assert self.role_of(key) == ROLE + role, answer

    def check_identity(self, client, name="alone", **environ):
        """The whole of the credentials is right: the fake STS checks the signature and the session token."""
        with self.telling():
            container = self.container(client, name)
            with started(container, client.program(), ENDPOINT=STS, **environ) as process:
                answer = finished(process)
            assert answer["arn"] == f"arn:aws:sts::123456789012:assumed-role/app/rolegate-{container.name}", answer

    def check_ipv6(self, client):
        """In a container where nothing is to be had from the IPv4 address."""
        self.check_identity(client, "six", **dict([client.ipv6]))

    def check_container_credentials(self, client, dialect):
        """With the variables that registering returned, where there is no metadata service."""
        with self.telling():
            environ = self.task["environment"][dialect]
            with started(self.host.containers["task"], witnessed(client.program()), **environ) as process:
                answer = finished(process)
            assert [self.role_of(key) for key in answer["signed_with"]] == [ROLE + "task"], answer

    def check_ecs(self, client):
        self.check_container_credentials(client, "ecs")

    def check_eks(self, client):
        self.check_container_credentials(client, "eks")
