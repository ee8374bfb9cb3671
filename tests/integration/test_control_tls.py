"""[control] tls_listen: the control API by TLS, for who has a certificate of the configured authority, and no
one else."""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest
from events import audit_directory, read_audit
from host import ROLE, SLOW, Host, binary
from pki import Authority

ADDRESS = ("10.99.0.2", 9443)


class NetnsConnection(http.client.HTTPSConnection):
    """By TLS from inside the test's AWS netns, which is another machine for the host."""

    def __init__(self, netns, context, timeout=10):
        super().__init__(ADDRESS[0], ADDRESS[1], context=context, timeout=timeout * SLOW)
        self._netns = netns

    def connect(self):
        raw = tcp(self._netns, self.timeout)
        self.sock = self._context.wrap_socket(raw, server_hostname=self.host)


def tcp(netns, timeout=10):
    with netns.entered():
        return socket.create_connection(ADDRESS, timeout=timeout)


class Remote:
    def __init__(self):
        self.ca, self.other = Authority("operators"), Authority("strangers")
        self.server = self.ca.issue("rolegated")
        self.client = self.ca.issue("agent one")
        self.files = self.ca.dir / "in-use"
        self.files.mkdir()
        self.files.chmod(0o755)
        self.install(self.server, self.ca.certificate.read_text())
        self.audit = audit_directory()

    def install(self, server=None, client_ca=None):
        if server:
            shutil.copy(server[0], self.files / "cert.pem")
            shutil.copy(server[1], self.files / "key.pem")
        if client_ca:
            (self.files / "ca.pem").write_text(client_ca)

    def config(self):
        return {"control": {"tls_listen": f"{ADDRESS[0]}:{ADDRESS[1]}", "tls_cert": self.files / "cert.pem",
                            "tls_key": self.files / "key.pem", "tls_client_ca": self.files / "ca.pem"},
                "log": {"level": "debug", "audit": self.audit / "audit.log"}}

    def close(self):
        self.ca.close()
        self.other.close()
        shutil.rmtree(self.audit)

    def context(self, client, version=None):
        context = ssl.create_default_context(cafile=str(self.ca.certificate))
        if client:
            context.load_cert_chain(*client)
        if version:
            context.maximum_version = context.minimum_version = version
        return context


@pytest.fixture
def remote():
    remote = Remote()
    try:
        with Host(config=remote.config()) as host:
            remote.host = host
            yield remote
    finally:
        remote.close()


