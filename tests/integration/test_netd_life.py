"""rolegate-netd's own life and that of its containers: start, reload, restart, crash, dead netns."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import time

import pytest

from netd_fixtures import *  # noqa: F403
from netd_protocol import ATTACH, NETD, Netd, request
from netns import Netns, veth


def take_over(reply):
    """What rolegated keeps of an attach."""
    return list(reply.sockets)


# --- restart and ADOPT -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_connections_wait_in_the_backlog_while_netd_is_replaced(machine, container, variant, how):
    with Netd(machine, wrapper=WRAPPERS[variant]) as netd:
        with netd.client() as client:
            listeners = take_over(client.attach("c1", container.path))
        rules_before = ours(container, variant)
        netd.stop(how)
        assert ours(container, variant) == rules_before
        waiting = container.connect("169.254.169.254", 80)
        netd.start()
        with netd.client() as client:
            assert client.list() == {}
            assert client.adopt("c1", listeners, path=container.path).error == 0
            assert client.list()["c1"].netns == container.inode
            assert ours(container, variant) == rules_before, "no rule twice"
            accepted, _ = listeners[0].accept()
            accepted.close(), waiting.close()
            assert all(reaches(container, address, listeners) for address in METADATA)
            # netd holds them now: rolegated may go.
            for listener in listeners:
                listener.close()
            with container.connect("169.254.169.254", 80):
                pass
            assert client.detach("c1").error == 0
        assert ours(container, variant) == []


def test_adopt_puts_back_what_the_container_has_lost(netd, container):
    with netd.client() as client:
        listeners = take_over(client.attach("c1", container.path))
    netd.stop(signal.SIGKILL)
    for family in ("iptables", "ip6tables"):
        container.run([family, "-t", "nat", "-F"])
        container.run([family, "-D", "OUTPUT", "1"])
    container.run(["ip", "route", "flush", "proto", "169"])
    netd.start()
    with netd.client() as client:
        assert client.adopt("c1", listeners).error == 0
        assert all(reaches(container, address, listeners) for address in METADATA)
        jumps = [line for line in ours(container) if line == "-A OUTPUT -j ROLEGATE"]
        assert len(jumps) == 4


def test_adopt_again_and_conflicting_adopts(client, container):
    listeners = take_over(client.attach("c1", container.path))
    assert client.adopt("c1", listeners).error == 0
    reply = client.adopt("c2", listeners)
    assert (reply.error, reply.field) == (17, "netns")
    with Netns("other") as other:
        moved = take_over(client.attach("c3", other.path))
        client.detach("c3")
        reply = client.adopt("c1", moved)
        assert (reply.error, reply.field) == (16, "id")


def test_adopt_of_the_v4_listener_alone(netd, container):
    with netd.client() as client:
        listeners = take_over(client.attach("c1", container.path))
    netd.stop(signal.SIGKILL)
    netd.start()
    with netd.client() as client:
        assert client.adopt("c1", listeners[:1]).error == 0
        assert client.list()["c1"].n_fds == 1


def test_attachments_outlive_rolegated_and_are_listed_to_the_next(netd, container):
    with netd.client() as client:
        client.attach("c1", container.path).close()
    with container.connect("169.254.169.254", 80) as waiting, netd.client() as client:
        listed = client.list()["c1"]
        accepted, _ = listed.sockets[0].accept()
        with accepted:
            waiting.sendall(b"x")
            assert accepted.recv(1) == b"x"
        # An upgrade: the old rolegated is still there.
        with netd.client() as old:
            assert set(old.list()) == {"c1"}


def test_both_gone_attach_builds_anew(machine, container, variant):
    with Netd(machine, wrapper=WRAPPERS[variant]) as netd:
        with netd.client() as client:
            client.attach("c1", container.path).close()
        before = ours(container, variant)
        netd.stop(signal.SIGKILL)
        netd.start()
        with netd.client() as client:
            reply = client.attach("c1", container.path)
            assert reply.error == 0 and ours(container, variant) == before
            assert reaches(container, "169.254.169.254", reply.sockets)


# --- dead netns ------------------------------------------------------------------------------------


def freed(witness):
    """A veth's end dies with the netns of its peer."""
    return lambda: witness.run(["ip", "-o", "link", "show", "type", "veth"]).stdout == ""


