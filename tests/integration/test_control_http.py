"""The control API as HTTP: what is no request gets the API's own error, and others go on."""

import json
import os
import resource
import socket
import subprocess
import time

import pytest
from host import ROLE, SLOW, Host

HEAD = "{} HTTP/1.1\r\nHost: x\r\n"


def connect(host, timeout=20):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout * SLOW)
    s.connect(host.control_socket)
    return s


def exchange(host, *pieces, half_close=False):
    """All that comes back until the daemon closes: [(status, headers, body)]."""
    with connect(host) as s:
        for piece in pieces:
            s.sendall(piece.encode() if isinstance(piece, str) else piece)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        data = b""
        while chunk := s.recv(65536):
            data += chunk
    return parse(data)


def parse(data, head=False):
    answers = []
    while data:
        top, _, data = data.partition(b"\r\n\r\n")
        lines = top.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = int(headers.get("content-length", 0))
        answers.append((int(lines[0].split()[1]), headers, data[:length]))
        data = data[length:]
    return answers


def put(name, body, **headers):
    text = json.dumps(body) if not isinstance(body, str) else body
    more = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in headers.items())
    return HEAD.format(f"PUT /v1/containers/{name}") + f"Content-Length: {len(text)}\r\n{more}\r\n{text}"


GET = HEAD.format("GET /healthz")
CLOSE = "Connection: close\r\n\r\n"


