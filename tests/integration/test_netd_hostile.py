"""rolegate-netd against a hostile rolegated: it must gain nothing but listeners on the metadata port
in netns other than the host's, and must not be able to stop netd.
"""

import ctypes
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from netd_fixtures import *  # noqa: F403
from netd_protocol import (ADOPT, ATTACH, BRIDGE_MODE, DETACH, HELLO, KEEP, LIST, TAKE, VERSION, Client, Netd,
                           request)
from netns import Netns

EPROTO, EINVAL, ENOENT, EACCES, EOPNOTSUPP = 71, 22, 2, 13, 95


@pytest.fixture(autouse=True)
def netd_still_serves(netd):
    """After each test netd lives, serves others, and has nothing attached that is not asked for."""
    pid = netd.pid
    yield
    with netd.client() as client:
        assert client.hello().error == 0
    assert netd.pid == pid


def refused(reply, error=EINVAL, field="netns"):
    assert (reply.error, reply.field) == (error, field), reply
    assert reply.text and not reply.sockets and "\n" not in reply.text
    return True


# --- paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/proc/self/ns/net", "/proc/thread-self/ns/net"])
def test_host_netns_by_proc_is_refused(client, path):
    reply = client.attach("evil", path)
    assert refused(reply) and "host" in reply.text and path in reply.text
    assert client.list() == {}


def test_netns_of_pid_1_is_refused_or_out_of_reach(client):
    # Not even root may look at pid 1 on some machines.
    reply = client.attach("evil", "/proc/1/ns/net")
    assert (reply.error, reply.field) in ((EINVAL, "netns"), (EACCES, "netns"))


def test_host_netns_by_its_mount_pid_and_symlink_is_refused(netd, client, machine, tmp_path):
    before = ours(machine)
    link = tmp_path / "link"
    link.symlink_to(machine.path)
    for path in (machine.path, f"/proc/{netd.pid}/ns/net", str(link)):
        assert refused(client.attach("evil", path)), path
    assert ours(machine) == before


def test_both_netds_own_netns_and_that_of_pid_1_are_refused(tmp_path):
    """netd in a netns of its own, beside the machine's: a pid namespace whose pid 1 is elsewhere."""
    with Netns("pid1") as pid1, Netns("own") as own, Netd(pid1, start=False) as netd:
        inner = f"nsenter --net={own.path} \"$@\"; :"
        netd.wrapper = ["unshare", "-pf", "--kill-child", "--mount-proc", "sh", "-c", inner, "sh"]
        netd.start()
        with netd.client() as client:
            for netns in (pid1, own):
                assert refused(client.attach("evil", netns.path))
                with listener(netns) as sock:
                    assert refused(client.adopt("evil", [sock]))
            assert client.hello().netns == own.inode
        assert ours(pid1) == [] and "host" in netd.log()
        os.kill(netd.pid, 9)


def test_host_netns_bound_to_another_place_is_refused(client, machine):
    place = f"/run/netns/{machine.name}-alias"
    open(place, "w").close()
    subprocess.run(["mount", "--bind", machine.path, place], check=True)
    try:
        assert refused(client.attach("evil", place))
    finally:
        subprocess.run(["umount", place], check=True)
        os.unlink(place)


def test_other_things_than_a_netns_are_refused(client, tmp_path):
    regular = tmp_path / "file"
    regular.write_text("x")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    link = tmp_path / "link"
    link.symlink_to(regular)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    paths = {
        str(regular): EINVAL,
        str(fifo): EINVAL,
        str(link): EINVAL,
        str(tmp_path): EINVAL,
        str(tmp_path / "socket"): EINVAL,
        str(loop): 40,  # ELOOP
        str(tmp_path / "missing"): ENOENT,
        "/dev/null": EINVAL,
        "/dev/tty": EINVAL,
        "/dev/zero": EINVAL,
        "/": EINVAL,
        "/proc/self/ns/mnt": EINVAL,
        "/proc/self/ns/user": EINVAL,
        "/proc/self/ns/pid": EINVAL,
        f"/proc/{os.getpid()}/ns/mnt": EINVAL,
        "/proc/999999999/ns/net": ENOENT,
        "/" + "x" * 300: 36,  # ENAMETOOLONG
    }
    for path, error in paths.items():
        reply = client.attach("evil", path)
        assert refused(reply, error), path
        assert path[:100] in reply.text
    listener.close()


