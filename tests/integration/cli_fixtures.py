"""Fixtures of the CLI's tests: the program, and a control server to point it at."""

import fcntl
import os
import pty
import struct
import subprocess
import termios

import pytest
from fake_control import FakeControl

BUILD = os.environ.get("ROLEGATE_BUILD") or os.path.join(os.path.dirname(__file__), "../../build")
ROLEGATE = os.path.join(BUILD, "src/rolegate/rolegate")
DONE, FAILED, USAGE, UNREACHABLE, DENIED = range(5)


@pytest.fixture
def daemon(tmp_path):
    running = []

    def start(handler):
        if not callable(handler):
            answer = handler
            handler = lambda _request: answer
        running.append(FakeControl(tmp_path / "control.sock", handler))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def cli(tmp_path):
    def run(*args, env=None, timeout=30, **kwargs):
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "ROLEGATE_SOCKET": str(tmp_path / "control.sock"),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", ""),
            **(env or {}),
        }
        return subprocess.run(
            [ROLEGATE, *map(str, args)],
            env={key: value for key, value in environment.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=timeout,
            **kwargs,
        )

    return run


def on_terminal(tmp_path, *args, columns=80, env=None):
    """Run it with standard output on a terminal of that width; returns what it wrote there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "ROLEGATE_SOCKET": str(tmp_path / "control.sock"),
        **(env or {}),
    }
    process = subprocess.Popen([ROLEGATE, *args], stdout=slave, env=environment)
    os.close(slave)
    output = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:
            break
        if not more:
            break
        output += more
    os.close(master)
    assert process.wait(30) == 0
    return output.decode().replace("\r\n", "\n")
