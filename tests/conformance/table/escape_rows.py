"""Cases 68 to 79: ways around, and what the upstream sees."""

import json

from table.row import GET, Row, body, by, got, is_, once
from table.token_rows import ROLE

HOST_MARKERS = ("ASIAHOST", "HOSTSECRET", "HOSTTOKEN", "HOSTUSERDATA", "HOSTSIGNATURE", "HOSTPUBLICKEY", "HOSTSSHKEYS")
BLOCKED = ("user-data", "identity-credentials", "pkcs7", "rsa2048", "dsa2048", "signature", "public-keys",
           "managed-ssh-keys", "vhostmd")


def crawl(world, address):
    """GET every listing from / down: names that must not be listed, children that do not answer."""
    c = world.containers["c"]
    token, blocked, broken = c.token(address=address), [], []
    queue = ["/latest/", "/latest/meta-data/", "/latest/dynamic/"]  # the first lists the others without a slash
    while queue:
        path = queue.pop()
        for name in c.get(path, token, address)[2].decode().split("\n"):
            child = path + name
            if any(word in child.split("/") for word in BLOCKED):
                blocked.append(child)
            elif name.endswith("/"):
                queue.append(child)
            elif c.get(child, token, address)[0] != 200:
                broken.append(child)
    return [blocked, broken]


# What is asked of the upstream only when a container asks for it, so that the request can be seen.
LIVE = "/latest/meta-data/autoscaling/target-lifecycle-state"
ALLOW_LIVE = {"imds": {"allow": "meta-data/autoscaling"}}


def not_forwarded(world, _):
    """GET a passed-through path with headers and a query of one's own: status, upstream requests, which of these
    it saw."""
    with world.fresh(config=ALLOW_LIVE) as host:
        c = host.container("c")
        host.register("c")
        token = c.token()
        host.prefetched()
        host.fake.clear()
        status = c.get(LIVE + "?probe", token, headers={"Via": "1.1 probe", "Forwarded": "for=probe",
                                                        "X-Probe": "x", "Cookie": "probe"})[0]
        seen = [r for r in host.fake.requests("imds") if r["path"] == LIVE]
        return [status, len(seen), [word for word in ("probe", "cookie", "via", token) if word in str(seen).lower()]]


def upstream_401(world, _):
    """The upstream answers one GET with 401, as after a restart: status; what rolegate asked of it."""
    with world.fresh(config=ALLOW_LIVE) as host:
        c = host.container("c")
        host.register("c")
        token = c.token()
        host.prefetched()
        host.fake.clear()
        host.fake.set(imds_error=[401])
        status = c.get(LIVE, token)[0]
        return [status, [(r["method"], r["status"]) for r in host.fake.requests("imds")]]


no_leak = is_("nothing of the host", lambda a: not any(m.encode() in a.body for m in HOST_MARKERS))


def is_own_document(answer):
    document = json.loads(answer.body)
    return document["accountId"] == "123456789012" and document["privateIp"] == "10.0.0.7"


ROWS = [
    Row(68, GET("/latest/meta-data/%69am/security-credentials/"), 200, body("web")),
    Row(69, GET("/latest/meta-data/x/../iam/security-credentials/"), {200, 404}, no_leak),
    Row("69 more", GET("/latest/meta-data/x/%2e%2e/iam/security-credentials/host-role"), 404, no_leak),
    Row("69 more", GET("/../../latest/meta-data/iam/security-credentials/"), {200, 404}, no_leak),
    Row(70, GET("/2012-01-12/meta-data/iam/security-credentials/"), 200, body("web")),
    Row("70 more", GET("/2012-01-12/meta-data/iam/security-credentials/", token=None), 401),
    Row(71, GET("/latest/meta-data/IAM/"), 404),
    Row("71 more", GET("/LATEST/meta-data/iam/"), 404),
    Row(72, GET("/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance"), 404, no_leak),
    Row(72, GET("/latest/meta-data/identity-credentials/ec2/info"), 404, no_leak),
    Row(72, GET("/latest/meta-data/identity-credentials/"), 404, no_leak),
    Row(73, GET("/latest/user-data"), 404, no_leak),
    Row(74, GET("/latest/dynamic/instance-identity/pkcs7"), 404, no_leak),
    Row(74, GET("/latest/dynamic/instance-identity/signature"), 404, no_leak),
    Row(74, GET("/latest/dynamic/instance-identity/rsa2048"), 404, no_leak),
    Row("74 more", GET("/latest/meta-data/public-keys/0/openssh-key"), 404, no_leak),
    Row("74 more", GET("/latest/meta-data/managed-ssh-keys/signer-cert"), 404, no_leak),
    Row(75, GET("/latest/dynamic/instance-identity/document"), 200, no_leak),
    Row(75, GET("/latest/dynamic/instance-identity/document"), is_("this account, this container's address", is_own_document),),
    Row(76, GET("/latest/meta-data/%252e%252e/user-data"), 404, no_leak),
    Row("76 more", GET("/latest/meta-data/iam%2fsecurity-credentials%2fhost-role"), {400, 404}, no_leak),
    Row("76 more", GET("/latest/meta-data/iam\\security-credentials\\host-role"), {400, 404}, no_leak),
    Row(77, by(crawl), got([[], []])),
    Row(78, once(not_forwarded), got([200, 1, []])),
    Row(79, once(upstream_401), got([200, [("GET", 401), ("PUT", 200), ("GET", 200)]])),
]
