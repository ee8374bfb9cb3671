"""GET /v1/events, GET /metrics, and what the role map says of the way to STS."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
from events import Follower
from host import ALLOW_ALL, ROLE, SLOW, Host, binary


@pytest.fixture
def follower(host):
    f = Follower(host)
    yield f
    f.close()


def test_a_container_s_life_in_events(host, follower):
    c = host.container("c")
    entry = host.register("c", session_tags={"team": "web"})
    registered = follower.wait_for("registered", container="c")
    assert registered["role_arn"] == ROLE + "web" and registered["session_name"] == "rolegate-c"
    assert registered["policy_rule"] == "all"
    assumed = follower.wait_for("assumed", container="c")
    assert assumed["access_key_id"] == entry["access_key_id"] and assumed["expiration"] == entry["expiration"]
    calls = host.fake.requests("sts", action="AssumeRole")
    assert assumed["sts_request_id"] and len(calls) == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", assumed["time"])
    assert "SecretAccessKey" not in str(follower.seen)

    host.fake.set(deny_roles=["*role/web"])
    host.api("POST", "/v1/containers/c/refresh")
    failed = follower.wait_for("renewal_failed", container="c", code="AccessDenied")
    assert "not authorized" in failed["message"]
    assert host.show("c")["state"] == "ready" and host.show("c")["state_detail"] == "stale"
    host.fake.reset()
    host.api("POST", "/v1/containers/c/refresh")
    healed = follower.wait_for("healed", container="c")
    assert healed["code"] == "AccessDenied"
    host.unregister("c")
    assert follower.wait_for("unregistered", container="c")["message"] == "on request"
    assert c.token


def test_refusals_in_events(host, follower):
    host.set_policy({"version": 1, "rules": [{"name": "web", "roles": [ROLE + "web"]}]})
    host.daemon.process.send_signal(signal.SIGHUP)
    reloaded = follower.wait_for("reloaded")
    assert 'rule "web" added' in reloaded["message"] and 'rule "all" removed' in reloaded["message"]
    host.container("c")
    assert host.put("c", "admin")[0] == 403
    refused = follower.wait_for("refused", container="c")
    assert refused["code"] == "policy_denied" and refused["field"] == "role_arn"
    assert ROLE + "admin" in refused["message"]
    assert host.put("c", duration_s=1)[0] == 422
    assert follower.wait_for("refused", container="c", code="invalid")["field"] == "duration_s"
    host.fake.set(deny_roles=["*role/web"])
    assert host.put("c")[0] == 504
    denied = follower.wait_for("denied", container="c")
    assert denied["code"] == "AccessDenied" and denied["sts_request_id"]
    host.policy_file.write_text("{")
    host.daemon.process.send_signal(signal.SIGHUP)
    assert "policy.json" in follower.wait_for("reload_failed")["message"]


def test_rolegate_events(host):
    host.container("c")
    with subprocess.Popen([binary("rolegate"), "--socket", host.control_socket, "events"],
                          stdout=subprocess.PIPE, text=True) as process:
        # A client that is there sees it: register until the line comes.
        host.wait(lambda: "rolegate_events_followers 1" in metrics_text(host), "the follower")
        host.register("c")
        line = process.stdout.readline()
        assert '"container":"c"' in line
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10 * SLOW) == 0


def test_a_slow_follower_is_dropped(host):
    """Others go on, and the daemon does not hold events for ever."""
    host.container("c")
    s = socket.socket(socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(host.control_socket)
    s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    good = Follower(host)
    host.wait(lambda: "rolegate_events_followers 2" in metrics_text(host), "the followers")
    # Refusals are the cheapest events; each is some 300 bytes.
    role = "x" * 100
    for i in range(6000):
        assert host.put("c", f"arn:aws:iam::999999999999:role/{role}{i}")[0] == 403
        if i % 500 == 0 and "followers_dropped_total 1" in metrics_text(host):
            break
    host.wait(lambda: "rolegate_events_followers_dropped_total 1" in metrics_text(host), "the slow one's end")
    good.wait_for("refused")
    good.close()
    received = b""
    s.settimeout(10 * SLOW)
    while chunk := s.recv(65536):
        received += chunk
        if received.endswith(b"0\r\n\r\n"):
            break
    assert b'"event":"dropped"' in received[-600:]
    s.close()
    host.register("c")


def test_too_many_followers(host):
    followers = [Follower(host) for _ in range(32)]
    status, answer = host.api("GET", "/v1/events")
    assert status == 503 and answer["error"]["code"] == "too_many_followers"
    for f in followers:
        f.close()
    host.wait(lambda: "rolegate_events_followers 0" in metrics_text(host), "the followers to be gone")
    Follower(host).close()


def metrics_text(host):
    connection = host_connection(host)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    assert response.status == 200 and response.getheader("Content-Type") == "text/plain; version=0.0.4"
    text = response.read().decode()
    connection.close()
    return text


def host_connection(host):
    from host import UnixConnection
    return UnixConnection(host.control_socket, 10 * SLOW)


def metric(text, name, **labels):
    """The value of one sample; None if it is not there."""
    for line in text.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match and match[1] == name:
            found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            if all(found.get(key) == value for key, value in labels.items()):
                return float(match[3])
    return None


def test_metrics(host):
    c = host.container("c")
    host.container("d")
    host.register("c", image={"ref": 'a"b\\c'})
    host.fake.set(deny_roles=["*role/bad"])
    host.put("d", "bad")
    for _ in range(3):
        c.credentials()
    c.request("GET", "/latest/meta-data/")
    c.get("/latest/user-data")
    text = metrics_text(host)
    # Each sample once, each name with HELP and TYPE before it.
    samples = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) == len(set(samples))
    for name in {re.match(r"\w+", s)[0] for s in samples}:
        base = re.sub(r"_(bucket|sum|count)$", "", name) if "duration_seconds" in name else name
        assert f"# HELP {base} " in text and f"# TYPE {base} " in text, name
    assert metric(text, "rolegate_requests_total", container="c", result="200") == 3 * 4 + 1
    assert metric(text, "rolegate_requests_total", container="c", result="401") == 1
    assert metric(text, "rolegate_requests_total", container="c", result="404") == 1
    assert metric(text, "rolegate_request_duration_seconds_count") == 15
    assert metric(text, "rolegate_request_duration_seconds_bucket", le="+Inf") == 15
    assert metric(text, "rolegate_assume_role_total", result="ok") == 1
    assert metric(text, "rolegate_assume_role_total", result="denied") == 1
    assert metric(text, "rolegate_containers", state="ready") == 1
    assert metric(text, "rolegate_containers", state="denied") == 1
    info = [line for line in text.splitlines() if line.startswith('rolegate_container_info{container="c"')]
    assert ROLE + "web" in info[0] and 'image="a\\"b\\\\c"' in info[0] and 'state="ready"' in info[0]
    assert 3000 < metric(text, "rolegate_credentials_expiry_seconds", container="c") <= 3600
    assert metric(text, "rolegate_credentials_expiry_seconds", container="d") == 0
    assert metric(text, "rolegate_sts_queue_length") == 0
    assert metric(text, "rolegate_sts_calls_per_second_limit") == 100


def test_an_outage_shows(host):
    host.fake.set(sts_down=True)
    for i in range(6):
        host.container(f"c{i}")
        host.put(f"c{i}", wait_s=0)
    host.wait(lambda: metric(metrics_text(host), "rolegate_sts_outage") == 1, "the outage to show")
    sts = host.api("GET", "/v1/containers")[1]["sts"]
    assert sts["outage"] is True
    calls = len(host.fake.requests("sts"))
    host.fake.reset()
    # A registration need not wait for the next probe.
    began = time.monotonic()
    host.register("c0", expect=200, wait_s=20)
    assert time.monotonic() - began < 5 * SLOW
    host.wait(lambda: all(host.show(f"c{i}")["state"] == "ready" for i in range(6)), "all to heal", 30)
    assert len(host.fake.requests("sts")) - calls == 6
    assert metric(metrics_text(host), "rolegate_sts_outage") == 0


def test_reload_tells_what_changes(host):
    follower = Follower(host)
    host.settings["aws"]["sts_max_per_second"] = 7
    host.settings["imds"] = {"hop_limit": 2}
    host.write_settings()
    host.daemon.process.send_signal(signal.SIGHUP)
    message = follower.wait_for("reloaded")["message"]
    assert "[aws] sts_max_per_second: 100 -> 7" in message and "[imds] hop_limit: 1 -> 2" in message
    assert "reload: [aws] sts_max_per_second: 100 -> 7" in host.daemon.text()
    assert metric(metrics_text(host), "rolegate_sts_calls_per_second_limit") == 7
    follower.close()


def test_reload_by_relative_path_and_symbolic_link(host, tmp_path):
    """What is read again is what was read first, however the operator wrote its name."""
    assert host.daemon.stop() == 0
    tmp_path.chmod(0o755)
    (tmp_path / "v1.json").write_text(json.dumps(ALLOW_ALL))
    link = host.dir / "linked.json"
    link.symlink_to(tmp_path / "v1.json")
    host.settings["policy"]["file"] = str(link)
    host.write_settings()
    host.daemon.config = os.path.basename(host.config)
    host.daemon.prefix = ["env", "-C", str(host.dir)]
    host.start_daemon()
    follower = Follower(host)
    host.settings["imds"] = {"hop_limit": 2}
    host.write_settings()
    (tmp_path / "v1.json").write_text(json.dumps({"version": 1, "rules": []}))
    host.daemon.process.send_signal(signal.SIGHUP)
    message = follower.wait_for("reloaded")["message"]
    assert "[imds] hop_limit: 1 -> 2" in message and 'rule "all" removed' in message
    follower.close()


def test_a_policy_that_scopes_otherwise(host):
    """Registered containers get the session that the new policy wants, without a gap."""
    follower = Follower(host)
    c = host.container("c")
    host.container("d")
    host.register("c", labels={"team": "web"})
    host.register("d", "other")
    before = c.credentials()["AccessKeyId"]
    rule = {**ALLOW_ALL["rules"][0], "roles": [ROLE + "web"], "add_session_tags": {"team": "{label.team}"},
            "session_name": "{label.team}-{id}"}
    host.fake.set(sts_delay_s=1)
    host.set_policy({"version": 1, "rules": [rule]})
    host.daemon.process.send_signal(signal.SIGHUP)
    assert follower.wait_for("unregistered", container="d")["message"] == "the policy forbids it now"
    assert host.show("d") is None
    assert c.credentials()["AccessKeyId"] == before  # while STS has not answered
    host.wait(lambda: c.credentials()["AccessKeyId"] != before, "the new session")
    entry = host.show("c")
    assert entry["session_name"] == "web-c" and entry["state"] == "ready"
    assert entry["effective_session"]["session_tags"] == {"team": "web"}
    call = host.fake.requests("sts", action="AssumeRole")[-1]
    assert "web-c" in str(call["parameters"]) and "team" in str(call["parameters"])
    # The registration itself is as it was.
    host.register("c", labels={"team": "web"}, expect=200)
    assert len(host.fake.requests("sts", action="AssumeRole")) == 3
    # A restart keeps it.
    assert host.daemon.stop() == 0
    host.start_daemon()
    host.wait(lambda: (host.show("c") or {}).get("state") == "ready", "the container again")
    assert host.show("c")["session_name"] == "web-c"


def test_a_scoped_container_that_sts_denies(host):
    """Old credentials are no way around a scope that STS refuses."""
    c = host.container("c")
    host.register("c")
    host.fake.set(sts_error="PackedPolicyTooLarge")
    rule = {**ALLOW_ALL["rules"][0], "session_policy": {
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}}
    host.set_policy({"version": 1, "rules": [rule]})
    host.daemon.process.send_signal(signal.SIGHUP)
    host.wait(lambda: host.show("c")["state"] == "denied", "the denial")
    status, _, body = c.get("/latest/meta-data/iam/security-credentials/web")
    assert status == 200 and b"PackedPolicyTooLarge" in body and b"AccessKeyId" not in body
