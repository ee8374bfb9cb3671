"""The control API: every refusal names its field and changes nothing."""

import json
import os
import socket
import subprocess
import time

import pytest
from host import ROLE, Host, UnixConnection

BAD_FIELDS = [
    ("role_arn", {"role_arn": None}),
    ("role_arn", {"role_arn": "not-an-arn"}),
    ("role_arn", {"role_arn": 7}),
    ("role_arn", {"role_arn": "arn:aws:iam::123456789012:user/x"}),
    ("netns", {"netns": None}),
    ("netns", {"netns": "relative/path"}),
    ("netns", {"netns": "/run/netns/../../etc/passwd"}),
    ("pid", {"pid": "7"}),
    ("pid", {"pid": -1}),
    ("pid", {"pid": 4194304}),
    ("intercept", {"intercept": "magic"}),
    ("session_name", {"session_name": "has space"}),
    ("session_name", {"session_name": "x" * 65}),
    ("external_id", {"external_id": "x"}),
    ("duration_s", {"duration_s": 899}),
    ("duration_s", {"duration_s": 43201}),
    ("duration_s", {"duration_s": 3600.5}),
    ("session_tags", {"session_tags": {"a": 1}}),
    ("session_tags", {"session_tags": {"Team": "x", "team": "y"}}),
    ("session_tags", {"session_tags": {f"k{i}": "" for i in range(51)}}),
    ("transitive_tag_keys", {"transitive_tag_keys": "team"}),
    ("source_identity", {"source_identity": "aws:me"}),
    ("session_policy", {"session_policy": {"Version": "2012-10-17"}}),
    ("session_policy", {"session_policy": "{"}),
    ("policy_arns", {"policy_arns": ["arn:aws:iam::aws:policy/x"] * 11}),
    ("tokens", {"tokens": "maybe"}),
    ("hop_limit", {"hop_limit": 0}),
    ("hop_limit", {"hop_limit": 65}),
    ("image", {"image": "web:1"}),
    ("image.reference", {"image": {"reference": "web:1"}}),
    ("labels", {"labels": ["team"]}),
    ("labels", {"labels": {f"k{i}": "" for i in range(65)}}),
    ("metadata", {"metadata": "hostname"}),
    ("metadata.hostname", {"metadata": {"hostname": 5}}),
    ("wait_s", {"wait_s": -1}),
    ("colour", {"colour": "red"}),
]


@pytest.fixture(scope="module")
def shared():
    with Host() as host:
        host.container("c")
        yield host


@pytest.mark.parametrize("field, change", BAD_FIELDS, ids=lambda x: x if isinstance(x, str) else str(x)[:40])
def test_a_bad_field_is_named(shared, field, change):
    body = {"role_arn": ROLE + "web", "netns": shared.containers["c"].netns.path, **change}
    body = {key: value for key, value in body.items() if value is not None}
    status, answer = shared.api("PUT", "/v1/containers/c", body)
    assert status == 422 and answer["error"]["code"] == "invalid", answer
    assert answer["error"]["field"] == field and answer["error"]["message"]
    assert shared.api("GET", "/v1/containers")[1]["containers"] == []


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"x"', '{"role_arn":"a","role_arn":"b"}', b"\xff\xfe", "{}x"])
def test_a_body_that_is_no_registration(shared, body):
    status, answer = shared.api("PUT", "/v1/containers/c", body)
    assert status == 422 and answer["error"]["message"]


@pytest.mark.parametrize("container", ["-a", ".a", "a b", "a%2Fb", "x" * 129, "%C3%A4", "a%00b"])
def test_a_bad_id(shared, container):
    for method in ("PUT", "GET", "DELETE"):
        path = f"/v1/containers/{container}".replace(" ", "%20")
        status, answer = shared.api(method, path, "{}" if method == "PUT" else None)
        assert status in (404, 422), (method, status)


def test_unknown_calls(shared):
    assert shared.api("GET", "/v1/containers/nobody")[0] == 404
    assert shared.api("POST", "/v1/containers/nobody/refresh")[0] == 404
    assert shared.api("GET", "/v2/containers")[0] == 404
    assert shared.api("GET", "/v1/containers/c/secrets")[0] == 404
    assert shared.api("POST", "/v1/containers")[0] == 405
    assert shared.api("GET", "/version")[1]["version"]
    assert shared.api("GET", "/healthz")[0] == shared.api("GET", "/readyz")[0] == 200


def test_a_giant_body_is_refused_and_others_go_on(shared):
    connection = UnixConnection(shared.control_socket, 10)
    try:
        connection.request("PUT", "/v1/containers/c", body=b" " * 1_000_000)
        assert connection.getresponse().status in (400, 413)
    except OSError:
        pass  # cut off while still sending
    finally:
        connection.close()
    assert shared.api("GET", "/healthz")[0] == 200


