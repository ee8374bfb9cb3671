"""rolegate(1) and a control server that answers oddly: cut, oversize, garbage, not at all."""

import time

import pytest
from cli_fixtures import DONE, FAILED
from cli_fixtures import cli, daemon  # noqa: F401 (fixtures)
from fake_control import chunked, reply

HUGE = b"x" * (1 << 20)


@pytest.mark.parametrize(
    "answer, says",
    [
        (None, "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-", "is cut"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[]", "is cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n", "is cut"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n[]", "larger than"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]x", "bytes follow"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]", "two different"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no proper HTTP"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n[]", "without CR"),
        (b"x" * 100000, "longer than 4096"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 65 + b"\r\n", "more than 64 headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, "for ever"),
        (reply(200, b"<html>"), "no JSON"),
        (reply(200, b""), "no JSON"),
        (reply(200, b'{"containers":7}'), "no role map"),
        (reply(200, b'{"containers":[{}]}'), "without an id"),
        (reply(200, b'{"containers":[{"id":"a\\u0000b"}]}'), "no JSON"),
        (reply(500), "HTTP 500 without saying why"),
        (reply(404, b"<html>\x1b[31m"), "HTTP 404 without saying why"),
        (reply(302, b"", ["Location: /elsewhere"]), "HTTP 302"),
        (reply(503, b'{"error":7}'), "HTTP 503"),
    ],
)
def test_odd_replies(daemon, cli, answer, says):
    daemon(answer)
    result = cli("roles")
    assert (result.returncode, result.stdout) == (FAILED, "")
    assert says in result.stderr and "\x1b" not in result.stderr
    assert result.stderr.startswith("rolegate: roles: ") and len(result.stderr.splitlines()) == 1


def test_endless_reply(daemon, cli):
    daemon(lambda _request: chunked(200, (HUGE for _ in range(100))))
    result = cli("roles")
    assert result.returncode == FAILED and "larger than" in result.stderr


def test_other_ways_to_frame(daemon, cli):
    answers = iter(
        [
            b"HTTP/1.1 200 OK\r\n\r\n[]",
            b"HTTP/1.0 200 OK\r\n\r\n[]",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\ncontent-length:2 \r\n\r\n[]",
            [bytes([byte]) for byte in b"".join(chunked(200, [b"[", b"]"]))],
        ]
    )
    daemon(lambda _request: next(answers))
    for _ in range(4):
        result = cli("roles")
        assert (result.returncode, result.stderr) == (DONE, "")


def test_hung_daemon(daemon, cli):
    server = daemon(lambda _request: server.release.wait(30) and None)
    start = time.monotonic()
    result = cli("--timeout", "1", "show", "a")
    assert time.monotonic() - start < 5
    assert result.returncode == FAILED and "did not answer in time" in result.stderr
