"""What a service manager does for the daemons beyond starting them: it holds their sockets."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from host import Host, binary

EXEC = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="x")
os.execvp(sys.argv[2], sys.argv[2:])"""


def listen(path, kind):
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(path)
    os.chmod(path, 0o660)
    sock.listen(50)
    return sock


def start(daemon, sock):
    """As systemd does: the socket is descriptor 3."""
    with open(daemon.log, "ab") as log:
        daemon.process = subprocess.Popen(
            ["ip", "netns", "exec", daemon.netns, "/usr/bin/python3", "-c", EXEC, str(sock.fileno()),
             binary(daemon.name), "--config", daemon.config],
            pass_fds=[sock.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


@contextlib.contextmanager
def asking(host, path):
    """A call that is made while nobody serves; its answer is in the list afterwards."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(host.api("GET", path)))
    thread.start()
    thread.join(0.3)
    assert not answers
    yield answers
    thread.join(30)
    assert answers


@pytest.fixture(scope="module")
def activated():
    """(host, control socket, netd's socket): both daemons were started by their sockets."""
    host = Host()
    run = host.state_dir
    run.mkdir(mode=0o755)
    shutil.chown(run, "rolegate", "rolegate")
    try:
        with listen(host.control_socket, socket.SOCK_STREAM) as control, \
                listen(host.netd_socket, socket.SOCK_SEQPACKET) as netd:
            shutil.chown(host.netd_socket, "rolegate")
            with asking(host, "/version") as answers:
                start(host.netd, netd)
                start(host.daemon, control)
            assert answers[0][0] == 200
            host.wait(host.ready, "readiness")
            host.container("c")
            host.register("c")
            yield host, control, netd
    finally:
        host.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_calls_wait_for_the_next_rolegated(activated, number):
    host, control, _ = activated
    host.daemon.stop(number)
    with asking(host, "/v1/containers/c") as answers:
        start(host.daemon, control)
    assert answers[0][0] == 200
    host.wait(host.ready, "readiness")
    assert host.containers["c"].role() == "web"


def test_netd_takes_its_socket(activated):
    host, _, netd = activated
    host.netd.stop(signal.SIGKILL)
    start(host.netd, netd)
    host.wait(host.ready, "readiness")
    host.container("d")
    host.register("d")
    assert host.containers["d"].role() == "web"


@pytest.mark.parametrize("what, words", [
    ("another path", "the configuration says"), ("another kind", "no listening Unix stream socket"),
    ("two", "passed 2 sockets"),
])
def test_what_was_passed_wrongly_is_said(activated, what, words):
    """Else the service manager would wait at one place, and clients at another."""
    host, control, netd = activated
    host.daemon.stop()
    other = listen(str(host.dir / "other.sock"), socket.SOCK_STREAM)
    try:
        if what == "two":
            environ = {"LISTEN_FDS": "2", "LISTEN_PID": "0"}
            code = EXEC.replace('LISTEN_FDS="1"', 'LISTEN_FDS="2"')
            result = subprocess.run(["/usr/bin/python3", "-c", code, str(control.fileno()), binary("rolegated"),
                                     "--config", host.config], pass_fds=[control.fileno()], timeout=30,
                                    env=os.environ | environ, capture_output=True, text=True)
            code, text = result.returncode, result.stderr
        else:
            start(host.daemon, other if what == "another path" else netd)
            code, text = host.daemon.process.wait(30), host.daemon.text()
            host.daemon.process = None
        assert code == 1 and words in text.splitlines()[-1]
    finally:
        other.close()
        os.unlink(host.dir / "other.sock")
        start(host.daemon, control)
        host.wait(host.ready, "readiness")


def test_sockets_passed_to_another_process_are_not_taken():
    """LISTEN_PID is not its own: inherited by accident."""
    with Host() as host:
        host.daemon.stop()
        host.start_daemon(LISTEN_PID="1", LISTEN_FDS="1")
        assert host.api("GET", "/version")[0] == 200