def test_deleted_netns_is_told_gone_and_freed_within_five_seconds(netd, client):
    with Netns("witness") as witness, Netns("c1") as c1:
        veth(c1, witness, "10.79.0.1/24", None)
        client.hello()
        before = netd.open_fds()
        client.attach("c1", c1.path).close()
        with netd.client() as second:
            second.hello()
            start = time.monotonic()
            c1.close()
            client.wait_gone("c1", 5)
            second.wait_gone("c1", 1)
        eventually(freed(witness), 5 - (time.monotonic() - start), "freed")
        assert client.list() == {}
        eventually(lambda: netd.open_fds() == before, 1, "no descriptor stays")


def test_process_that_ends_takes_its_netns_along(netd, client):
    """A netns without a mount: as runc makes it. By /proc/PID/ns/net."""
    process = subprocess.Popen(["unshare", "-n", "sleep", "60"])
    path = f"/proc/{process.pid}/ns/net"
    eventually(lambda: os.stat(path).st_ino != os.stat("/proc/self/ns/net").st_ino, 3, "unshared")
    assert client.attach("c1", path).error == 0
    time.sleep(3)
    assert client.gone == [] and set(client.list()) == {"c1"}
    process.kill()
    process.wait()
    client.wait_gone("c1", 5)


def test_netns_lives_while_any_process_or_mount_does(netd, client):
    first = subprocess.Popen(["unshare", "-n", "sleep", "60"])
    path = f"/proc/{first.pid}/ns/net"
    eventually(lambda: os.stat(path).st_ino != os.stat("/proc/self/ns/net").st_ino, 3, "unshared")
    second = subprocess.Popen(["nsenter", f"--net={path}", "sleep", "60"])
    eventually(lambda: os.stat(f"/proc/{second.pid}/ns/net").st_ino == os.stat(path).st_ino, 3, "in")
    mount = f"/run/netns/rg{os.getpid()}-by hand"
    open(mount, "w").close()
    subprocess.run(["mount", "--bind", path, mount], check=True)
    try:
        assert client.attach("c1", path).error == 0
        for process in (first, second):
            process.kill()
            process.wait()
            time.sleep(2.8)  # netd looks every 2 s
            assert client.list()["c1"].error == 0 and client.gone == []
    finally:
        subprocess.run(["umount", mount], check=True)
        os.unlink(mount)
    client.wait_gone("c1", 5)


def test_netns_that_a_descriptor_holds_lives_as_long(netd):
    """Registered by /proc/PID/fd/N, as some container managers do: no process is in it, no mount leads to it."""
    with Netns("c1") as c1:
        holder = os.open(c1.path, os.O_RDONLY)
    path = f"/proc/{os.getpid()}/fd/{holder}"
    with netd.client() as client:
        listeners = take_over(client.attach("c1", path))
        time.sleep(2.8)  # netd looks every 2 s
        assert set(client.list()) == {"c1"} and client.gone == []
    netd.stop(signal.SIGKILL)
    netd.start()
    with netd.client() as client:
        assert client.adopt("c1", listeners, path=path).error == 0
        time.sleep(2.8)  # netd looks every 2 s
        assert set(client.list()) == {"c1"} and client.gone == []
        os.close(holder)
        client.wait_gone("c1", 5)


