"""The metadata that a container sees: its own, what is harmless of the host's, what was opened, and nothing else."""

import concurrent.futures
import json
import re
import signal
import time

import pytest
from host import SLOW, Host

HOST_MARKERS = (b"ASIAHOST", b"HOSTSECRET", b"HOSTTOKEN", b"HOSTUSERDATA", b"HOSTSIGNATURE", b"HOSTPUBLICKEY",
                b"HOSTSSHKEYS")
# What tells who the host is on its network.
HOST_IDENTITY = (b"10.1.2.3", b"ip-10-1-2-3", b"0e:49:61:0f:c3:11", b"203.0.113.25", b"2001:db8", b"sg-0aaaa",
                 b"host-admin", b"eni-0123", b"rolegate-host")
OWN = {"local-ipv4": "10.0.0.7", "hostname": "web-1.internal", "security-groups": ["sg-0abc", "sg-0def"],
       "mac": "02:00:0a:00:00:07", "public-ipv4": "198.51.100.7", "ipv6": "2001:db8:9::7",
       "tags": {"Name": "web", "team:cost": "a b"},
       "network/interfaces/macs/02:00:0a:00:00:07/subnet-id": "subnet-0abc"}
WAIT_S = 0.4 * SLOW  # contract: every answer within 400 ms


def crawl(c, top, token=None):
    """Everything that is listed below `top`, as cloud-init finds it: {path: body}. Each must be there."""
    token = token or c.token()
    found, queue = {}, [top]
    while queue:
        path = queue.pop()
        status, _, body = c.get(path, token)
        assert status == 200, (path, status)
        found[path] = body
        if path.endswith("/"):
            assert body and not body.endswith(b"\n"), path
            for line in body.decode().split("\n"):
                index = re.match(r"(\d+)=", line)
                queue.append(path + (index[1] + "/" if index else line))
    return found


def whole(c):
    return crawl(c, "/latest/meta-data/") | crawl(c, "/latest/dynamic/")


@pytest.fixture(scope="module")
def shared():
    with Host() as host:
        host.prefetched()
        host.container("plain")
        host.register("plain")
        host.container("own")
        host.register("own", metadata=OWN)
        yield host


def test_a_crawl_meets_no_error_and_no_secret(shared):
    found = whole(shared.containers["plain"])
    for path, body in found.items():
        for marker in HOST_MARKERS + HOST_IDENTITY:
            assert marker not in body, (path, marker)
    for path, body in (("ami-id", b"ami-0fedcba9876543210"), ("instance-type", b"m5.xlarge"),
                       ("placement/region", b"us-east-1"), ("placement/availability-zone-id", b"use1-az4"),
                       ("block-device-mapping/ebs1", b"sdb"), ("services/partition", b"aws"),
                       ("iam/security-credentials/", b"web")):
        assert found["/latest/meta-data/" + path] == body
    assert found["/latest/dynamic/fws/instance-monitoring"] == b"disabled"
    assert found["/latest/dynamic/instance-identity/"] == b"document"


BLOCKED = ["user-data", "dynamic/instance-identity/pkcs7", "dynamic/instance-identity/signature",
           "dynamic/instance-identity/rsa2048", "dynamic/instance-identity/dsa2048", "meta-data/public-keys/",
           "meta-data/public-keys/0/openssh-key", "meta-data/managed-ssh-keys/signer-cert",
           "meta-data/managed-ssh-keys/", "meta-data/metrics/vhostmd", "meta-data/identity-credentials/ec2/info",
           "meta-data/identity-credentials/ec2/security-credentials/ec2-instance", "meta-data/identity-credentials/",
           "meta-data/spot/instance-action", "meta-data/events/maintenance/scheduled", "meta-data/instance-action",
           "meta-data/autoscaling/target-lifecycle-state", "meta-data/local-ipv4", "meta-data/hostname",
           "meta-data/mac", "meta-data/network/interfaces/macs/", "meta-data/tags/instance/Name",
           "meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/mac", "meta-data/public-ipv4",
           "meta-data/security-groups", "meta-data/public-hostname", "meta-data/ipv6"]


