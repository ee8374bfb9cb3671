"""rolegate events: streams, ends, interrupts."""

import json
import os
import signal
import subprocess

import pytest
from cli_fixtures import DONE, FAILED, ROLEGATE
from cli_fixtures import cli, daemon  # noqa: F401 (fixtures)
from fake_control import chunked, error, reply

EVENTS = [{"event": "registered", "id": "web-1"}, {"event": "refreshed", "id": "caf\u00e9"}]
LINES = [json.dumps(event).encode() + b"\n" for event in EVENTS]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        lambda: chunked(200, LINES),
        lambda: chunked(200, [b"".join(LINES)]),
        lambda: chunked(200, [b"\n", *LINES, b"\r\n"]),  # empty lines keep the connection alive
        lambda: [b"HTTP/1.1 200 OK\r\n\r\n", *LINES],
        lambda: [bytes([byte]) for byte in b"".join(chunked(200, LINES))],
    ],
)
def test_events_until_the_daemon_leaves(daemon, cli, answer):  # noqa: F811
    server = daemon(lambda _request: answer())
    result = cli("events")
    assert (result.returncode, result.stderr) == (DONE, "")
    assert [json.loads(line) for line in result.stdout.splitlines()] == EVENTS
    assert server.requests[0].path == "/v1/events"


def follow(server):
    command = [ROLEGATE, "--socket", server.path, "events"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def stream_for_ever(server_box):
    yield CHUNKED
    yield b"%x\r\n%s\r\n" % (len(LINES[0]), LINES[0])
    server_box[0].release.wait(30)


def test_events_come_at_once_until_interrupted(daemon):  # noqa: F811
    box = []
    box.append(daemon(lambda _request: stream_for_ever(box)))
    process = follow(box[0])
    assert json.loads(process.stdout.readline()) == EVENTS[0]  # though stdout is a pipe
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == DONE
    assert process.communicate() == (b"", b"")


def test_events_daemon_dies(daemon):  # noqa: F811
    box = []
    box.append(daemon(lambda _request: stream_for_ever(box)))
    process = follow(box[0])
    process.stdout.readline()
    box[0].release.set()
    assert process.wait(10) == FAILED
    assert b"is cut" in process.communicate()[1]


def test_events_reader_leaves(daemon):  # noqa: F811
    box = []
    box.append(daemon(lambda _request: chunked(200, LINES * 100000)))
    process = follow(box[0])
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(10) in (FAILED, -signal.SIGPIPE)
    process.stderr.close()


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda: chunked(200, [b"not json\n"]), "no JSON"),
        (lambda: chunked(200, [b'{"a":"\x1b"}\n']), "no JSON"),
        (lambda: chunked(200, [b"x" * 70000]), "longer than 64 KiB"),
        (lambda: [error(403, "denied", "not for you")], "not for you"),
        (lambda: [reply(500)], "HTTP 500"),
    ],
)
def test_events_odd(daemon, cli, answer, says):  # noqa: F811
    daemon(lambda _request: answer())
    result = cli("events")
    assert result.returncode != DONE and result.stdout == "" and says in result.stderr
    assert "\x1b" not in result.stderr


def test_events_full_disk(daemon):  # noqa: F811
    server = daemon(lambda _request: chunked(200, LINES))
    with open("/dev/full", "w") as full:
        command = [ROLEGATE, "--socket", server.path, "events"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=30)
    assert result.returncode == FAILED and b"cannot be written" in result.stderr


def test_events_escape_what_a_terminal_obeys(daemon, cli):  # noqa: F811
    event = {"message": "\x7f\x9b31m\u202e\U000e0041"}
    line = json.dumps(event, ensure_ascii=False).encode() + os.linesep.encode()
    daemon(lambda _request: chunked(200, [line]))
    out = cli("events").stdout
    assert out.isascii() and json.loads(out) == event
