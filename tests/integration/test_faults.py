"""A host on which something is wrong: the state directory, descriptors, the service manager's patience."""

import contextlib
import os
import re
import socket
import subprocess
import time

import pytest
from host import SLOW, WRAPPER, Host


@contextlib.contextmanager
def small_disk(host, size):
    """The state files on a file system of their own, of that size."""
    path = host.state_dir / "containers"
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", path], check=True)
    try:
        yield path
    finally:
        host.daemon.stop()
        subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_fails_that_registration_only():
    host = Host()
    with small_disk(host, "4k") as path, host:  # one page: room for one file
        for name in ("a", "b"):
            host.container(name)
        host.register("a", "web")
        status, answer = host.put("b", "batch")
        assert status == 500 and answer["error"]["code"] == "state_not_saved"
        assert "No space left on device" in answer["error"]["message"]
        host.wait(lambda: host.show("b") is None, "the roll-back")
        host.wait(lambda: "16925" not in host.containers["b"].netns.run(["ss", "-Hltn"]).stdout, "its listeners to go")
        assert not list(path.glob("*b*")) and not list(path.glob(".*"))
        assert host.containers["a"].credentials()["Code"] == "Success"
        host.unregister("a")  # and there is room again
        host.register("b", "batch")
        assert host.containers["b"].role() == "batch"
        host.unregister("b")


def test_an_unwritable_directory_fails_registrations_and_serves_on(host):
    a = host.container("a")
    host.register("a", "web")
    path = host.state_dir / "containers"
    os.chown(path, 0, 0)
    os.chmod(path, 0o500)  # a rolegated that stayed root has no capability to write there either
    host.container("b")
    status, answer = host.put("b", "batch")
    assert status == 500 and answer["error"]["code"] == "state_not_saved"
    assert "Permission denied" in answer["error"]["message"]
    assert "not registered" in host.daemon.text() and host.show("b") is None
    assert a.role() == "web" and host.show("a")["state"] == "ready"


def test_too_few_descriptors_cost_nobody_for_good(host):
    """Past the limit new connections wait or replace idle ones; afterwards all is as before."""
    a, b = host.container("a"), host.container("b")
    host.register("a", "web")
    host.register("b", "batch")
    used = len(os.listdir(f"/proc/{host.daemon_pid()}/fd"))
    host.daemon.stop()
    host.daemon.prefix = ["prlimit", f"--nofile={used + 8}:{used + 8}"]
    host.start_daemon()
    hoard = [a.inside.connect() for _ in range(30)]
    request = b"GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"
    for sock in hoard:
        sock.sendall(request)
    time.sleep(0.5)
    assert b.role() == "batch", "another container is served by giving up an idle connection"
    assert "raise the limit on open files" in host.daemon.text()
    for sock in hoard:
        sock.close()
    host.wait(lambda: a.role() == "web", "a to be served again")
    host.container("c")
    host.register("c", "late")
    host.daemon.prefix = []


def test_the_watchdog_hears_from_rolegated(host):
    host.daemon.stop()
    path = str(host.dir / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        os.chmod(path, 0o777)
        manager.settimeout(10 * SLOW)
        host.start_daemon(NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")
        assert manager.recv(100) == b"READY=1"
        for _ in range(3):
            assert manager.recv(100) == b"WATCHDOG=1"
        host.daemon.stop()
        heard = []
        with contextlib.suppress(TimeoutError):
            manager.settimeout(0.5)
            while True:
                heard.append(manager.recv(100))
        assert b"STOPPING=1" in heard


def test_a_container_without_pid_whose_netns_went_is_dropped(host):
    """Within 5 s; and until then, and after, nothing of ours keeps the netns alive."""
    c = host.container("c")
    host.register("c", "web")
    inode = c.netns.inode[1]
    kept = c.inside.connect()  # of ours, not of the daemons': closed before
    kept.close()
    began = time.monotonic()
    c.close()
    host.wait(lambda: host.show("c") is None, "the container to be dropped", timeout_s=8)
    assert time.monotonic() - began < 6 * SLOW
    gone = lambda: str(inode) not in subprocess.run(["lsns", "-t", "net", "-no", "NS"], capture_output=True,
                                                    text=True).stdout
    host.wait(gone, "the kernel to free the netns")
    for daemon in (host.daemon, host.netd):
        for fd in os.listdir(f"/proc/{daemon.process.pid}/fd"):
            with contextlib.suppress(OSError):
                assert str(inode) not in os.readlink(f"/proc/{daemon.process.pid}/fd/{fd}")
    assert not list((host.state_dir / "containers").glob("c*"))
    assert "its netns is gone" in host.daemon.text()


@pytest.mark.skipif(bool(WRAPPER), reason="valgrind wakes up by itself")
def test_idle_daemons_sleep(host):
    """8 s: rolegated makes no system call; netd none but its looks at netns and host rules."""
    for name in ("a", "b", "c"):
        host.container(name)
        host.register(name, name)
    time.sleep(11.5)  # what registrations have left to do, and the connections to STS close (curl_loop.c)
    trace = host.dir / "trace"
    process = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, "-p", str(host.daemon_pid())])
    time.sleep(8)
    process.terminate()
    process.wait()
    calls = [line for line in trace.read_text().splitlines() if "restart_syscall" not in line]
    # strace shows the wait it found rolegated in, unfinished.
    woken = [line for line in calls if "epoll_wait" not in line and "detached" not in line]
    assert not woken and len(calls) <= 1, calls
    # Nor has it kept what only its start needed (3.8 MiB; 12 without util/footprint.c).
    status = open(f"/proc/{host.daemon_pid()}/status").read()
    resident = int(re.search(r"VmRSS:\s+(\d+)", status).group(1))
    assert "ROLEGATE_SANITIZED" in os.environ or resident < 8 * 1024