def test_adopted_without_a_path_is_noticed_too(netd):
    process = subprocess.Popen(["unshare", "-n", "sleep", "60"])
    path = f"/proc/{process.pid}/ns/net"
    eventually(lambda: os.stat(path).st_ino != os.stat("/proc/self/ns/net").st_ino, 3, "unshared")
    with netd.client() as client:
        listeners = take_over(client.attach("c1", path))
    netd.stop(signal.SIGKILL)
    netd.start()
    with netd.client() as client:
        assert client.adopt("c1", listeners).error == 0
        time.sleep(3)
        assert set(client.list()) == {"c1"}
        process.kill()
        process.wait()
        client.wait_gone("c1", 5)


def test_detach_of_a_dead_netns_just_lets_go(netd, client):
    c1 = Netns("c1")
    client.attach("c1", c1.path).close()
    c1.close()
    start = time.monotonic()
    assert client.detach("c1").error == 0
    assert time.monotonic() - start < 1
    assert client.list() == {}


def voluntary_switches(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(l for l in f if l.startswith("voluntary")).split()[1])


def test_without_attachments_only_the_host_rules_wake_netd(netd):
    time.sleep(3)
    start = voluntary_switches(netd.pid)
    time.sleep(7)
    assert voluntary_switches(netd.pid) - start <= 3


# --- start, signals --------------------------------------------------------------------------------


def run_netd(*arguments):
    return subprocess.run([NETD, *arguments], capture_output=True, text=True, timeout=20)


def test_command_line(tmp_path):
    assert run_netd("--version").stdout.startswith("rolegate-netd 0.")
    assert "--config FILE" in run_netd("--help").stdout
    assert run_netd("--nonsense").returncode == 2
    assert run_netd("extra").returncode == 2
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("[netd]\nsocket = /run/x.sock\n")
    bad.write_text("[netd]\nsocked = /run/x.sock\n")
    assert run_netd("--check", "--config", str(good)).returncode == 0
    result = run_netd("--check", "--config", str(bad))
    assert result.returncode == 1 and f"{bad}:2: socked" in result.stderr
    result = run_netd("--config", str(tmp_path / "missing"))
    assert result.returncode == 1 and "missing" in result.stderr


@pytest.mark.parametrize("capability", ["sys_admin", "net_admin", "sys_ptrace", "net_raw"])
def test_missing_capability_is_named(machine, capability):
    with Netd(machine, start=False) as netd:
        netd.wrapper = ["setpriv", f"--bounding-set=-{capability}"]
        assert netd.spawn().wait(timeout=10) == 1
        assert f"CAP_{capability.upper()}" in netd.log()
        assert ours(machine) == []


def test_start_without_root_says_what_is_missing(machine):
    with Netd(machine, start=False) as netd:
        os.chmod(netd.directory.name, 0o755)
        netd.wrapper = ["setpriv", "--reuid=1000", "--clear-groups", "--bounding-set=-all"]
        assert netd.spawn().wait(timeout=10) == 1
        assert "as root" in netd.log()


@pytest.mark.parametrize("uid", [0, ROLEGATE_UID])
def test_socket_is_its_users_alone(machine, uid):
    with Netd(machine, start=False) as netd:
        netd.wrapper = with_user(netd.directory.name, there=uid != 0)
        netd.start()
        st = os.stat(netd.socket)
        assert stat.S_ISSOCK(st.st_mode) and st.st_mode & 0o777 == 0o660 and (st.st_uid, st.st_gid) == (uid, 0)
        assert os.stat(os.path.dirname(netd.socket)).st_mode & 0o777 == 0o755


def test_second_netd_does_not_start_and_does_no_harm(netd, client, machine, container):
    client.attach("c1", container.path).close()
    result = machine.run([NETD, "--config", netd.config_path], check=False)
    assert result.returncode == 1 and "another rolegate-netd is listening" in result.stderr
    assert set(client.list()) == {"c1"}
    with netd.client() as other:
        assert other.hello().error == 0


def test_what_is_no_socket_in_its_place_stays(machine):
    with Netd(machine, start=False) as netd:
        os.mkdir(os.path.dirname(netd.socket))
        with open(netd.socket, "w") as f:
            f.write("precious")
        assert netd.spawn().wait(timeout=10) == 1
        assert "in the way" in netd.log() and open(netd.socket).read() == "precious"