def test_what_is_shut_is_404_and_never_asked_for(shared):
    c = shared.containers["plain"]
    shared.fake.clear()
    token = c.token()
    listed = b"\n".join(whole(c).values())
    for path in BLOCKED:
        for version in ("latest", "2009-04-04"):
            status, headers, body = c.get(f"/{version}/{path}", token)
            assert status == 404 and b"404 - Not Found" in body and len(body) == 339, path
            assert headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"]
    for name in (b"user-data", b"pkcs7", b"public-keys", b"identity-credentials", b"managed-ssh-keys", b"spot"):
        assert name not in listed
    assert shared.fake.requests("imds") == []


def test_the_registrations_metadata(shared):
    c = shared.containers["own"]
    found = whole(c)
    mac = "network/interfaces/macs/02:00:0a:00:00:07/"
    for path, body in {
        "hostname": "web-1.internal", "local-hostname": "web-1.internal", "local-ipv4": "10.0.0.7",
        "security-groups": "sg-0abc\nsg-0def", "mac": "02:00:0a:00:00:07", "public-ipv4": "198.51.100.7",
        "ipv6": "2001:db8:9::7", "network/interfaces/macs/": "02:00:0a:00:00:07/", mac + "mac": "02:00:0a:00:00:07",
        mac + "local-ipv4s": "10.0.0.7", mac + "ipv6s": "2001:db8:9::7", mac + "public-ipv4s": "198.51.100.7",
        mac + "security-group-ids": "sg-0abc\nsg-0def", mac + "subnet-id": "subnet-0abc", mac + "device-number": "0",
        mac + "owner-id": "123456789012", "tags/instance/": "Name\nteam:cost", "tags/instance/Name": "web",
        "tags/instance/team:cost": "a b",
    }.items():
        assert found["/latest/meta-data/" + path] == body.encode(), path
    status, headers, body = c.get("/latest/meta-data/local-ipv4")
    assert headers["Content-Type"] == "text/plain" and headers["Last-Modified"] and body == b"10.0.0.7"
    document = json.loads(found["/latest/dynamic/instance-identity/document"])
    assert document["privateIp"] == "10.0.0.7" and document["accountId"] == "123456789012"
    assert document["region"] == "us-east-1" and document["availabilityZone"] == "us-east-1a"
    assert document["instanceId"] == found["/latest/meta-data/instance-id"].decode()
    assert document["imageId"] == "ami-0fedcba9876543210" and document["version"] == "2017-09-30"
    for body in found.values():
        assert not any(marker in body for marker in HOST_MARKERS)
    # Slashless, as cloud-init asks; without token it is refused like everything else.
    assert c.get("/latest/dynamic/instance-identity")[2] == b"document"
    assert c.request("GET", "/latest/dynamic/instance-identity/document")[0] == 401


@pytest.mark.parametrize("metadata, field", [
    ({"nothing": "x"}, "metadata.nothing"), ({"local-ipv4": "x"}, "metadata.local-ipv4"), ({"mac": "x"}, "metadata.mac"),
    ({"iam/security-credentials/web": "x"}, "metadata.iam/security-credentials/web"), ({"hostname": 1}, "metadata.hostname"),
    ({"user-data": "x"}, "metadata.user-data"), ({"tags": {"a/b": "x"}}, "metadata.tags/instance/a/b"),
    ({"hostname": "x" * 5000}, "metadata.hostname"), ({"hostname": "a\nb"}, "metadata.hostname"),
])
def test_metadata_that_cannot_be(shared, metadata, field):
    status, answer = shared.put("x", netns="/proc/1/ns/net", metadata=metadata)
    assert status == 422 and answer["error"]["field"] == field, answer


@pytest.mark.parametrize("path", ["meta-data/iam", "meta-data/iam/security-credentials/host-role", "nothing", "",
                                  "meta-data/identity-credentials", "meta-data/tags/instance/Name", "../user-data"])
def test_what_no_registration_opens(shared, path):
    status, answer = shared.put("x", netns="/proc/1/ns/net", allow=[path])
    assert status == 422 and answer["error"]["field"] == "allow", answer


def test_a_container_of_its_own_region(shared):
    shared.container("moved")
    shared.register("moved", metadata={"region": "eu-west-1"})
    c = shared.containers["moved"]
    assert c.get("/latest/meta-data/placement/region")[2] == b"eu-west-1"
    assert c.get("/latest/meta-data/placement/availability-zone")[0] == 404
    document = json.loads(c.get("/latest/dynamic/instance-identity/document")[2])
    assert document["region"] == "eu-west-1" and document["availabilityZone"] is None
    whole(c)
    shared.unregister("moved")


