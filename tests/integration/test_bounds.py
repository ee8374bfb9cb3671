"""A container that is slow, greedy or hostile hurts itself; the others do not notice."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest
from host import SLOW, Host

CREDENTIALS = "/latest/meta-data/iam/security-credentials/web"
HEAD = "GET {} HTTP/1.1\r\nHost: 169.254.169.254\r\nX-aws-ec2-metadata-token: {}\r\n\r\n"

# Floods from a process of its own, so that the measuring one is not slowed by Python. Arguments: what to send, whether
# to read, for how many seconds, on how many connections.
FLOOD = r"""
import socket, sys, time, selectors
data, reads, seconds, n = sys.argv[1].encode().decode("unicode_escape").encode("latin-1"), sys.argv[2] == "reads", float(sys.argv[3]), int(sys.argv[4])
end, poll = time.monotonic() + seconds, selectors.DefaultSelector()
def open_one():
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("169.254.169.254", 80))
    poll.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE)
for _ in range(n):
    open_one()
print("flooding", flush=True)
received = 0
while time.monotonic() < end:
    for key, what in poll.select(0.1):
        try:
            if what & selectors.EVENT_WRITE:
                key.fileobj.send(data)
            if reads and what & selectors.EVENT_READ:
                chunk = key.fileobj.recv(1 << 20)
                received += len(chunk)
                if not chunk:
                    raise ConnectionError
        except BlockingIOError:
            pass
        except OSError:
            poll.unregister(key.fileobj)
            key.fileobj.close()
            open_one()
