"""The main job, end to end: a container gets its own role's credentials, and only those."""

import json
import re

from host import Host


def test_two_containers_with_the_same_address_get_their_own_role(host):
    a = host.container("a", address="10.98.200.2")
    b = host.container("b", address="10.98.200.2")
    host.register("a", "team/web")
    host.register("b", "batch")
    assert a.role() == "web" and b.role() == "batch"
    a_creds, b_creds = a.credentials(), b.credentials()
    assert a_creds["Code"] == b_creds["Code"] == "Success"
    assert a_creds["AccessKeyId"] != b_creds["AccessKeyId"]
    issued = {s["access_key"]: s for s in host.fake.sessions()} if hasattr(host.fake, "sessions") else {}
    if issued:
        assert "web" in json.dumps(issued[a_creds["AccessKeyId"]])
        assert "batch" in json.dumps(issued[b_creds["AccessKeyId"]])


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