def test_opened_for_one_container(shared):
    allow = ["user-data", "meta-data/public-keys", "dynamic/instance-identity", "/latest/meta-data/events", "meta-data/network"]
    shared.container("open")
    shared.register("open", allow=allow)
    c, plain = shared.containers["open"], shared.containers["plain"]
    assert c.get("/latest/")[2] == b"dynamic\nmeta-data\nuser-data"
    status, headers, body = c.get("/latest/user-data")
    assert b"HOSTUSERDATA" in body and headers["Content-Type"] == "application/octet-stream"
    found = whole(c)
    assert b"HOSTPUBLICKEY" in found["/latest/meta-data/public-keys/0/openssh-key"]
    assert b"HOSTSIGNATURE" in found["/latest/dynamic/instance-identity/pkcs7"]
    assert found["/latest/meta-data/events/maintenance/scheduled"] == b"[]"
    assert found["/latest/meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/local-ipv4s"] == b"10.1.2.3"
    assert c.get("/latest/meta-data/network/interfaces/macs/0e:49:61:0f:c3:12/local-ipv4s")[0] == 404
    assert not any(b"ASIAHOST" in body or b"HOSTSECRET" in body for body in found.values())
    for path in ("identity-credentials/ec2/security-credentials/ec2-instance", "iam/security-credentials/host-role",
                 "local-ipv4", "spot/instance-action"):
        assert c.get("/latest/meta-data/" + path)[0] == 404
    # Though it is cached now, no one else gets it.
    for path in ("/latest/user-data", "/latest/meta-data/public-keys/0/openssh-key", "/latest/dynamic/instance-identity/pkcs7"):
        assert plain.get(path)[0] == 404
    shared.unregister("open")


def test_everything_upstream_is_rolegates_own(shared):
    """No header and no byte of a path that a client sent; IMDSv2 throughout; one token."""
    expected = {"host", "user-agent", "accept", "x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds",
                "content-length"}
    requests = shared.fake.requests("imds")
    for entry in requests:
        assert {name.lower() for name, _ in entry["headers"]} <= expected, entry
        assert entry["method"] in ("GET", "PUT")
        if entry["method"] == "GET":
            assert entry["token"] == "valid"


def test_api_versions_see_the_same(shared):
    c = shared.containers["plain"]
    for version in ("1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23"):
        assert c.get(f"/{version}/meta-data/instance-id")[2] == b"i-0123456789abcdef0"
        assert c.get(f"/{version}/meta-data/")[2] == c.get("/latest/meta-data/")[2]


def test_extended_credentials(shared):
    c = shared.containers["plain"]
    path = "/latest/meta-data/iam/security-credentials-extended/"
    assert c.get(path)[2] == b"web"
    document = json.loads(c.get(path + "web")[2])
    assert document["AccountId"] == "123456789012" and document["Code"] == "Success"
    assert document["AccessKeyId"] == c.credentials()["AccessKeyId"]
    # Unlisted: cloud-init would write it to disk.
    assert c.get("/latest/meta-data/iam/")[2] == b"info\nsecurity-credentials/"


def test_tokens_disabled(shared):
    shared.container("off")
    shared.register("off", tokens="disabled")
    c = shared.containers["off"]
    for method, path in (("PUT", "/latest/api/token"), ("GET", "/latest/meta-data/"), ("GET", "/")):
        assert c.request(method, path, {"X-aws-ec2-metadata-token-ttl-seconds": "60"})[0] == 403
    shared.unregister("off")


# What the host's metadata service does to it.

def timed(c, path, token):
    began = time.monotonic()
    status, headers, body = c.get(path, token)
    return status, headers, body, time.monotonic() - began


