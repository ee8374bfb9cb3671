"""Two thousand odd requests, the same every time: nothing of the host's comes back, and the host's metadata service
hears nothing of a client's.

They go, mutated from paths that mean something, to a container for which nothing was opened, and to one for which
much was; with the container's good token, so that the token is not what keeps the door shut."""

import random
import re

import pytest
from host import Host

SEED = 20260101
COUNT = 2000
MARKERS = (b"ASIAHOST", b"HOSTSECRET", b"HOSTTOKEN", b"HOSTUSERDATA", b"HOSTSIGNATURE", b"HOSTPUBLICKEY", b"HOSTSSHKEYS",
           b"HOSTPROFILE")
# For the second container these two are open.
OPENED = ["user-data", "meta-data/events", "meta-data/network", "meta-data/tags"]
NEVER = tuple(m for m in MARKERS if m != b"HOSTUSERDATA")

TARGETS = [
    "meta-data/iam/security-credentials/host-role", "meta-data/iam/security-credentials-extended/host-role",
    "meta-data/iam/info", "meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    "meta-data/identity-credentials/ec2/info", "user-data", "dynamic/instance-identity/pkcs7",
    "dynamic/instance-identity/signature", "dynamic/instance-identity/rsa2048", "meta-data/public-keys/0/openssh-key",
    "meta-data/managed-ssh-keys/signer-cert", "meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/mac",
    "meta-data/block-device-mapping/ami", "meta-data/tags/instance/Name", "meta-data/placement/region",
    "meta-data/", "dynamic/", "", "api/token", "meta-data/iam/security-credentials/web",
]
VERSIONS = ["latest", "latest", "latest", "1.0", "2009-04-04", "2021-03-23", "9999-01-01", "Latest", "lat%65st", ""]
# A marker in each, so that it would be seen upstream.
NOISE = ["CLIENTBYTES", "%43LIENTBYTES", "CLIENTBYTES%00", "..;CLIENTBYTES", "CLIENTBYTES%2f..", "CLIENTBYTES%0d%0aX: y"]
SEPARATORS = ["/", "/", "/", "//", "/./", "/%2e/", "/x/../", "/x/%2e%2e/", "%2f", "%5c", "\\", "/%2e%2e%2f", "/..%00/", ";/",
              "/%252e%252e/", "/\u002e/", "%252f", "/..;/", "/~/", "%c0%af", "/.../"]
SUFFIXES = ["", "", "", "/", "?CLIENTBYTES", "?x=/../", "#CLIENTBYTES", "/..", "/.", "%00", "%0A", "%0d%0a", "/%0A", "%20",
            ";x=CLIENTBYTES", "/CLIENTBYTES", ".json", "%3fCLIENTBYTES", "*", "/*", "%2a", "/../../user-data"]
PREFIXES = ["/", "/", "/", "/", "//", "/./", "/../", "/%2e%2e/", "http://169.254.169.254/", "http://evil.example/", "",
            "http://169.254.169.254:80//", "/\\", "/http://169.254.169.254/", "//169.254.169.254/"]
HEADERS = [
    {}, {}, {}, {"X-Probe": "CLIENTBYTES"}, {"Host": "evil.example"}, {"Host": "169.254.170.2"}, {"X-Forwarded-For": "CLIENTBYTES"},
    {"X-Original-URL": "/latest/user-data"}, {"X-Rewrite-URL": "/latest/user-data"}, {"Via": "CLIENTBYTES"},
    {"Forwarded": "for=CLIENTBYTES"}, {"Connection": "X-aws-ec2-metadata-token"}, {"Connection": "keep-alive, Host"},
    {"Transfer-Encoding": "chunked"}, {"Content-Length": "0"}, {"Content-Length": "44"}, {"Expect": "100-continue"},
    {"Expect": "CLIENTBYTES"}, {"Upgrade": "h2c"}, {"Range": "bytes=0-"}, {"Cookie": "CLIENTBYTES"}, {"Authorization": "CLIENTBYTES"},
    {"X-HTTP-Method-Override": "PUT"}, {"Proxy-Connection": "keep-alive"}, {"X-aws-ec2-metadata-token": "CLIENTBYTES"},
    {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}, {"Accept-Encoding": "gzip"}, {"If-Modified-Since": "CLIENTBYTES"},
]
METHODS = ["GET"] * 12 + ["HEAD", "PUT", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "PATCH", "G\tET"]


def mutate_case(text, pick):
    at = pick.randrange(len(text) + 1)
    return text[:at] + text[at:].swapcase()


def encode_some(text, pick):
    return "".join(f"%{ord(c):02{pick.choice('xX')}}" if pick.random() < 0.2 else c for c in text)