@pytest.mark.parametrize("request_text, status", [
    ("\x16\x03\x01\r\n\r\n", 400),
    ("GET /healthz\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\n\r\n", 400),  # no Host
    ("GET healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (GET.replace("\r\n", "\n") + "\n", 400),
    (GET + "Host: y\r\n\r\n", 400),
    (GET + " folded\r\n\r\n", 400),
    (HEAD.format("GET /healthz").replace("1.1", "2.0") + "\r\n", 505),
    (GET + "X: " + "a" * 9000 + "\r\n\r\n", 431),
    (GET + "X: a\r\n" * 80 + "\r\n", 431),
    (HEAD.format("GET /" + "a" * 3000) + "\r\n", 414),
    (GET + "Expect: magic\r\n\r\n", 417),
    (GET + "Content-Length: -1\r\n\r\n", 400),
    (GET + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (GET + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (GET + "Transfer-Encoding: gzip\r\n\r\n", 501),
    (put("c", "x" * 65537), 413),
    (HEAD.format("PUT /v1/containers/c") + "Content-Length: 999999999999\r\n\r\n", 413),
    (HEAD.format("PUT /v1/containers/c") + "Content-Length: 999999\r\nExpect: 100-continue\r\n\r\n", 413),
    (HEAD.format("PUT /v1/containers/c") + "Transfer-Encoding: chunked\r\n\r\nfffff\r\n", 413),
    (HEAD.format("PUT /v1/containers/c") + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (HEAD.format("PUT /v1/containers/c") + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc", 400),
], ids=lambda x: str(x)[:40].encode("unicode_escape").decode())
def test_what_is_no_request(shared_host, request_text, status):
    answers = exchange(shared_host, request_text)
    assert [a[0] for a in answers] == [status]
    _, headers, body = answers[0]
    error = json.loads(body)["error"]
    assert headers["content-type"] == "application/json" and headers["connection"] == "close"
    assert set(error) == {"code", "message", "field"} and error["message"]
    assert shared_host.api("GET", "/healthz")[0] == 200


@pytest.mark.parametrize("path, status", [
    ("/%68ealthz", 200), ("/healthz?x=%zz", 200), ("/%2568ealthz", 404), ("/healthz%00", 404), ("/healthz%00x", 404),
    ("/%zzhealthz", 404), ("/healthz%", 404), ("/healthz%6", 404), ("/%\x16\x18ealthz", 400),  # no digits, but for a bit
])
def test_a_path_is_decoded_once(host, path, status):
    assert [answer[0] for answer in exchange(host, HEAD.format("GET " + path) + CLOSE)] == [status]


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE", "FOO", "POST", "DELETE"])
def test_a_method_that_is_not_allowed(shared_host, method):
    status, answer = shared_host.api(method, "/v1/containers")
    assert status == 405 and answer["error"]["code"] == "method_not_allowed"


def test_head_is_get_without_the_body(shared_host):
    for path in ("/healthz", "/metrics", "/v1/containers", "/v1/events", "/v1/containers/none"):
        with connect(shared_host) as s:
            s.sendall((HEAD.format(f"HEAD {path}") + CLOSE).encode())
            data = b"".join(iter(lambda: s.recv(65536), b""))
        head, _, body = data.partition(b"\r\n\r\n")
        assert body == b"" and head.split()[1] == (b"404" if path.endswith("none") else b"200"), data


def test_keep_alive_and_pipelining(shared_host):
    answers = exchange(shared_host, (GET + "\r\n") * 300 + HEAD.format("GET /version") + CLOSE)
    assert [a[0] for a in answers] == [200] * 301
    assert b"version" in answers[-1][2]


def test_a_body_in_chunks_and_in_single_bytes(host):
    host.container("c")
    text = json.dumps({"role_arn": ROLE + "web", "netns": host.containers["c"].netns.path})
    head = HEAD.format("PUT /v1/containers/c") + "Connection: close\r\n"
    chunks = "".join(f"{len(text[i:i + 7]):x}\r\n{text[i:i + 7]}\r\n" for i in range(0, len(text), 7)) + "0\r\n\r\n"
    answers = exchange(host, *(head + "Transfer-Encoding: chunked\r\n\r\n" + chunks))
    assert [a[0] for a in answers] == [201]
    with connect(host) as s:
        s.sendall((head + f"Content-Length: {len(text)}\r\nExpect: 100-continue\r\n\r\n").encode())
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(text.encode())
        assert s.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_half_closes_gets_its_answers(host):
    """As `... | nc -N -U` does."""
    host.container("c")
    body = {"role_arn": ROLE + "web", "netns": host.containers["c"].netns.path}
    answers = exchange(host, put("c", body), GET + "\r\n", half_close=True)
    assert [a[0] for a in answers] == [201, 200]
    assert exchange(host, GET, half_close=True) == []  # that was no whole request


def test_a_client_that_leaves_is_not_waited_for(host):
    """Its registration goes on."""
    host.fake.set(sts_delay_s=0.5)
    host.container("c")
    with connect(host) as s:
        s.sendall(put("c", {"role_arn": ROLE + "web", "netns": host.containers["c"].netns.path}).encode())
    host.wait(lambda: (host.show("c") or {}).get("state") == "ready", "the registration")


def test_a_slow_request_is_ended_and_others_go_on(shared_host):
    started = time.monotonic()
    with connect(shared_host, 30) as s, connect(shared_host, 30) as idle:
        s.sendall(b"GET /healthz HTTP/1.1\r\n")
        data = b""
        while chunk := s.recv(4096):
            data += chunk
            assert shared_host.api("GET", "/healthz")[0] == 200
        assert parse(data)[0][0] == 408
        assert 8 < time.monotonic() - started < 25 * SLOW
        idle.sendall((GET + CLOSE).encode())  # between requests there is more time
        assert idle.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_does_not_read_holds_nothing_up(shared_host):
    with connect(shared_host) as s:
        s.settimeout(2)
        with pytest.raises(OSError):
            for _ in range(200000):
                s.sendall((HEAD.format("GET /metrics") + "\r\n").encode())
        assert shared_host.api("GET", "/healthz")[0] == 200
        status = open(f"/proc/{shared_host.daemon_pid()}/status").read()
        assert int(status.split("VmRSS:")[1].split()[0]) < 300_000 * SLOW  # sanitizers have more


def test_who_may_not_call_is_told_so(host):
    """The socket's mode keeps them out already; should someone have opened it up, the daemon does."""
    os.chmod(host.control_socket, 0o666)
    for user, status in ((65534, "403"), (0, "200")):
        done = subprocess.run(
            ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "curl", "-sS", "-w", "%{http_code}",
             "--unix-socket", host.control_socket, "http://localhost/healthz"], capture_output=True, text=True)
        assert done.stdout.endswith(status), done
    assert "refused uid 65534" in host.daemon.text()


def test_more_clients_than_there_are_descriptors():
    """Those who ask nothing make room; afterwards all is as before."""
    limited = Host()
    limited.daemon.prefix = ["prlimit", "--nofile=200:200"]
    with limited as host:
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert soft > 300
        idle = [connect(host) for _ in range(250)]
        try:
            assert host.api("GET", "/healthz")[0] == 200
        finally:
            for s in idle:
                s.close()
        host.container("c")
        host.register("c")
