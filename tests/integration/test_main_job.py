"""The main job, end to end: a container gets its own role's credentials, and only those."""

import re
import time

from host import SLOW


def test_two_containers_with_the_same_address_get_their_own_role(host):
    a = host.container("a", address="10.98.200.2")
    b = host.container("b", address="10.98.200.2")
    host.register("a", "team/web")
    host.register("b", "batch")
    assert a.role() == "web" and b.role() == "batch"
    a_creds, b_creds = a.credentials(), b.credentials()
    assert a_creds["Code"] == b_creds["Code"] == "Success"
    assert a_creds["AccessKeyId"] != b_creds["AccessKeyId"]
    issued = {s["access_key_id"]: s["role_arn"] for s in host.fake.sessions()}
    assert issued[a_creds["AccessKeyId"]].endswith(":role/team/web")
    assert issued[b_creds["AccessKeyId"]].endswith(":role/batch")


def test_over_ipv6(host):
    c = host.container("c")
    host.register("c")
    status, _, body = c.get("/latest/meta-data/iam/security-credentials/", address="fd00:ec2::254")
    assert (status, body) == (200, b"web")


def test_a_container_without_any_route(host):
    c = host.container("c", connected=False)
    host.register("c")
    assert c.role() == "web"
    assert c.get("/latest/meta-data/iam/info", address="fd00:ec2::254")[0] == 200


def test_registration_answers(host):
    host.container("c")
    entry = host.register("c", labels={"team": "web"}, session_tags={"team": "web"})
    assert entry["id"] == "c" and entry["state"] == "ready"
    assert entry["session_name"] == "rolegate-c"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["expiration"])
    host.register("c", labels={"team": "web"}, session_tags={"team": "web"}, expect=200)
    status, answer = host.put("c", "other")
    assert status == 409 and answer["error"]["field"] == "role_arn"
    assert [c["id"] for c in host.api("GET", "/v1/containers")[1]["containers"]] == ["c"]
    host.unregister("c")
    assert host.api("GET", "/v1/containers/c")[0] == 404
    host.unregister("c")


def test_wire_form_of_the_answers(host):
    """Contract section 1: no newline after token or role name, lengths, TTL header, exact keys."""
    c = host.container("c")
    host.register("c", "a+b=c,d.e@f-g")
    status, headers, token = c.request("PUT", "/latest/api/token",
                                       {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    assert status == 200 and len(token) == 56 and re.fullmatch(rb"[A-Za-z0-9_-]+", token)
    assert headers["Content-Length"] == "56" and headers["Content-Type"] == "text/plain"
    assert headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"] == "60" and headers["Server"] == "EC2ws"
    token = token.decode()
    for path in ("/latest/meta-data/iam/security-credentials/", "/latest/meta-data/iam/security-credentials"):
        status, headers, body = c.get(path, token)
        assert (status, body) == (200, b"a+b=c,d.e@f-g")
        assert int(headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"]) <= 60
    for name in ("a+b=c,d.e@f-g", "a%2Bb%3Dc%2Cd.e%40f-g", "a+b=c,d.e@f-g/"):
        status, headers, body = c.get(f"/latest/meta-data/iam/security-credentials/{name}", token)
        assert status == 200 and headers["Content-Length"] == str(len(body))
        lines = body.decode().split("\n")
        assert lines[0] == "{" and lines[-1] == "}" and lines[1] == '  "Code" : "Success",'
        keys = re.findall(r'^  "(\w+)" : ', body.decode(), re.M)
        assert keys == ["Code", "LastUpdated", "Type", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"]
        assert re.search(r'"Expiration" : "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"', body.decode())
    status, _, body = c.get("/latest/meta-data/iam/info", token)
    assert status == 200 and b'"InstanceProfileArn" : "arn:aws:iam::123456789012:role/a+b=c,d.e@f-g"' in body


def test_listings_show_what_is_served(host):
    c = host.container("c")
    host.register("c")
    versions = c.get("/")[2].decode().split("\n")
    assert versions[0] == "1.0" and versions[-1] == "latest"
    for version in versions:
        assert c.get(f"/{version}/meta-data/iam/security-credentials/")[2] == b"web"
    assert c.get("/latest")[2] == c.get("/latest/")[2]
    crawled, queue = [], ["/latest/meta-data/"]
    while queue:
        path = queue.pop()
        status, _, body = c.get(path)
        assert status == 200 and not body.endswith(b"\n"), path
        crawled.append(path)
        if path.endswith("/"):
            queue += [path + line for line in body.decode().split("\n")]
    assert "/latest/meta-data/iam/security-credentials/web" in crawled


def test_one_connection_serves_everything(host):
    c = host.container("c")
    host.register("c")
    with c.inside.connect() as s:
        _, _, token = c.inside.request("PUT", "/latest/api/token",
                                       {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, sock=s)
        for _ in range(3):
            assert c.inside.request("GET", "/latest/meta-data/iam/security-credentials/",
                                    {"X-aws-ec2-metadata-token": token.decode()}, sock=s)[2] == b"web"
    request = (b"GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\nHost: 169.254.169.254\r\n"
               b"X-aws-ec2-metadata-token: " + token + b"\r\n%s\r\n")
    pipelined = c.inside.raw(request % b"" + request % b"" + request % b"Connection: close\r\n")
    assert pipelined.count(b"\r\n\r\nweb") == 3
    old = c.inside.raw(request.replace(b"HTTP/1.1", b"HTTP/1.0") % b"")
    assert old.endswith(b"\r\n\r\nweb") and b"Connection: close" in old


def test_slow_sts_delays_registering_only(host):
    host.fake.set(sts_delay_s=2)
    c = host.container("c")
    began = time.monotonic()
    host.register("c")
    assert time.monotonic() - began >= 2
    token = c.token()
    times = []
    for _ in range(21):
        began = time.monotonic()
        assert c.get("/latest/meta-data/iam/security-credentials/web", token)[0] == 200
        times.append(time.monotonic() - began)
    # The median, since this machine may have other things to do: a call to STS would take them all past 2 s.
    assert sorted(times)[10] < 0.02 * SLOW
    assert len(host.fake.requests("sts", action="AssumeRole")) == 1


def test_equal_sessions_share_one_call(host):
    for name in ("a", "b", "c"):
        host.container(name)
    fields = {"session_name": "shared", "session_tags": {"k": "v"}}
    a = host.register("a", **fields)
    b = host.register("b", **fields)
    other = host.register("c", session_name="shared", session_tags={"k": "w"})
    assert a["access_key_id"] == b["access_key_id"] != other["access_key_id"]
    assert len(host.fake.requests("sts", action="AssumeRole")) == 2


def test_a_pid_is_watched(host):
    c = host.container("c")
    process = c.netns.popen(["sleep", "60"])
    host.wait(lambda: open(f"/proc/{process.pid}/comm").read().strip() == "sleep", "the sleeper")
    entry = host.register("c", pid=process.pid, netns=None)
    assert entry["netns"] == f"/proc/{process.pid}/ns/net" and entry["pid"] == process.pid
    assert c.role() == "web"
    process.kill()
    process.wait()
    host.wait(lambda: host.show("c") is None, "the end of the registration")
    status, answer = host.put("c", pid=process.pid, netns=None)
    assert status == 422 and answer["error"]["field"] in ("pid", "netns")