def test_upstream_down_from_the_start():
    host = Host()
    try:
        host.fake.set(imds_down=True)
        host.settings["aws"]["base_credentials"] = f"file:{host.dir}/credentials"
        (host.dir / "credentials").write_text("[default]\naws_access_key_id = AKIAFAKE0000000000AA\n"
                                              "aws_secret_access_key = x\n")
        host.write_settings()
        host.start()
        c = host.container("c")
        host.put("c", wait_s=0)
        host.wait(lambda: host.show("c")["netns_inode"], "the interception")
        token = c.token()
        for path in ("instance-id", "placement/region", "placement/", "instance-id"):
            status, headers, _, took = timed(c, "/latest/meta-data/" + path, token)
            assert status == 503 and headers["Retry-After"] and took < WAIT_S, path
        status, _, body, took = timed(c, "/latest/dynamic/instance-identity/document", token)
        assert status == 503 and took < WAIT_S
        # A listing shows what there is.
        assert c.get("/latest/meta-data/", token)[2] == b"iam/"
        host.fake.set(imds_down=False)
        host.wait(lambda: c.get("/latest/meta-data/instance-id", token)[2] == b"i-0123456789abcdef0", "the host's metadata")
        assert "answers again" in host.daemon.text()
    finally:
        host.stop()


@pytest.fixture
def opened():
    with Host(config={"imds": {"allow": "meta-data/instance-action, meta-data/events meta-data/local-ipv4"}}) as host:
        host.prefetched()
        host.container("c")
        host.container("d")
        host.register("c")
        host.register("d")
        host.fake.clear()
        yield host


def test_opened_for_all_and_shut_again(opened):
    c = opened.containers["c"]
    assert c.get("/latest/meta-data/instance-action")[2] == b"none"
    assert c.get("/latest/meta-data/local-ipv4")[2] == b"10.1.2.3"
    assert c.get("/latest/meta-data/spot/instance-action")[0] == 404
    opened.settings["imds"]["allow"] = "meta-data/autoscaling"
    opened.write_settings()
    opened.daemon.process.send_signal(signal.SIGHUP)
    opened.wait(lambda: c.get("/latest/meta-data/instance-action")[0] == 404, "the reload")
    assert c.get("/latest/meta-data/autoscaling/target-lifecycle-state")[2] == b"InService"
    # A bad list leaves the old one in force.
    for bad in ("user-data", "meta-data/iam", "nothing"):
        opened.settings["imds"]["allow"] = bad
        opened.write_settings()
        opened.daemon.process.send_signal(signal.SIGHUP)
        opened.wait(lambda: f'allow: "{bad}"' in opened.daemon.text(), "the complaint")
    assert c.get("/latest/meta-data/autoscaling/target-lifecycle-state")[0] == 200
    assert c.get("/latest/user-data")[0] == 404


def test_many_ask_once(opened):
    containers = [opened.containers["c"], opened.containers["d"]]
    tokens = [c.token() for c in containers]
    opened.fake.set(imds_delay_s=0.1)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda i: containers[i % 2].get("/latest/meta-data/instance-action", tokens[i % 2]), range(40)))
    assert all((status, body) == (200, b"none") for status, _, body in answers)
    assert len(opened.fake.requests("imds", path="/latest/meta-data/instance-action")) <= 2


def test_a_slow_upstream_delays_only_who_needs_it(opened):
    c, d = opened.containers["c"], opened.containers["d"]
    token, other = c.token(), d.token()
    opened.fake.set(imds_delay_s=3)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(timed, c, "/latest/meta-data/instance-action", token)
        while not slow.done():
            for one, one_token in ((c, token), (d, other)):
                status, _, _, took = timed(one, "/latest/meta-data/iam/security-credentials/web", one_token)
                assert status == 200 and took < 0.1 * SLOW
        status, headers, _, took = slow.result()
    assert status == 503 and headers["Retry-After"] and 0.2 < took < WAIT_S
    # Its answer, when it comes, is for the next.
    opened.fake.set(imds_delay_s=0)
    opened.wait(lambda: c.get("/latest/meta-data/instance-action", token)[0] == 200, "the late answer")


