"""Restarts under load: 200 new connections a second and eight kept alive, in one container."""

import contextlib
import json
import pathlib
import signal
import subprocess
import time

import pytest
from host import SLOW, WRAPPER, Daemon, Host

CLIENT = pathlib.Path(__file__).with_name("load_client.py")
KEPT = 8


@contextlib.contextmanager
def load(container, role, *arguments):
    """Yields a dictionary that holds, after the block, what the client has seen."""
    seen = {}
    process = container.netns.popen(["/usr/bin/python3", str(CLIENT), role, *map(str, arguments)],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    yield seen
    out, _ = process.communicate(timeout=60 * SLOW)
    seen.update(json.loads(out))


@pytest.fixture
def loaded():
    """(host, container): one container to load, and others that make it a host."""
    with Host() as host:
        for name in ("other", "third"):
            host.container(name)
            host.register(name, name)
        container = host.container("c")
        host.register("c", "web")
        yield host, container


def upgrade(host):
    """A new process while the old one serves; the old one leaves by itself."""
    old = host.daemon
    host.daemon = Daemon("rolegated", host.netns.name, host.config, host.dir / "rolegated-new.log")
    host.daemon.start()
    assert old.process.wait(30 * SLOW) == 0, old.text()
    host.wait(host.ready, "the new rolegated")
    return old


def restart(host):
    host.daemon.stop()
    host.start_daemon()


@pytest.mark.parametrize("how", [restart, upgrade])
def test_a_graceful_restart_fails_no_request(loaded, how):
    host, c = loaded
    rounds = 1 if WRAPPER else 4
    with load(c, "web", *((20, 2) if WRAPPER else ())) as seen:
        for _ in range(rounds):
            how(host)
            time.sleep(0.3)
    assert not seen["failures"], (seen, host.logs())
    assert seen["new"] > 20 and seen["keep"] > 20
    assert len(host.fake.requests("sts", action="AssumeRole")) == 3, "credentials were handed over, not asked for"
    assert host.show("c")["state"] == "ready"
    assert len(host.api("GET", "/v1/containers")[1]["containers"]) == 3


def test_a_killed_rolegated_refuses_no_connection(loaded):
    host, c = loaded
    time.sleep(1.5 * SLOW)  # a fresh registration's credentials reach netd within a second
    rounds = 1 if WRAPPER else 4
    with load(c, "web", *((20, 2) if WRAPPER else ())) as seen:
        for _ in range(rounds):
            host.daemon.stop(signal.SIGKILL)
            host.start_daemon()
            time.sleep(0.3)
    # What the killed process had accepted is lost: at most what was open then.
    assert {kind for _, kind, *_ in seen["failures"]} <= {"broken"}, (seen, host.logs())
    assert len(seen["failures"]) <= rounds * (KEPT + 10), seen
    assert len(host.fake.requests("sts", action="AssumeRole")) == 3


def test_stopping_waits_for_no_one_for_long(host):
    """Connections that never say anything, or half a request, do not hold up a restart."""
    c = host.container("c")
    host.register("c")
    silent = [c.inside.connect() for _ in range(3)]
    silent[1].sendall(b"GET / HT")
    kept = c.inside.connect()
    kept.sendall(b"GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
    assert b"401" in kept.recv(4096)
    began = time.monotonic()
    assert host.daemon.stop() == 0
    assert time.monotonic() - began < 2 * SLOW
    assert kept.recv(1) == b""
    for sock in (*silent, kept):
        sock.close()
    host.start_daemon()


def test_an_idle_connection_may_ask_once_more(host):
    c = host.container("c")
    host.register("c")
    token = c.token()
    request = f"GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\nX-aws-ec2-metadata-token: {token}\r\n\r\n"
    with c.inside.connect() as kept:
        kept.sendall(request.encode())
        assert b"Connection: close" not in kept.recv(8192)
        host.daemon.process.send_signal(signal.SIGTERM)
        host.wait(lambda: "stopping" in host.daemon.text(), "the stop")
        kept.sendall(request.encode())
        answer = kept.recv(8192)
        assert answer.startswith(b"HTTP/1.1 200") and b"Connection: close" in answer
        assert kept.recv(1) == b""
    host.daemon.process.wait(10 * SLOW)
    host.daemon.process = None
    host.start_daemon()


def test_a_registration_under_way_is_told_to_ask_again(host):
    host.fake.set(sts_hang=True)
    host.container("c")
    import threading
    answers = []
    asking = threading.Thread(target=lambda: answers.append(host.put("c", wait_s=60)))
    asking.start()
    host.wait(lambda: host.show("c"), "the registration to begin")
    host.daemon.stop()
    asking.join()
    status, answer = answers[0]
    assert status == 503 and answer["error"]["code"] == "stopping"
    host.fake.reset()
    host.start_daemon()
    status, _ = host.put("c", wait_s=30)
    assert status in (200, 201)


def test_an_unregistered_containers_credentials_are_not_handed_over(host):
    for name in ("a", "b"):
        host.container(name)
        host.register(name, name)
    host.unregister("b")
    host.daemon.stop(signal.SIGKILL)
    host.start_daemon()
    host.wait(lambda: "took up the credentials of 1 sessions" in host.daemon.text(), "the hand-over")
    host.register("b", "b")
    assert len(host.fake.requests("sts", action="AssumeRole")) == 3


def test_credentials_left_under_another_token_key_are_refused(host):
    c = host.container("c")
    before = host.register("c")["access_key_id"]
    host.daemon.stop()
    (host.state_dir / "token.key").unlink()
    host.start_daemon()
    host.wait(lambda: (host.show("c") or {}).get("state") == "ready", "new credentials")
    assert "cannot be read" in host.daemon.text()
    assert c.credentials()["AccessKeyId"] != before


def test_netd_was_restarted_before_the_daemon(host):
    """netd keeps the credentials in memory alone: they are given to it again."""
    c = host.container("c")
    before = host.register("c")["access_key_id"]
    host.netd.stop(signal.SIGKILL)
    host.netd.start()
    host.wait(lambda: host.daemon.text().count("connected to rolegate-netd") == 2, "the reconnection")
    host.daemon.stop()
    host.start_daemon()
    host.wait(lambda: (host.show("c") or {}).get("state") == "ready", "c")
    assert c.credentials()["AccessKeyId"] == before


def test_both_are_upgraded_under_the_same_socket(host):
    """The old process neither removes the new one's socket nor serves what the new one has unregistered."""
    host.container("c")
    host.register("c")
    old = upgrade(host)
    assert "another rolegated serves now" in old.text()
    assert host.ready()
    host.unregister("c")
    assert host.containers["c"].netns.run(["ss", "-Hltn"]).stdout == ""


def test_a_rolegated_with_another_state_directory_takes_nothing_over(host):
    """Started by mistake. It knows none of the containers, and would take every interception down."""
    host.container("c")
    host.register("c")
    other = host.dir / "other"
    other.mkdir()
    config = host.dir / "other.conf"
    config.write_text(pathlib.Path(host.config).read_text().replace(f"dir = {host.state_dir}", f"dir = {other}")
                      .replace(host.control_socket, str(other / "control.sock")))
    second = Daemon("rolegated", host.netns.name, str(config), host.dir / "other.log").start()
    assert second.process.wait(30) == 1
    assert f"another state directory (pid {host.daemon_pid()})" in second.text()
    assert host.daemon.alive() and host.containers["c"].role() == "web" and host.ready()
