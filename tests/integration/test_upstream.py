"""The host's metadata service misbehaves on single paths: only they suffer, in bounded time and memory."""

import json
import pathlib
import socket
import threading
import time

import pytest

from host import SLOW, Host

ENDPOINT = ("10.99.0.1", 9999)
WAIT_S = 0.4 * SLOW
GOOD = {"instance-id": b"i-1", "placement/region": b"us-east-1", "placement/availability-zone": b"us-east-1a"}


def ok(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def drip(conn):
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(100):
        conn.sendall(b"a")
        time.sleep(0.1)


def endless(conn):
    conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(64 * 1024):
        conn.sendall(b"400\r\n" + b"a" * 1024 + b"\r\n")


def endless_head(conn):
    conn.sendall(b"HTTP/1.1 200 OK\r\n")
    for i in range(1_000_000):
        conn.sendall(b"X-%d: aaaaaaaaaaaaaaaaaa\r\n" % i)


BAD = {
    "ami-id": drip,
    "ami-launch-index": endless,
    "ami-manifest-path": endless_head,
    "instance-type": lambda conn: time.sleep(10),
    "kernel-id": b"\x00\xff\xfe garbage\r\n",
    "ramdisk-id": b"HTTP/1.1 302 Found\r\nLocation: http://10.99.0.1:9999/latest/user-data\r\nContent-Length: 0\r\n\r\n",
    "reservation-id": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    "profile": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
    "system": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
    "product-codes": b"",
}


class Upstream:
    """Answers as told by GOOD and BAD; a function of BAD has the connection for itself."""

    def __init__(self, host, credentials):
        self.credentials, self.asked = credentials, []
        self.socket = host.aws.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(ENDPOINT)
        self.socket.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        with conn:
            received = b""
            try:
                while chunk := conn.recv(65536):
                    received += chunk
                    while b"\r\n\r\n" in received:
                        head, received = received.split(b"\r\n\r\n", 1)
                        if not self.answer(conn, head.decode()):
                            return
            except OSError:
                pass

    def answer(self, conn, head):
        self.asked.append(head)
        method, path = head.split(" ")[:2]
        name = path.removeprefix("/latest/meta-data/")
        if name in BAD:
            BAD[name](conn) if callable(BAD[name]) else conn.sendall(BAD[name])
            return False
        own = {"iam/security-credentials/": b"host-role", "iam/security-credentials/host-role": self.credentials} | GOOD
        if method == "PUT":
            conn.sendall(ok(b"A" * 56))
        else:
            conn.sendall(ok(own[name]) if name in own else b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        return True


@pytest.fixture(scope="module")
def host():
    host = Host(config={"aws": {"imds_endpoint": "http://10.99.0.1:9999"}})
    token = host.fake_imds("PUT", "/latest/api/token")
    role = "/latest/meta-data/iam/security-credentials/host-role"
    host.upstream = Upstream(host, host.fake_imds("GET", role, token))
    try:
        with host:
            host.container("c")
            host.register("c")
            yield host
    finally:
        host.upstream.socket.close()


def test_single_bad_paths_do_not_take_the_others_with_them(host):
    c = host.containers["c"]
    token = c.token()
    for _ in range(2):
        for name in BAD:
            began = time.monotonic()
            status, headers, body = c.get("/latest/meta-data/" + name, token)
            assert status == 503 and headers["Retry-After"] and time.monotonic() - began < WAIT_S, name
            assert b"garbage" not in body and b"short" not in body
        for name, value in GOOD.items():
            assert c.get("/latest/meta-data/" + name, token)[2] == value, name
        assert c.get("/latest/meta-data/", token)[2] == b"iam/\ninstance-id\nplacement/"
        assert json.loads(c.get("/latest/meta-data/iam/security-credentials/web", token)[2])["Code"] == "Success"
        time.sleep(1.1)  # until they are asked for again
    assert "does not answer" not in host.daemon.text()


def test_no_redirect_is_followed_and_memory_is_bounded(host):
    assert not any("user-data" in head.split("\r\n")[0] for head in host.upstream.asked)
    assert host.show("c")["state"] == "ready"
    if SLOW == 1:
        peak = next(int(line.split()[1]) for line in
                    pathlib.Path(f"/proc/{host.daemon_pid()}/status").read_text().splitlines() if "VmHWM" in line)
        assert peak < 200_000  # kB, with room for a sanitizer