def call(remote, method, path, body=None, client=(), version=None):
    connection = NetnsConnection(remote.host.aws, remote.context(remote.client if client == () else client, version))
    try:
        connection.request(method, path, body=json.dumps(body) if isinstance(body, dict) else body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def refused(remote, client, version=None):
    """In TLS 1.3 the client hears of it when it reads."""
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        call(remote, "GET", "/healthz", client=client, version=version)
    assert call(remote, "GET", "/healthz")[0] == 200  # and others go on
    return True


def test_the_whole_api_by_tls_and_who_called_is_audited(remote):
    host = remote.host
    host.container("c")
    body = {"role_arn": ROLE + "web", "netns": host.containers["c"].netns.path}
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert call(remote, "GET", "/readyz", version=version) == (200, b'{"ready":true}\n')
    status, answer = call(remote, "PUT", "/v1/containers/c", body)
    assert status == 201, answer
    assert host.containers["c"].role() == "web"
    assert call(remote, "PUT", "/v1/containers/c", body)[0] == 200
    assert call(remote, "PUT", "/v1/containers/c", body | {"nope": 1})[0] == 422
    assert call(remote, "POST", "/v1/containers/c/refresh")[0] == 202
    assert [c["id"] for c in json.loads(call(remote, "GET", "/v1/containers")[1])["containers"]] == ["c"]
    assert b"rolegate_container_info" in call(remote, "GET", "/metrics")[1]
    assert call(remote, "DELETE", "/v1/containers/c")[0] == 204
    calls = [line for line in read_audit(remote.audit / "audit.log") if line["event"] == "operator_call"]
    assert [c["method"] for c in calls] == ["PUT", "PUT", "PUT", "POST", "DELETE"]
    for line in calls:
        assert line["tls_subject"] == "CN=agent one"
        assert line["tls_address"].startswith("10.99.0.1:")
        assert "uid" not in line and "pid" not in line


def test_bodies_and_pipelines_by_tls(remote):
    """A TLS record is larger than what is read at a time."""
    host = remote.host
    host.container("c")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        body = {"role_arn": ROLE + "web", "netns": host.containers["c"].netns.path}
        assert call(remote, "PUT", "/v1/containers/c", json.dumps(body) + " " * 60000, version=version)[0] in (200, 201)
        status, answer = call(remote, "PUT", "/v1/containers/c", "x" * 65537, version=version)
        assert status == 413 and json.loads(answer)["error"]["code"] == "too_large"
        with remote.context(remote.client, version).wrap_socket(tcp(host.aws), server_hostname=ADDRESS[0]) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 5000 +
                      b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        assert answer.count(b"HTTP/1.1 200 OK") == 5001, answer[-300:]
        assert b"rolegated" in answer[-100:]


def test_an_ipv6_address(remote):
    host = remote.host
    host.settings["control"]["tls_listen"] = "[::]:9444"
    host.write_settings()
    host.daemon.stop()
    host.start_daemon()
    for address in ("10.99.0.2", "[fd99::2]"):
        done = subprocess.run(
            ["ip", "netns", "exec", host.aws.name, "curl", "-sS", "-k", "--cert", remote.client[0], "--key",
             remote.client[1], "-X", "POST", f"https://{address}:9444/v1/containers/c/refresh"],
            capture_output=True, text=True, timeout=30)
        assert "not_found" in done.stdout, done.stderr
    calls = [line for line in read_audit(remote.audit / "audit.log") if line["event"] == "operator_call"]
    assert [c["tls_address"].rsplit(":", 1)[0] for c in calls] == ["[::ffff:10.99.0.1]", "[fd99::1]"]


def test_events_follow_by_tls(remote):
    host = remote.host
    host.container("c")
    connection = NetnsConnection(host.aws, remote.context(remote.client))
    connection.request("GET", "/v1/events")
    stream = connection.getresponse()
    host.register("c")
    seen = []
    while "registered" not in seen:
        seen.append(json.loads(stream.readline())["event"])
    connection.close()


def test_who_has_no_certificate_of_the_authority_gets_nothing(remote):
    assert call(remote, "GET", "/healthz")[0] == 200
    log = remote.host.daemon.text
    assert refused(remote, None)
    assert "refused a TLS client at 10.99.0.1:" in log() and "peer did not return a certificate" in log()
    time.sleep(1.1)  # one complaint a second
    assert refused(remote, remote.other.issue("agent one"))  # of the same name, by another authority
    assert "unable to get local issuer certificate" in log() or "self-signed" in log()
    time.sleep(1.1)
    assert refused(remote, remote.ca.issue("of old", "200101000000Z", "210101000000Z"))
    assert "certificate has expired" in log()
    assert refused(remote, remote.ca.issue("to be", "300101000000Z", "310101000000Z"))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert refused(remote, None, version)


def test_old_versions_of_tls_are_refused(remote):
    done = subprocess.run(
        ["ip", "netns", "exec", remote.host.aws.name, "openssl", "s_client", "-connect", "10.99.0.2:9443", "-tls1_1",
         "-cipher", "ALL:@SECLEVEL=0", "-cert", remote.client[0], "-key", remote.client[1]],
        input="GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and "alive" not in done.stdout
    assert call(remote, "GET", "/healthz")[0] == 200


def test_plain_http_to_the_port_is_cut(remote):
    with tcp(remote.host.aws) as raw:
        raw.sendall(b"GET /v1/containers HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        with pytest.raises((ConnectionError, StopIteration)):
            while True:
                answer += raw.recv(4096) or next(iter(()))
    assert b"HTTP/1.1" not in answer
    assert "http request" in remote.host.daemon.text()


def test_a_handshake_that_never_comes_is_ended(remote):
    started = time.monotonic()
    with tcp(remote.host.aws, 30 * SLOW) as raw:
        raw.sendall(b"\x16\x03\x01")
        assert call(remote, "GET", "/healthz")[0] == 200
        assert raw.recv(100) == b""
    assert 8 < time.monotonic() - started < 25 * SLOW


def test_a_flood_of_strangers_does_not_keep_the_others_out(remote):
    raws = [tcp(remote.host.aws) for _ in range(200)]
    try:
        assert call(remote, "GET", "/healthz")[0] == 200
        descriptors = len(os.listdir(f"/proc/{remote.host.daemon_pid()}/fd"))
        assert descriptors < 180, descriptors
    finally:
        for raw in raws:
            raw.close()


def test_reload_of_certificates(remote):
    host = remote.host
    kept = NetnsConnection(host.aws, remote.context(remote.client))
    kept.request("GET", "/healthz")
    kept.getresponse().read()

    # A new certificate of the server: those who are connected stay.
    remote.install(server=remote.ca.issue("rolegated two"))
    reload(host)
    assert server_name(remote) == "rolegated two"
    kept.request("GET", "/healthz")
    assert kept.getresponse().read()

    # Another authority: those of the former are out, also those who are connected.
    remote.install(client_ca=remote.other.certificate.read_text())
    reload(host)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        kept.request("GET", "/healthz")
        kept.getresponse()
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        call(remote, "GET", "/healthz")
    assert call(remote, "GET", "/healthz", client=remote.other.issue("agent two"))[0] == 200

    # A file that is no certificate: the former stay in force, and the log names it.
    remote.install(client_ca="nonsense")
    host.daemon.process.send_signal(signal.SIGHUP)
    host.wait(lambda: "[control] tls_client_ca: " in host.daemon.text(), "the refusal")
    assert "the old configuration stays in force" in host.daemon.text()
    assert call(remote, "GET", "/healthz", client=remote.other.issue("agent three"))[0] == 200


def test_a_revoked_certificate_is_refused(remote):
    stolen = remote.ca.issue("stolen")
    assert call(remote, "GET", "/healthz", client=stolen)[0] == 200
    remote.install(client_ca=remote.ca.certificate.read_text() + remote.ca.revoke(stolen[0]))
    reload(remote.host)
    assert refused(remote, stolen)
    assert "certificate revoked" in remote.host.daemon.text()


def reload(host):
    before = host.daemon.text().count("configuration and policy reloaded")
    host.daemon.process.send_signal(signal.SIGHUP)
    host.wait(lambda: host.daemon.text().count("configuration and policy reloaded") > before, "the reload")


def server_name(remote):
    raw = tcp(remote.host.aws)
    with remote.context(remote.client).wrap_socket(raw, server_hostname=ADDRESS[0]) as connection:
        return dict(pair[0] for pair in connection.getpeercert()["subject"])["commonName"]


def test_curl(remote):
    done = subprocess.run(
        ["ip", "netns", "exec", remote.host.aws.name, "curl", "-sS", "--cacert", remote.ca.certificate,
         "--cert", remote.client[0], "--key", remote.client[1], "https://10.99.0.2:9443/version"],
        capture_output=True, text=True, timeout=30)
    assert json.loads(done.stdout)["name"] == "rolegated", done.stderr


def test_a_restart_keeps_the_port(remote):
    """The next daemon listens while the former one still serves."""
    host = remote.host
    first = host.daemon.process
    host.daemon.start()
    host.wait(lambda: first.poll() is not None, "the former daemon to leave", timeout_s=20)
    assert first.returncode == 0
    assert call(remote, "GET", "/readyz")[0] == 200


def check(remote, **control):
    """`rolegated --check` with these keys instead: (exit code, what it says)."""
    host = remote.host
    host.settings["control"].update(control)
    host.write_settings()
    done = subprocess.run([binary("rolegated"), "--config", host.config, "--check"], capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize("control, says", [
    ({"tls_client_ca": None}, "needs tls_cert, tls_key and tls_client_ca"),
    ({"tls_cert": None}, "needs tls_cert, tls_key and tls_client_ca"),
    ({"tls_key": None}, "needs tls_cert, tls_key and tls_client_ca"),
    ({"tls_cert": "/nonexistent.pem"}, "[control] tls_cert: /nonexistent.pem: cannot be read: No such file"),
    ({"tls_key": "/nonexistent.pem"}, "[control] tls_key: /nonexistent.pem: cannot be read: No such file"),
    ({"tls_client_ca": "/nonexistent.pem"}, "[control] tls_client_ca: /nonexistent.pem: cannot be read"),
    ({"tls_client_ca": "/etc/hostname"}, "[control] tls_client_ca: /etc/hostname: "),
    ({"tls_cert": "/etc/hostname"}, "[control] tls_cert: /etc/hostname: "),
    ({"tls_key": "/etc/hostname"}, "[control] tls_key: /etc/hostname: "),
    ({"tls_listen": "9443"}, "tls_listen must be HOST:PORT"),
    ({"tls_listen": "10.99.0.2:"}, "tls_listen must be HOST:PORT"),
    ({"tls_listen": "10.99.0.2:65536"}, "tls_listen must be HOST:PORT"),
    ({"tls_listen": "::1:9443"}, "tls_listen must be HOST:PORT"),
    ({"tls_listen": "[::1]9443"}, "tls_listen must be HOST:PORT"),
    ({"tls_cert": "relative.pem"}, "tls_cert must be an absolute path"),
])
def test_check_names_what_is_wrong(checked, control, says):
    host_settings = dict(checked.host.settings["control"])
    try:
        code, stderr = check(checked, **control)
        assert code == 1 and says in stderr and checked.host.config in stderr, (code, stderr)
    finally:
        checked.host.settings["control"] = host_settings


def test_check_of_a_key_that_does_not_fit(checked):
    host_settings = dict(checked.host.settings["control"])
    code, stderr = check(checked, tls_key=checked.client[1])
    assert code == 1 and "[control] tls_key" in stderr, stderr
    checked.host.settings["control"] = host_settings
    assert check(checked)[0] == 0


@pytest.fixture(scope="module")
def checked():
    """Files and a configuration; no daemon is started."""
    remote = Remote()
    remote.host = Host(config=remote.config())
    try:
        yield remote
    finally:
        remote.host.stop()
        remote.close()