print(received, flush=True)
"""


def flood(container, data, reads=True, seconds=3.0, connections=64):
    process = container.netns.popen(["nice", "-n", "19", "/usr/bin/python3", "-c", FLOOD, data, "reads" if reads else "deaf", str(seconds),
                                     str(connections)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "flooding\n"
    return process


@pytest.fixture(scope="module")
def crowd():
    with Host() as host:
        for i in range(24):
            host.container(f"slow{i}", connected=False)
            host.register(f"slow{i}")
        for name in ("quiet", "loud"):
            host.container(name)
            host.register(name)
        yield host


def latencies(container, n=400):
    """Of a cached credentials GET on one connection, sorted, in seconds."""
    request = HEAD.format(CREDENTIALS, container.token()).encode()
    took = []
    with container.inside.connect(timeout=10 * SLOW) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(n):
            began = time.monotonic()
            s.sendall(request)
            answer = s.recv(65536)
            took.append(time.monotonic() - began)
            assert answer.startswith(b"HTTP/1.1 200 OK")
            time.sleep(0.002)
    return sorted(took)


def p99(took):
    return took[int(len(took) * 0.99)]


# Two cores, shared with other work, run the flooder, the daemon and the clock that measures: so the best of some rounds
# counts, and less than this is noise. A daemon without fairness needs 80 ms and more in every round.
FLOOR_S = 0.020
ROUNDS = 4

FLOODS = {
    "credentials": HEAD.format(CREDENTIALS, "{token}") * 100,
    "odd paths": HEAD.format("/latest/nothing", "{token}") * 100,
    "listings": HEAD.format("/latest/meta-data/", "{token}") * 50,
    "no token": "GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n" * 300,
    "tokens": ("PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n"
               "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n") * 100,
    "garbage": "\x01" * 100,
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_and_slow_clients_do_not_slow_another(crowd, what):
    quiet, loud = crowd.containers["quiet"], crowd.containers["loud"]
    alone = p99(latencies(quiet))
    with contextlib.ExitStack() as stack:
        for i in range(24):
            for _ in range(4):
                s = stack.enter_context(crowd.containers[f"slow{i}"].inside.connect())
                s.sendall(b"GET /latest/meta-data/ HTTP/1.1\r\nHo")
        data = FLOODS[what].replace("{token}", loud.token())
        process = flood(loud, data.encode("unicode_escape").decode(), seconds=60 * SLOW)
        beside = []
        while len(beside) < ROUNDS and (not beside or min(beside) > max(10 * alone, FLOOR_S * SLOW)):
            beside.append(p99(latencies(quiet)))
        process.kill()
        process.wait()
    print(f"{what}: p99 {min(beside) * 1e6:.0f} us beside the flood, {alone * 1e6:.0f} us alone")
    assert min(beside) < max(10 * alone, FLOOR_S * SLOW), (beside, alone)


def test_floods_do_not_starve_all_else(crowd):
    """Containers go first in the loop, but not for ever: operators are answered, and STS is called."""
    processes = [flood(crowd.containers[name], (HEAD.format(CREDENTIALS, crowd.containers[name].token()) * 100)
                       .encode("unicode_escape").decode(), seconds=60 * SLOW) for name in ("loud", "slow0", "slow1", "slow2")]
    try:
        took = []
        for _ in range(5):
            began = time.monotonic()
            assert crowd.api("GET", "/v1/containers/quiet")[0] == 200
            took.append(time.monotonic() - began)
        before = crowd.show("quiet")["access_key_id"]
        assert crowd.api("POST", "/v1/containers/quiet/refresh")[0] == 202
        crowd.wait(lambda: crowd.show("quiet")["access_key_id"] != before, "credentials of another call", 5)
        assert all(process.poll() is None for process in processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert min(took) < 0.5 * SLOW, took


def test_a_client_that_does_not_read_its_answers(crowd):
    """It gets a bounded amount of memory, and no more turns."""
    quiet, loud = crowd.containers["quiet"], crowd.containers["loud"]

    def resident():
        resident_, shared = pathlib.Path(f"/proc/{crowd.daemon.process.pid}/statm").read_text().split()[1:3]
        return (int(resident_) - int(shared)) * 4096

    before = resident()
    process = flood(loud, (HEAD.format(CREDENTIALS, loud.token()) * 100).encode("unicode_escape").decode(), reads=False,
                    seconds=3, connections=200)
    beside = min(p99(latencies(quiet)) for _ in range(2))
    process.wait()
    assert beside < 2 * FLOOR_S * SLOW
    # Sanitizers and valgrind keep what is freed; 200 connections with all they may hold are under 16 MB.
    assert "ROLEGATE_SANITIZED" in os.environ or resident() - before < 24_000_000 * SLOW


def test_a_client_that_is_slow_to_read_its_tokens_gets_them_all(crowd):
    loud = crowd.containers["loud"]
    request = b"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
    n, received = 3000, b""
    with loud.netns.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(20 * SLOW)
        s.connect(("169.254.169.254", 80))
        sender = threading.Thread(target=s.sendall, args=(request * n,))
        sender.start()
        time.sleep(0.5)  # until nothing fits any more
        while received.count(b"HTTP/1.1 200 OK\r\n") < n:
            chunk = s.recv(1 << 20)
            assert chunk, "closed"
            received += chunk
        sender.join()
    tokens = set(re.findall(rb"\r\n\r\n([A-Za-z0-9_-]{56})", received))
    assert n - 1 <= len(tokens) <= n and received.count(b"HTTP/1.1 ") == n


def test_paced_containers_get_every_answer(crowd):
    """While several ask, each is paced: requests and connections wait unwatched for a turn, and none is forgotten."""
    names, pipelined, fresh = ("quiet", "loud"), 4000, 200
    tokens = {name: crowd.containers[name].token() for name in names}
    answers = {}

    def ask(name, kind):
        request = HEAD.format(CREDENTIALS, tokens[name]).encode()
        if kind == "kept":
            answers[name, kind] = exchange(name, request * pipelined, pipelined)
        else:
            answers[name, kind] = sum(exchange(name, request, 1) for _ in range(fresh))

    def exchange(name, data, n):
        received = b""
        with crowd.containers[name].inside.connect(timeout=30 * SLOW) as s:
            sender = threading.Thread(target=s.sendall, args=(data,))
            sender.start()
            while received.count(b"HTTP/1.1 200 OK\r\n") < n or not received.endswith(b"}"):
                chunk = s.recv(1 << 20)
                assert chunk, "closed"
                received += chunk
            sender.join()
        return received.count(b"HTTP/1.1 200 OK\r\n")

    threads = [threading.Thread(target=ask, args=(name, kind)) for name in names for kind in ("kept", "new")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {(name, kind): pipelined if kind == "kept" else fresh
                       for name in names for kind in ("kept", "new")}


def test_more_connections_than_a_container_may_have(crowd):
    quiet, loud = crowd.containers["quiet"], crowd.containers["loud"]
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(loud.inside.connect()) for _ in range(300)]
        crowd.wait(lambda: len(list(pathlib.Path(f"/proc/{crowd.daemon.process.pid}/fd").iterdir())) < 256 + 24 * 4 + 100,
                   "the oldest to be closed")
        assert quiet.role() == "web"
        assert loud.role() == "web"
        held[0].settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert held[0].recv(1) == b""


def test_past_its_rate_a_container_gets_429_but_never_for_what_it_lives_on(crowd):
    loud, quiet = crowd.containers["loud"], crowd.containers["quiet"]
    token = loud.token()
    request = HEAD.format("/latest/nothing", token).encode() * 500
    seen = b""
    with loud.inside.connect(timeout=10 * SLOW) as s:
        for _ in range(10):
            s.sendall(request)
            received = 0
            while received < 500:
                chunk = s.recv(1 << 20)
                received += chunk.count(b"HTTP/1.1 ")
                seen += chunk
            if b"HTTP/1.1 429 Too Many Requests" in seen:
                break
        assert b"HTTP/1.1 429 Too Many Requests" in seen and b"Retry-After: 1" in seen
        s.sendall(HEAD.format(CREDENTIALS, token).encode())
        assert s.recv(65536).startswith(b"HTTP/1.1 200 OK")
    assert loud.role() == "web" and loud.token()
    assert quiet.get("/latest/meta-data/")[0] == 200
    crowd.wait(lambda: loud.get("/latest/meta-data/", token)[0] == 200, "the rate to recover")


# One request and its answer's status; the connection is closed after each that is refused.
TOO_MUCH = {
    "a head of 8 KiB": (b"GET / HTTP/1.1\r\nHost: 169.254.169.254\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
    "a head without end": (b"GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n" + b"X: y\r\n" * 5000, 431),
    "65 headers": (b"GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n" + b"X: y\r\n" * 65 + b"\r\n", 431),
    "a long target": (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n", 414),
    "a body": (b"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nContent-Length: 5\r\n\r\nhello", 413),
    "a chunked body": (b"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"5\r\nhello\r\n0\r\n\r\n", 413),
    "length and chunks": (b"PUT / HTTP/1.1\r\nHost: 169.254.169.254\r\nTransfer-Encoding: chunked\r\nContent-Length: 0"
                          b"\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (b"GET / HTTP/1.1\r\nHost: 169.254.169.254\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: 169.254.169.254\r\nHost: 169.254.169.254\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "a bare LF": (b"GET / HTTP/1.1\nHost: 169.254.169.254\n\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\nHost: 169.254.169.254\r\nX: a\r\n b\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : 169.254.169.254\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100, 400),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_too_much_or_malformed(crowd, what):
    data, status = TOO_MUCH[what]
    loud = crowd.containers["loud"]
    # What follows on the same connection is not read as a request.
    answer = loud.inside.raw(data + HEAD.format(CREDENTIALS, "A" * 56).encode(), timeout=5)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:100]
    assert answer.count(b"HTTP/1.1 ") == 1 and b"Connection: close" in answer


def test_half_a_request_ends_after_ten_seconds(crowd):
    loud = crowd.containers["loud"]
    began = time.monotonic()
    with loud.inside.connect(timeout=30 * SLOW) as s:
        s.sendall(b"GET / HTTP/1.1\r\n")
        received = b""
        with contextlib.suppress(ConnectionResetError):
            for i in range(200):
                s.settimeout(0.5)
                try:
                    chunk = s.recv(4096)
                    received += chunk
                    if not chunk:
                        break
                except TimeoutError:
                    s.sendall(b"X: y\r\n")  # a trickle buys no time
    took = time.monotonic() - began
    assert received.startswith(b"HTTP/1.1 408 ") and 9 < took < 20 * SLOW
    assert crowd.containers["quiet"].role() == "web"