@pytest.mark.parametrize("path", ["", "net", "./net", "../proc/1/ns/net", "proc/1/ns/net"])
def test_relative_and_empty_paths_are_refused(client, path):
    refused(client.attach("evil", path), EPROTO)


@pytest.mark.parametrize("path", [b"/run/netns/a\0b", b"/run/\nnetns", b"/run/\x1b[31m", b"/" * 512])
def test_paths_with_hidden_or_control_bytes_are_refused(client, path):
    refused(client.call(ATTACH, id="evil", path=path), EPROTO)


def test_log_stays_one_line_a_request(netd, client):
    client.call(ATTACH, id="evil", path=b"/run/x\n2026 rolegate-netd info: forged")
    client.attach("evil", "/run/no such\\x0a%s%n")
    assert "\n2026 rolegate-netd info: forged" not in netd.log()


# --- messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["", ".", "-x", "a/b", "../x", "a b", "x" * 129, "é", b"a\0b"])
@pytest.mark.parametrize("verb", [ATTACH, DETACH])
def test_bad_ids_are_refused(client, container, verb, id):
    reply = client.call(verb, id=id, path=container.path if verb == ATTACH else "")
    refused(reply, EPROTO, "id")
    assert client.list() == {}


def test_wrong_version_is_told_ours(client):
    reply = client.call(HELLO, version=VERSION + 1)
    refused(reply, EPROTO, "version")
    assert reply.version == VERSION and client.hello().error == 0


@pytest.mark.parametrize("verb", [0, 6, 9, 10, 255, 0x80000000, 0xFFFFFFFF])
def test_unknown_verbs_are_refused(client, verb):
    serial = client.send(verb)
    reply = client.receive()
    assert (reply.error, reply.serial) == (EPROTO, serial)


def test_members_that_a_verb_does_not_have_are_refused(client, container):
    for verb, kwargs in [
        (HELLO, {"id": "a/b"}), (HELLO, {"path": "/x"}), (LIST, {"port": 1}), (LIST, {"id": "x"}),
        (DETACH, {"id": "x", "path": "/x"}), (DETACH, {"id": "x", "mode": 1}),
        (HELLO, {"pad": 1}), (HELLO, {"unused": b"x"}),
        (ATTACH, {"id": "x", "path": container.path, "mode": 2}),
    ]:
        assert client.call(verb, **kwargs).error == EPROTO, (verb, kwargs)


@pytest.mark.parametrize("length", [0, 1, 16, 671, 673, 4096, 100000])
def test_wrong_length_closes_that_connection_only(netd, client, length):
    with netd.client() as other:
        other.send_raw(b"\1" * length)
        with pytest.raises((ConnectionError, OSError)):
            other.receive()
    assert client.hello().error == 0


def test_garbage_of_the_right_length_does_no_harm(netd, client, container):
    dice = random.Random(4)
    good = request(ATTACH, 1, id="c1", path=container.path)
    for i in range(400):
        data = bytearray(good)
        if i % 2:
            data = bytearray(dice.randbytes(len(good)))
            data[:8] = struct.pack("=II", VERSION, dice.randrange(0, 8))
        else:
            for _ in range(dice.randrange(1, 4)):
                data[dice.randrange(len(data))] = dice.randrange(256)
            data[8] = 1
        with netd.client() as other:
            other.send_raw(bytes(data))
    client.list()


