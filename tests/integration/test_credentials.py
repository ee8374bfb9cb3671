"""Where credentials come from, and that a failing STS never takes valid ones away."""

import os
import pathlib
import shutil
import signal
import tempfile
import time

import pytest
from host import ALLOW_ALL, ROLE, SLOW, Host

FAULTS = {
    "error_500": {"sts_http_status": 500},
    "throttling": {"sts_error": "Throttling"},
    "access_denied": {"sts_error": "AccessDenied"},
    "garbage": {"sts_garbage": True},
    "cut": {"sts_truncate": True},
    "closed": {"sts_close": True},
    "refused": {"sts_down": True},
    "redirected": {"sts_redirect": True},
    "oversize": {"sts_oversize": 2_000_000},
}


@pytest.fixture(scope="module")
def shared():
    with Host() as host:
        yield host


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_renewal_leaves_valid_credentials(shared, fault):
    host, name = shared, fault.replace("_", "-")
    host.fake.reset()
    host.fake.set(sts_session_lifetime_s=8 * SLOW)
    c = host.container(name)
    before = host.register(name, "web-" + name)["access_key_id"]
    host.fake.set(**FAULTS[fault])
    host.wait(lambda: host.show(name)["last_error"], "a failed renewal")
    entry = host.show(name)
    assert entry["state"] == "ready" and entry["access_key_id"] == before
    assert c.credentials()["AccessKeyId"] == before
    host.fake.reset()
    host.api("POST", f"/v1/containers/{name}/refresh")
    host.wait(lambda: host.show(name)["access_key_id"] not in (before, None), "the renewal")
    assert c.credentials()["AccessKeyId"] != before
    assert host.show(name)["last_error"] is None
    host.unregister(name)


def test_credentials_renew_before_they_expire(host):
    host.fake.set(sts_session_lifetime_s=6 * SLOW)
    c = host.container("c")
    host.register("c")
    seen = set()
    deadline = time.monotonic() + 9 * SLOW
    while time.monotonic() < deadline:
        seen.add(c.credentials()["AccessKeyId"])  # a KeyError would be a failed request
        time.sleep(0.05 * SLOW)
    assert len(seen) >= 3


def test_expired_credentials_are_not_served(host):
    host.fake.set(sts_session_lifetime_s=3 * SLOW)
    c = host.container("c")
    host.register("c")
    host.fake.set(sts_http_status=503)
    host.wait(lambda: host.show("c")["state"] == "failing", "the end of the credentials")
    began = time.monotonic()
    status, headers, _ = c.get("/latest/meta-data/iam/security-credentials/web")
    assert status == 503 and int(headers["Retry-After"]) >= 1
    assert time.monotonic() - began < 0.4 * SLOW
    assert c.role() == "web"