def test_pipelined_requests_wait_in_line(opened):
    """A request that must wait holds up those behind it on its connection, and no other."""
    c = opened.containers["c"]
    token = c.token()
    opened.fake.set(imds_delay_s=0.1)
    ask = "GET /latest/meta-data/{} HTTP/1.1\r\nHost: 169.254.169.254\r\nX-aws-ec2-metadata-token: " + token + "\r\n\r\n"
    paths = ["ami-id", "instance-action", "iam/security-credentials/", "events/maintenance/history", "nothing", "local-ipv4"]
    with c.inside.connect() as s:
        s.sendall("".join(map(ask.format, paths)).encode())
        received, bodies = b"", []
        while len(bodies) < len(paths):
            while (end := received.find(b"\r\n\r\n")) < 0:
                received += s.recv(65536)
            length = int(re.search(rb"Content-Length: (\d+)", received)[1])
            while len(received) < end + 4 + length:
                received += s.recv(65536)
            bodies.append(received[end + 4:end + 4 + length])
            received = received[end + 4 + length:]
    assert bodies[:4] == [b"ami-0fedcba9876543210", b"none", b"web", b"[]"] and b"404" in bodies[4]
    assert bodies[5] == b"10.1.2.3" and received == b""


def test_a_client_that_leaves_while_it_waits(opened):
    c = opened.containers["c"]
    token = c.token()
    opened.fake.set(imds_delay_s=0.2)
    for _ in range(20):
        with c.inside.connect() as s:
            s.sendall(f"GET /latest/meta-data/instance-action HTTP/1.1\r\nHost: 169.254.169.254\r\n"
                      f"X-aws-ec2-metadata-token: {token}\r\n\r\n".encode())
    opened.unregister("d")
    opened.fake.set(imds_delay_s=0)
    opened.wait(lambda: c.get("/latest/meta-data/instance-action", token)[0] == 200, "the answer")


def test_unregistered_while_a_request_waits(opened):
    d = opened.containers["d"]
    token = d.token()
    opened.fake.set(imds_delay_s=0.5)
    with d.inside.connect() as s:
        s.sendall(f"GET /latest/meta-data/instance-action HTTP/1.1\r\nHost: 169.254.169.254\r\n"
                  f"X-aws-ec2-metadata-token: {token}\r\n\r\n".encode())
        time.sleep(0.05)
        opened.unregister("d")
        try:
            assert s.recv(100) == b""
        except ConnectionResetError:
            pass
    assert opened.containers["c"].role() == "web"


def test_stale_where_that_is_safe(opened):
    c = opened.containers["c"]
    token = c.token()
    for path in ("instance-action", "local-ipv4"):
        assert c.get("/latest/meta-data/" + path, token)[0] == 200
    opened.fake.set(imds_down=True)
    time.sleep(2.1)
    # A notice of what is to come is not served old; what never changes is, and who has the role.
    status, headers, _, took = timed(c, "/latest/meta-data/instance-action", token)
    assert status == 503 and headers["Retry-After"] and took < WAIT_S
    for path in ("ami-id", "placement/region", "block-device-mapping/ami", "iam/security-credentials/web", ""):
        assert c.get("/latest/meta-data/" + path, token)[0] == 200
    assert c.get("/latest/dynamic/instance-identity/document", token)[0] == 200


@pytest.mark.parametrize("status, answer", [(401, 200), (500, 503), (429, 503), (403, 503), (400, 503)])
def test_what_upstream_may_answer(opened, status, answer):
    """401 is a token that has died: a new one, once. Else: try again later."""
    c = opened.containers["c"]
    token = c.token()
    opened.fake.set(imds_error=[status])
    got, headers, body, took = timed(c, "/latest/meta-data/instance-action", token)
    assert got == answer and took < WAIT_S and (answer == 200 or headers["Retry-After"])
    assert b"Bad Request" not in body
    if status == 401:
        assert len(opened.fake.requests("imds", method="PUT")) <= 1
    opened.wait(lambda: c.get("/latest/meta-data/instance-action", token)[2] == b"none", "a better answer")


def test_a_listing_without_end_is_not_prefetched_to_its_end():
    """What the host lists is bounded like everything: it pushes nothing else out of the cache, itself included."""
    mapping = "/latest/meta-data/block-device-mapping/"
    host = Host()
    try:
        host.fake.set(imds_disks=3000)
        host.start()

        def asked():
            return sum(r["path"].startswith(mapping) and r["path"] != mapping for r in host.fake.requests("imds"))

        host.wait(lambda: asked() >= 128, "the prefetch of 128 names")
        time.sleep(0.5)
        assert asked() == 128
        c = host.container("c")
        host.register("c")
        assert c.get(mapping + "ephemeral7")[2] == b"sdc" and c.get("/latest/meta-data/ami-id")[0] == 200
    finally:
        host.stop()