def odd_target(pick):
    """A target of one, two or three oddities: with more, nothing would get past the parser."""
    odd = set(pick.sample(["prefix", "version", "separator", "encode", "case", "noise", "above", "suffix"], pick.choice([0, 1, 1, 2, 3])))
    segments = pick.choice(TARGETS).split("/")
    special = pick.randrange(1, len(segments)) if "separator" in odd and len(segments) > 1 else None
    path = segments[0]
    for i, segment in enumerate(segments[1:], 1):
        path += (pick.choice(SEPARATORS) if i == special else "/") + segment
    if "encode" in odd:
        path = encode_some(path, pick)
    if "case" in odd:
        path = mutate_case(path, pick)
    if "noise" in odd:
        path += "/" + pick.choice(NOISE)
    if "above" in odd:
        path = pick.choice(NOISE) + "/../" + path
    return ((pick.choice(PREFIXES) if "prefix" in odd else "/") + (pick.choice(VERSIONS) if "version" in odd else "latest") + "/"
            + path + (pick.choice(SUFFIXES) if "suffix" in odd else ""))


def odd_request(pick, token):
    odd = pick.random() < 0.5  # the head, too
    headers = {"Host": "169.254.169.254", "X-aws-ec2-metadata-token": token}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    extra = pick.choice(HEADERS) if odd else {}
    for name, value in extra.items():
        if pick.random() < 0.5:  # instead of ours, or beside it
            lines = [line for line in lines if not line.lower().startswith(name.lower() + ":")]
        lines.append(f"{name}: {value}")
    end = pick.choice(["\r\n"] * 20 + ["\n"]) if odd else "\r\n"
    version = pick.choice(["HTTP/1.1"] * 10 + ["HTTP/1.0", "HTTP/0.9", "HTTP/1.1 "]) if odd else "HTTP/1.1"
    method = pick.choice(METHODS) if odd else "GET"
    head = end.join([f"{method} {odd_target(pick)} {version}", *lines, "", ""])
    # What comes behind it must not be taken for a request of its own that means something else.
    smuggled = pick.choice(["", "", "", "GET /latest/user-data HTTP/1.1\r\nHost: CLIENTBYTES\r\n\r\n", "0\r\n\r\n"])
    return (head + smuggled).encode("latin-1", "replace")


@pytest.fixture(scope="module")
def host():
    with Host() as host:
        host.container("shut")
        host.register("shut")
        host.container("open")
        host.register("open", allow=OPENED, metadata={"local-ipv4": "10.0.0.7"})
        host.prefetched()
        yield host


def exchange(container, data):
    """What comes back for these bytes, all of it."""
    received = b""
    with container.inside.connect(timeout=5) as s:
        s.sendall(data)
        s.shutdown(1)
        try:
            while chunk := s.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
    return received


def test_the_fake_host_would_tell(host):
    """The test bed is honest: asked like this, the host's own metadata service gives all of it away."""
    inside = host.netns
    script = ("import sys, urllib.request as u\n"
              "b = 'http://169.254.169.254/latest/'\n"
              "t = u.urlopen(u.Request(b + 'api/token', method='PUT', headers={'X-aws-ec2-metadata-token-ttl-seconds': '60'})).read()\n"
              "for p in sys.argv[1:]:\n"
              "    print(u.urlopen(u.Request(b + p, headers={'X-aws-ec2-metadata-token': t.decode()})).read())\n")
    told = inside.run(["/usr/bin/python3", "-c", script, *TARGETS[:11]]).stdout.encode()
    for marker in (b"ASIAHOST", b"HOSTSECRET", b"HOSTTOKEN", b"HOSTUSERDATA", b"HOSTSIGNATURE", b"HOSTPUBLICKEY"):
        assert marker in told


@pytest.mark.parametrize("name, forbidden", [("shut", MARKERS), ("open", NEVER)])
def test_nothing_of_the_hosts_comes_back(host, name, forbidden):
    pick = random.Random(f"{SEED} {name}")
    container = host.containers[name]
    token = container.token()
    host.fake.clear()
    statuses = {}
    for i in range(COUNT // 2):
        data = odd_request(pick, token)
        answer = exchange(container, data)
        for marker in forbidden:
            assert marker not in answer, (i, data, answer)
        assert b"CLIENTBYTES" not in answer, (i, data, answer)
        for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", answer, re.M):
            statuses[int(status)] = statuses.get(int(status), 0) + 1
        assert not re.search(rb"^HTTP/1\.1 5(?!01|03|05)", answer, re.M), (i, data, answer)
    # They were odd, but not all of them hopeless; and the container still gets its own.
    assert {200, 400, 403, 404, 405} <= set(statuses) and statuses[200] > 50 and statuses[404] > 50, statuses
    assert container.role() == "web"

    for entry in host.fake.requests("imds"):
        assert entry["malformed"] is None and entry["method"] in ("GET", "PUT"), entry
        assert re.fullmatch(r"/latest/(api/token|(meta-data|dynamic)/[a-z0-9/:.-]*|meta-data/tags/instance/\w+|user-data)",
                            entry["target"]), entry
        assert "CLIENTBYTES" not in repr(entry) and token not in repr(entry) and "iam" not in entry["target"], entry
        names = {header.lower() for header, _ in entry["headers"]}
        assert names <= {"host", "user-agent", "accept", "x-aws-ec2-metadata-token",
                         "x-aws-ec2-metadata-token-ttl-seconds", "content-length"}, entry
    asked = [entry["target"] for entry in host.fake.requests("imds")]
    # What is shut is not asked for at all; of what is open each path is asked for once in a while, not once a request.
    assert asked == [] if name == "shut" else 0 < len(asked) < 200, asked