def test_a_denied_role_says_so_and_heals(host):
    host.fake.set(deny_roles=["*role/web"])
    c = host.container("c")
    began = time.monotonic()
    status, answer = host.put("c", wait_s=30)
    assert time.monotonic() - began < 5 * SLOW, "waiting would not have helped"
    assert status == 504 and answer["error"]["field"] == "role_arn"
    assert "AccessDenied" in answer["error"]["message"] and "not authorized" in answer["error"]["message"]
    assert host.show("c")["state"] == "denied"
    status, _, body = c.get("/latest/meta-data/iam/security-credentials/web")
    assert status == 200 and b'"Code" : "AssumeRoleUnauthorizedAccess"' in body
    assert b"not authorized" in body and b"on resource: arn:aws:iam::123456789012:role/web" in body
    # What STS said of the host's role and instance is for the operator.
    environ = host.api("GET", "/v1/containers/c/environment")[1]
    for where, path, headers in (
            ("169.254.170.2", environ["ecs"]["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"], {}),
            ("169.254.170.23", "/v1/credentials",
             {"Authorization": environ["eks"]["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})):
        told = c.request("GET", path, headers, where)
        assert told[0] == 403 and b"not authorized" in told[2], told
        body += told[2]
    assert b"host-role" not in body and b"i-0123456789abcdef0" not in body
    assert b"AccessKeyId" not in body
    host.fake.reset()
    assert host.api("POST", "/v1/containers/c/refresh")[0] == 202
    host.wait(lambda: host.show("c")["state"] == "ready", "the role to heal")
    assert c.credentials()["Code"] == "Success"


def test_not_ready_in_time(host):
    host.fake.set(sts_delay_s=3 * SLOW)
    c = host.container("c")
    status, answer = host.put("c", wait_s=1)
    assert status == 504 and answer["error"]["code"] == "not_ready"
    assert c.get("/latest/meta-data/iam/security-credentials/web")[0] == 503
    host.register("c", expect=200)  # the same again: waits for the call that is out
    assert len(host.fake.requests("sts", action="AssumeRole")) == 1


def test_a_skewed_clock_is_corrected(host):
    host.fake.set(sts_clock_skew_s=1200)
    host.container("c")
    host.register("c")
    assert len(host.fake.requests("sts")) == 2  # refused once, then right
    host.container("d")
    host.register("d", "other")
    assert len(host.fake.requests("sts")) == 3  # the offset is remembered


def test_rotated_host_credentials_are_fetched_again(host):
    host.container("a")
    host.register("a")
    host.fake.rotate_host_credentials()
    host.container("b")
    host.register("b", "other")


@pytest.mark.parametrize("style", ["aws", "fraction", "offset"])
def test_shapes_of_answers(style):
    with Host(fake_options=["--lenient-arns"], policy={
            "version": 1, "rules": [{"name": "ceph", "roles": ["arn:aws:iam:::role/*"]}]}) as host:
        host.fake.set(sts_expiration_style=style, sts_child_order="shuffled", sts_token_bytes=10240)
        c = host.container("c")
        host.register("c", "arn:aws:iam:::role/x")
        document = c.credentials()
        assert document["Expiration"].endswith("Z") and len(document["Expiration"]) == 20
        assert len(document["Token"]) >= 10240 and c.role() == "x"


def test_base_credentials_from_a_file():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rolegate-credentials-"))
    directory.chmod(0o755)  # rolegated has become another user
    file = directory / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = x\n"
                    "[proxy]\naws_access_key_id = AKIATEST\naws_secret_access_key = static/secret\n")
    with Host(config={"aws": {"base_credentials": f"file:{file}#proxy"}},
              fake_options=["--static-key", "AKIATEST:static/secret"]) as host:
        host.container("c")
        host.register("c")
        assert [r for r in host.fake.requests("imds") if "/iam" in r["path"]] == []
    shutil.rmtree(directory)


def test_base_credentials_change_with_a_reload():
    with Host(fake_options=["--static-key", "AKIATEST:static/secret", "--static-key", "AKIANEXT:next/secret"]) as host:
        file = host.dir / "credentials"

        def reload(source, *profile):
            file.write_text("".join(f"[{name}]\naws_access_key_id={key}\naws_secret_access_key={secret}\n"
                                    for name, key, secret in profile))
            host.settings["aws"]["base_credentials"] = source
            host.write_settings()
            before = host.daemon.text().count("configuration and policy reloaded")
            host.daemon.process.send_signal(signal.SIGHUP)
            host.wait(lambda: host.daemon.text().count("configuration and policy reloaded") > before, "the reload")

        def key_used(name, **fields):
            host.container(name, connected=False)
            host.put(name, name, **fields)
            return host.fake.requests("sts", action="AssumeRole")[-1]["access_key"]

        good, changed = ("default", "AKIATEST", "static/secret"), ("default", "AKIANEXT", "next/secret")
        assert key_used("a").startswith("ASIAHOST")
        reload(f"file:{file}", good)
        assert key_used("b") == "AKIATEST"
        reload(f"file:{file}", changed)  # the same source: read again
        assert key_used("c") == "AKIANEXT"
        reload(f"file:{file}#gone", changed)
        host.container("d", connected=False)
        assert host.put("d", wait_s=0)[0] == 504
        assert "gone" in host.wait(lambda: host.show("d")["last_error"], "the error")
        reload(f"file:{file}", good)
        host.wait(lambda: host.show("d")["state"] == "ready", "d, without sitting its backoff out", 5)
        reload("imds")
        assert key_used("e").startswith("ASIAHOST")


def test_base_credentials_from_the_environment():
    host = Host(config={"aws": {"base_credentials": "environment"}},
                fake_options=["--static-key", "AKIATEST:static/secret"])
    try:
        host.netd.start()
        host.wait(lambda: os.path.exists(host.netd_socket), "netd's socket")
        host.start_daemon(AWS_ACCESS_KEY_ID="AKIATEST", AWS_SECRET_ACCESS_KEY="static/secret")
        host.container("c")
        host.register("c")
    finally:
        host.stop()


def test_no_host_credentials_is_told(host):
    host.fake.set(imds_no_role=True)
    host.container("c")
    status, answer = host.put("c", wait_s=1)
    assert status == 504 and "NoHostCredentials" in answer["error"]["message"]
    host.fake.reset()
    host.register("c", expect=200, wait_s=20)


def test_every_parameter_reaches_sts(host):
    host.container("c")
    fields = {
        "session_name": "custom@name", "external_id": "ext/1", "duration_s": 1800,
        "session_tags": {"team": "web + co", "Cost-Center": "42"}, "transitive_tag_keys": ["team"],
        "source_identity": "alice",
        "session_policy": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}',
        "policy_arns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
    }
    host.register("c", **fields)
    call = host.fake.requests("sts", action="AssumeRole")[0]
    text = str(call["parameters"])
    for value in ("custom@name", "ext/1", "1800", "web + co", "Cost-Center", "alice", "2012-10-17",
                  "ReadOnlyAccess", ROLE + "web"):
        assert value in text, (value, text)


def test_over_tls(tmp_path):
    import subprocess
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=10.99.0.1", "-addext", "subjectAltName=IP:10.99.0.1",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    tls = (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    with Host(config={"aws": {"ca_file": tls[0]}}, sts_tls=tls) as host:
        host.container("c")
        host.register("c")
    with Host(sts_tls=tls) as host:  # a certificate nobody vouches for
        host.container("c")
        status, answer = host.put("c", wait_s=1)
        assert status == 504 and "TlsFailed" in answer["error"]["message"], answer


def test_policy_is_not_asked_of_sts_first(host):
    """A role that the policy denies costs no STS call."""
    host.set_policy({**ALLOW_ALL, "rules": [{"name": "web", "roles": [ROLE + "web"]}]})
    host.daemon.process.send_signal(1)
    host.container("c")
    host.wait(lambda: "reloaded" in host.daemon.text(), "the reload")
    status, answer = host.put("c", "admin")
    assert status == 403 and answer["error"]["code"] == "policy_denied"
    assert host.fake.requests("sts") == []