def test_garbage_on_the_control_socket(shared):
    for data in (b"\x00" * 1000, b"GET\r\n\r\n", b"PUT /v1/containers/c HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                 b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n"):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(shared.control_socket)
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    assert shared.api("GET", "/healthz")[0] == 200


def test_a_port_that_the_workload_holds(shared):
    c = shared.container("busy")
    with c.netns.socket() as s:
        s.bind(("0.0.0.0", 16925))
        s.listen()
        status, answer = shared.put("busy")
        assert status == 422 and "16925" in answer["error"]["message"], answer
        assert shared.show("busy") is None
        for table in ("nat", "filter"):
            assert "ROLEGATE" not in c.netns.run(["iptables-save", "-t", table]).stdout
    shared.register("busy")
    shared.unregister("busy")


def test_other_users_are_refused(shared):
    script = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
              "s.sendall(b'GET /v1/containers HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(999))")
    result = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "--regid", "65534",
                             "/usr/bin/python3", "-c", script, shared.control_socket],
                            capture_output=True, text=True)
    assert "PermissionError" in result.stderr
    os.chmod(shared.control_socket, 0o777)  # even past the file's mode
    result = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "--regid", "65534",
                             "/usr/bin/python3", "-c", script, shared.control_socket],
                            capture_output=True, text=True)
    assert "403" in result.stdout, result
    os.chmod(shared.control_socket, 0o660)


def test_policy_decides_by_role_image_digest_and_label(host):
    digest = "sha256:" + "a" * 64
    host.set_policy({"version": 1, "rules": [{
        "name": "web", "roles": [ROLE + "team/web-*"], "images": ["registry.example.com/web*"],
        "require_digest": True, "labels": {"team": "web"}, "max_duration_s": 3600}]})
    host.daemon.process.send_signal(1)
    host.wait(lambda: "reloaded" in host.daemon.text(), "the reload")
    host.container("c")
    good = {"image": {"ref": "registry.example.com/web:1", "digest": digest}, "labels": {"team": "web"}}
    for role, change in (
            ("team/db", {}), ("x/team/web-1", {}), ("team/web-1", {"image": None}),
            ("team/web-1", {"image": {"ref": "evil.example.com/web:1", "digest": digest}}),
            ("team/web-1", {"image": {"ref": "registry.example.com/web:1"}}),
            ("team/web-1", {"labels": {"team": "db"}}), ("team/web-1", {"labels": {}}),
            ("arn:aws:iam::999999999999:role/team/web-1", {}), ("team/web-1", {"duration_s": 7200})):
        status, answer = host.put("c", role, **{**good, **change})
        assert status in (403, 422), (role, change, status)
        assert answer["error"]["message"]
    assert host.fake.requests("sts") == []
    host.register("c", "team/web-1", **good)


def test_a_policy_that_forbids_takes_credentials_away(host):
    c = host.container("c")
    host.register("c")
    token = c.token()
    host.set_policy("{ not json")
    host.daemon.process.send_signal(1)
    host.wait(lambda: "stays in force" in host.daemon.text(), "the refusal of the bad file")
    assert c.get("/latest/meta-data/iam/info", token)[0] == 200
    host.set_policy({"version": 1, "rules": [{"name": "other", "roles": [ROLE + "other"]}]})
    host.daemon.process.send_signal(1)
    host.wait(lambda: host.show("c") is None, "the end of the registration")
    with pytest.raises((OSError, AssertionError)):
        c.token()


@pytest.mark.parametrize("line, complaint", [
    ("[aws]\nregoin = x\n", ":2: regoin"), ("[nonsense]\nx = 1\n", "nonsense"), ("[intercept]\nport = 80\n", "port"),
    ("port = 1\n", "port"), ("[aws]\nregion\n", ":2"), ("[imds]\ntokens = sometimes\n", "tokens"),
])
def test_a_bad_configuration_names_file_and_line(tmp_path, line, complaint):
    from host import binary
    file = tmp_path / "rolegate.conf"
    file.write_text(line)
    for program in ("rolegated", "rolegate-netd"):
        for extra in (["--check"], []):
            result = subprocess.run([binary(program), "--config", str(file), *extra], capture_output=True, text=True)
            assert result.returncode == 1 and str(file) in result.stderr and complaint in result.stderr, result


def test_a_client_that_leaves(host):
    """The registration goes on without it."""
    host.fake.set(sts_delay_s=1)
    c = host.container("c")
    body = json.dumps({"role_arn": ROLE + "web", "netns": c.netns.path})
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(host.control_socket)
            s.sendall(f"PUT /v1/containers/c HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                      .encode())
            time.sleep(0.1)
    host.register("c", expect=200)
    assert c.role() == "web"
    assert len(host.fake.requests("sts", action="AssumeRole")) == 1


def test_a_process_that_has_exited_and_is_not_waited_for(host):
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        status, answer = host.put("z", pid=process.pid)
        assert status == 422 and answer["error"]["field"] == "pid", answer
        assert "there is no process" in answer["error"]["message"] and host.show("z") is None