def test_bridge_mode_wants_a_veth_to_the_host(client, container):
    refused(client.call(ATTACH, id="c1", path=container.path, mode=BRIDGE_MODE), EINVAL, "netns")
    refused(client.call(ATTACH, id="c1", path=container.path, mode=BRIDGE_MODE, mark=1), EPROTO, "netns")
    refused(client.call(ATTACH, id="c1", path="/proc/self/ns/net", mode=BRIDGE_MODE), EINVAL, "netns")
    assert client.list() == {}


def test_listeners_of_another_netns_are_not_adopted_in_bridge_mode(netd, client, machine, container):
    """A peer that could have netd serve a listener of its own would be handed containers' connections."""
    place = {"path": container.path, "netns": container.inode, "mode": BRIDGE_MODE}
    for netns, address, port in ((container, "0.0.0.0", netd.port + 1), (machine, "127.0.0.1", netd.port + 1),
                                 (machine, "0.0.0.0", netd.port)):
        with netns.socket() as listener:
            listener.bind((address, port))
            listener.listen()
            refused(client.adopt("c1", [listener], **place), EINVAL, "fds")
    assert client.list() == {}


def test_another_port_than_the_configured_is_refused(client, container):
    for port in (80, 22, 16924, 65535):
        refused(client.attach("c1", container.path, port=port), EINVAL, "port")
    assert client.attach("c1", container.path, port=16925).error == 0


def test_descriptors_with_other_verbs_are_refused_and_closed(netd, client, container):
    client.hello()
    before = netd.open_fds()
    with open("/dev/null") as null:
        for verb, kwargs in [(HELLO, {}), (LIST, {}), (TAKE, {}), (KEEP, {}), (DETACH, {"id": "c1"}),
                             (ATTACH, {"id": "c1", "path": container.path})]:
            refused(client.call(verb, fds=[null, null], **kwargs), EPROTO, "fds")
        refused(client.adopt("c1", [null, null, null]), EPROTO, "fds")
        refused(client.adopt("c1", []), EPROTO, "fds")
        with netd.client() as other:
            other.send_raw(request(ADOPT, 1, id="c1"), fds=[null] * 10)
            with pytest.raises(OSError):
                other.receive()
    eventually(lambda: netd.open_fds() == before, 2, "no descriptor leaks")
    assert client.list() == {}


# --- ADOPT -----------------------------------------------------------------------------------------


def listener(netns, family=socket.AF_INET, port=16925, host=None, reuseport=False, listen=True):
    sock = netns.socket(family)
    if reuseport:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host or ("::1" if family == socket.AF_INET6 else "127.0.0.1"), port))
    if listen:
        sock.listen()
    return sock


def test_adopt_of_anything_but_our_kind_of_listener_is_refused(netd, client):
    with Netns("c1") as netns, Netns("c2") as second, Netns("c3") as third:
        udp = netns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 16925))
        unix = socket.socket(socket.AF_UNIX)
        file = open("/dev/null")
        good = listener(netns)
        good6 = listener(netns, socket.AF_INET6)
        other6 = listener(second, socket.AF_INET6)
        connected = netns.connect("127.0.0.1", 16925)
        bad = {
            "udp": [udp],
            "unix": [unix],
            "file": [file],
            "other port": [listener(netns, port=16926)],
            "low port": [listener(netns, port=80)],
            "any address": [listener(third, host="0.0.0.0")],
            "other address": [listener(netns, host="127.0.0.2")],
            "not listening": [listener(second, port=0, listen=False)],
            "connected": [connected],
            "only v6": [good6],
            "wrong order": [good6, good],
            "twice the same": [good, good],
            "two netns": [good, other6],
            "second is a file": [good, file],
        }
        client.hello()
        before = netd.open_fds()
        for what, fds in bad.items():
            reply = client.adopt("evil", fds)
            assert (reply.error, reply.field) == (EINVAL, "fds"), (what, reply)
            for fd in fds:
                if fd not in (good, good6, other6, file):
                    fd.close()
        eventually(lambda: netd.open_fds() == before, 2, "no descriptor leaks")
        assert client.list() == {} and ours(netns) == [] and ours(second) == []
        file.close()