def test_service_manager_is_told(machine):
    with Netd(machine, start=False) as netd:
        path = os.path.join(netd.directory.name, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(10)
            netd.start(env={**os.environ, "NOTIFY_SOCKET": path})
            assert manager.recv(100) == b"READY=1"
            netd.process.send_signal(signal.SIGHUP)
            assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(100) == b"READY=1"
            assert netd.stop() == 0
            assert manager.recv(100) == b"STOPPING=1"


def test_watchdog_hears_from_netd_and_from_no_one_elses(machine):
    for pid, heard in ((None, True), ("1", False)):
        with Netd(machine, start=False) as netd:
            path = os.path.join(netd.directory.name, "notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(path)
                manager.settimeout(10 if heard else 1)
                netd.start(env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000",
                                **({"WATCHDOG_PID": pid} if pid else {})})
                assert manager.recv(100) == b"READY=1"
                if not heard:
                    with pytest.raises(TimeoutError):
                        manager.recv(100)
                    continue
                for _ in range(3):
                    assert manager.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stop_leaves_all_rules(machine, container, netd, how):
    with netd.client() as client:
        client.attach("c1", container.path).close()
    before = ours(machine), ours(container)
    assert netd.stop(how) == 0
    assert (ours(machine), ours(container)) == before
    with pytest.raises(ConnectionRefusedError):
        container.connect("169.254.169.254", 80)
    netd.start()


def test_bad_configuration_on_reload_leaves_the_old_one(netd, client, container):
    netd.write_config("nonsense = 1\n")
    netd.process.send_signal(signal.SIGHUP)
    eventually(lambda: "the old configuration stays in force" in netd.log(), 3, "told")
    assert "nonsense" in netd.log()
    assert client.attach("c1", container.path).error == 0


def test_new_port_is_for_new_attachments(netd, client, container):
    client.attach("c1", container.path).close()
    netd.port = 17100
    netd.write_config()
    netd.process.send_signal(signal.SIGHUP)
    eventually(lambda: client.hello().port == 17100, 3, "reloaded")
    with Netns("c2") as other:
        reply = client.attach("c2", other.path)
        assert reply.port == 17100 and reaches(other, "169.254.169.254", reply.sockets)
        listed = client.list()
        assert listed["c1"].port == 16925 and listed["c2"].port == 17100
        assert reaches(container, "169.254.169.254", listed["c1"].sockets)


def test_too_many_containers_for_the_descriptor_limit(machine):
    """Further ones are refused; the others are served, and can be detached."""
    with Netd(machine, wrapper=["prlimit", "--nofile=110:110"]) as netd, netd.client() as client:
        netnses = [Netns(f"n{i}") for i in range(12)]
        try:
            errors = []
            for i, netns in enumerate(netnses):
                reply = client.attach(f"n{i}", netns.path)
                errors.append(reply.error)
                assert reply.error == 0 or "LimitNOFILE" in reply.text
                reply.close()
            assert errors == [0] * 8 + [24] * 4  # EMFILE
            serials = [client.send(5, id=f"n{i}") for i in range(12)]
            assert all(client.wait(serial).error == 0 for serial in serials)
            assert client.list() == {}
            assert client.attach("n11", netnses[11].path).error == 0
        finally:
            for netns in netnses:
                netns.close()


def test_attach_whose_rolegated_died_is_undone(netd, container):
    """Nobody knows of it: kept, it would hold the netns for ever."""
    dying = netd.client()
    dying.sock.send(request(ATTACH, 7, "c", container.path))
    dying.sock.close()
    with contextlib.closing(netd.client()) as client:
        deadline = time.monotonic() + 15
        while True:
            reply = client.attach("another", container.path)
            if reply.error == 0:
                break
            assert time.monotonic() < deadline, reply
            time.sleep(0.1)
        reply.close()