def test_adopt_of_reuseport_listener_is_refused(client, container):
    container.run(["ip", "link", "set", "lo", "up"])
    with listener(container, reuseport=True) as sock:
        reply = client.adopt("evil", [sock])
        assert refused(reply, EINVAL, "fds") and "REUSEPORT" in reply.text


def test_adopt_of_listener_in_the_hosts_netns_is_refused(client, machine):
    before = ours(machine)
    with listener(machine) as sock:
        assert refused(client.adopt("evil", [sock]))
    assert ours(machine) == before and client.list() == {}


def test_adopted_listener_hears_lo_alone(client, container):
    """An earlier version's did not: see escape's test of a neighbour on the same link."""
    container.run(["ip", "link", "set", "lo", "up"])
    with listener(container) as sock, listener(container, socket.AF_INET6) as sock6:
        assert client.adopt("c1", [sock, sock6]).error == 0
        so_bindtoifindex, lo = 62, 1
        assert sock.getsockopt(socket.SOL_SOCKET, so_bindtoifindex) == lo


def test_adopt_believes_the_sockets_not_the_path(client, container):
    container.run(["ip", "link", "set", "lo", "up"])
    with listener(container) as sock, Netns("other") as other:
        assert client.adopt("c1", [sock], path=other.path).error == 0
        assert client.list()["c1"].netns == container.inode
        assert ours(other) == [] and len(ours(container)) > 10


# --- peers -----------------------------------------------------------------------------------------


def connect_as(uid, path):
    """Connect, as that user, and say HELLO: "ok", or the name of the exception."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from netd_protocol import Client\n"
        "try:\n    print('ok' if Client(sys.argv[2]).hello().error == 0 else 'error')\n"
        "except Exception as e: print(type(e).__name__)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, os.path.dirname(__file__), path],
        user=uid, group=uid, extra_groups=[], capture_output=True, text=True,
    ).stdout.strip()


def test_only_root_and_the_user_rolegate_are_heard():
    with Netns("second") as second, Netd(second, start=False) as netd:
        os.chmod(netd.directory.name, 0o755)
        netd.wrapper = with_user(netd.directory.name)
        netd.start()
        st = os.stat(netd.socket)
        assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (ROLEGATE_UID, 0, 0o660)
        assert connect_as(ROLEGATE_UID, netd.socket) == "ok"
        assert connect_as(1000, netd.socket) == "PermissionError"
        os.chmod(netd.socket, 0o666)  # as if the file's mode were no hindrance
        for _ in range(30):
            assert connect_as(1000, netd.socket) in ("ConnectionError", "ConnectionResetError",
                                                     "BrokenPipeError")
        assert "refused a connection of uid 1000" in netd.log()
        assert netd.log().count("refused a connection") < 5
        assert connect_as(ROLEGATE_UID, netd.socket) == "ok"


def test_too_many_connections_are_refused_and_an_upgrade_is_served(netd, client, container):
    client.attach("c1", container.path).close()
    others = [netd.client() for _ in range(3)]
    assert all(other.hello().error == 0 for other in others)
    with netd.client() as fifth, pytest.raises(OSError):
        fifth.hello()
    assert set(others[0].list()) == {"c1"}
    for other in others:
        other.close()
    eventually(lambda: served(netd), 2, "room for a new connection")


def served(netd):
    try:
        with netd.client() as client:
            return client.hello().error == 0
    except OSError:
        return False


def test_peer_that_does_not_read_stalls_itself_only(netd, client, container):
    client.attach("c1", container.path).close()
    with netd.client() as lazy:
        lazy.sock.setblocking(False)
        sent = 0
        with pytest.raises(BlockingIOError):
            while sent < 100000:
                lazy.send(LIST if sent % 2 else HELLO)
                sent += 1
        assert client.hello().error == 0
        assert set(client.list()) == {"c1"}
        lazy.sock.setblocking(True)
        lazy.sock.settimeout(10)
        answers = 0
        while answers < sent // 2:
            reply = lazy.receive()
            answers += reply.verb == HELLO
            reply.close()


def test_flood_of_requests_is_queued_and_others_are_served(netd, client, container):
    with netd.client() as flood:
        done = threading.Event()

        def pour():
            for i in range(3000):
                flood.send(DETACH, id=f"x{i}")
            for i in range(40):
                flood.send(ATTACH, id="c1", path=container.path)
                flood.send(DETACH, id="c1")
            done.set()

        thread = threading.Thread(target=pour)
        thread.start()
        for _ in range(3080):
            reply = flood.receive()
            assert reply.error == 0
            reply.close()
        thread.join()
    assert client.hello().error == 0


def test_peer_that_leaves_in_the_middle_of_an_attach(netd, client, container):
    for _ in range(10):
        with netd.client() as other:
            other.send(ATTACH, id="c1", path=container.path)
    eventually(lambda: client.detach("c1").error == 0 and ours(container) == [], 5, "no leftover")


def test_worker_that_hangs_is_killed_and_cleaned_up_after(machine, tmp_path):
    """As on a peer's path in a file system that never answers; here it is iptables that does not."""
    flag = tmp_path / "hang"
    real = tmp_path / "xtables"
    fake = tmp_path / "fake"
    shutil.copy("/usr/sbin/xtables-nft-multi", real)
    fake.write_text(
        f'#!/bin/bash\nwhile [ -e {flag} ]; do sleep 0.1; done\nexec -a "$0" {real} "$@"\n'
    )
    fake.chmod(0o755)
    wrapper = ["sh", "-c", f'mount --bind {fake} /usr/sbin/xtables-nft-multi && exec "$@"', "sh"]
    with Netns("c1", lo=False) as c1, Netd(machine, wrapper=wrapper) as netd:
        with netd.client(timeout=40) as client:
            flag.touch()
            start = time.monotonic()
            serial = client.send(ATTACH, id="c1", path=c1.path)
            assert client.hello().error == 0 and client.list() == {}
            threading.Timer(16, flag.unlink).start()
            reply = client.wait(serial)
            assert reply.error == 110, reply  # ETIMEDOUT
            assert 14 < time.monotonic() - start < 25
            assert ours(c1) == []
            assert client.attach("c1", c1.path).error == 0


# --- what netd itself can still do -----------------------------------------------------------------


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_netd_keeps_few_capabilities_and_a_filter(netd):
    have = status(netd.pid)
    allowed = 1 << 21 | 1 << 12 | 1 << 13 | 1 << 19  # SYS_ADMIN NET_ADMIN NET_RAW SYS_PTRACE
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(have[name], 16) == allowed, name
    assert int(have["CapInh"], 16) == int(have["CapAmb"], 16) == 0
    assert have["NoNewPrivs"] == "1"
    if "built with a sanitizer" not in netd.log():
        assert have["Seccomp"] == "2"
    assert have["Umask"] == "0077"


def test_netd_passes_no_descriptor_to_iptables(netd, client, container):
    """All descriptors are close-on-exec."""
    client.attach("c1", container.path)
    for fd in os.listdir(f"/proc/{netd.pid}/fd"):
        if int(fd) < 3:
            continue
        with open(f"/proc/{netd.pid}/fdinfo/{fd}") as f:
            flags = int(next(line for line in f if line.startswith("flags")).split()[1], 8)
        assert flags & os.O_CLOEXEC, os.readlink(f"/proc/{netd.pid}/fd/{fd}")
