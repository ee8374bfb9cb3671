"""rolegate-netd: attaching, listing and detaching containers."""

import os
import socket
import subprocess

import pytest

from netd_fixtures import *  # noqa: F403
from netd_protocol import VERSION, Netd, rules
from netns import Netns, veth


def test_hello_tells_version_port_and_host_netns(client, machine):
    reply = client.hello()
    assert (reply.error, reply.version, reply.port) == (0, VERSION, 16925)
    assert reply.netns == machine.inode


def test_attach_returns_listeners_on_loopback_in_the_netns(client, container):
    reply = client.attach("c1", container.path)
    assert reply.error == 0, reply.text
    assert reply.netns == container.inode and reply.id == "c1" and reply.port == 16925
    v4, v6 = reply.sockets
    assert v4.getsockname() == ("127.0.0.1", 16925)
    assert v6.getsockname()[:2] == ("::1", 16925)
    for listener in reply.sockets:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", 16925), timeout=1)


@pytest.mark.parametrize("address", METADATA)  # noqa: F405
def test_netns_without_any_route_reaches_the_listener(client, container, address):
    reply = client.attach("c1", container.path)
    assert reaches(container, address, reply.sockets)


@pytest.mark.parametrize("address", METADATA)
def test_netns_with_default_route_reaches_the_listener(client, machine, address):
    with routed_container(machine) as container:
        reply = client.attach("c1", container.path)
        assert "proto 169" not in "\n".join(ours(container)), "no route was needed"
        assert reaches(container, address, reply.sockets)


def test_attach_and_detach_with_either_iptables_leave_nothing(machine, container, variant):
    with Netd(machine, wrapper=WRAPPERS[variant]) as netd, netd.client() as client:
        for _ in range(3):
            reply = client.attach("c1", container.path)
            assert reply.error == 0, reply.text
            assert all(reaches(container, address, reply.sockets) for address in METADATA)
            assert len(ours(container, variant)) > 10
            reply.close()
            assert client.detach("c1").error == 0
            assert ours(container, variant) == []


@pytest.mark.parametrize("address", METADATA)
def test_what_is_not_redirected_is_rejected_in_the_netns(client, machine, address):
    with routed_container(machine) as container:
        client.attach("c1", container.path)
        for port in (81, 443, 16925, 51679):
            with pytest.raises(ConnectionRefusedError):
                container.connect(address, port, timeout=2)
        udp = container.socket(
            socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM
        )
        with udp:
            udp.settimeout(2)
            udp.connect((address, 80))
            with pytest.raises((ConnectionRefusedError, PermissionError)):
                udp.send(b"x")
                udp.recv(1)


def test_rules_come_before_dockers_and_leave_them_alone(machine, container, variant):
    restore = f"iptables-{variant}-restore"
    docker = (
        "*nat\n:DOCKER_OUTPUT - [0:0]\n"
        "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT\n"
        "-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 "
        "-j DNAT --to-destination 127.0.0.11:40001\nCOMMIT\n"
    )
    container.run([restore], input=docker)
    before = [line for line in save(container, variant, 4, "nat") if line.startswith("-A")]
    with Netd(machine, wrapper=WRAPPERS[variant]) as netd, netd.client() as client:
        reply = client.attach("c1", container.path)
        jumps = [line for line in save(container, variant, 4, "nat") if "-A OUTPUT" in line]
        assert jumps == ["-A OUTPUT -j ROLEGATE", "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT"]
        assert reaches(container, "169.254.169.254", reply.sockets)
        client.detach("c1")
    assert [line for line in save(container, variant, 4, "nat") if line.startswith("-A")] == before


def test_leftover_rules_are_replaced_not_doubled(machine, container, variant):
    with Netd(machine, wrapper=WRAPPERS[variant]) as netd:
        with netd.client() as client:
            client.attach("c1", container.path).close()
        first = ours(container, variant)
        netd.stop(9)
    # Another port, and somebody has doubled our jump.
    container.run([f"iptables-{variant}", "-t", "nat", "-A", "OUTPUT", "-j", "ROLEGATE"])
    with Netd(machine, wrapper=WRAPPERS[variant], port=17000) as netd, netd.client() as client:
        reply = client.attach("c1", container.path)
        assert reply.error == 0, reply.text
        expected = [line.replace("16925", "17000") for line in first]
        assert sorted(ours(container, variant)) == sorted(expected)
        assert reaches(container, "169.254.169.254", reply.sockets)


def test_attaching_again_returns_the_same_listeners(client, container):
    first = client.attach("c1", container.path)
    again = client.attach("c1", container.path)
    assert again.error == 0 and again.netns == first.netns
    inodes = [[os.fstat(s.fileno()).st_ino for s in reply.sockets] for reply in (first, again)]
    assert inodes[0] == inodes[1]
    assert rules(container).count("-A OUTPUT -j ROLEGATE") == 2  # nat and filter


def test_one_netns_under_two_ids_is_refused(client, container):
    client.attach("c1", container.path)
    reply = client.attach("c2", container.path)
    assert (reply.error, reply.field) == (17, "netns")  # EEXIST
    assert "c1" in reply.text


def test_one_id_with_two_netns_is_refused(client, container):
    client.attach("c1", container.path)
    with Netns("other") as other:
        reply = client.attach("c1", other.path)
        assert (reply.error, reply.field) == (16, "id")  # EBUSY
        assert ours(other) == []


def test_two_ids_racing_for_one_netns_one_wins(client, container):
    serials = [client.send(3, id=f"c{i}", path=container.path) for i in range(6)]
    errors = sorted(client.wait(serial).error for serial in serials)
    assert errors == [0, 17, 17, 17, 17, 17]
    assert len(client.list()) == 1


def test_taken_port_is_reported_and_everything_rolled_back(client, container):
    container.run(["ip", "link", "set", "lo", "up"])
    with container.socket() as workload:
        workload.bind(("0.0.0.0", 16925))
        workload.listen()
        container.run(["ip", "link", "set", "lo", "down"])
        reply = client.attach("c1", container.path)
        assert (reply.error, reply.field) == (98, "netns")  # EADDRINUSE
        assert "16925" in reply.text
    assert ours(container) == []
    assert "UP" not in container.run(["ip", "-o", "link", "show", "lo"]).stdout.split("<")[1]
    assert client.attach("c1", container.path).error == 0


def test_failing_iptables_is_told_in_its_own_words_and_rolled_back(machine, container):
    broken = 'mount --bind /bin/false /usr/sbin/xtables-nft-multi && exec "$@"'
    with Netd(machine) as netd:
        netd.stop()
    with Netd(machine, wrapper=["unshare", "-m"]) as netd, netd.client() as client:
        subprocess.run(
            ["nsenter", "-m", "-t", str(netd.pid), "sh", "-c", broken, "sh", "true"], check=True
        )
        reply = client.attach("c1", container.path)
        assert reply.error == 5 and "iptables" in reply.text, reply
        assert ours(container) == []
        with container.socket() as probe:
            probe.bind(("127.0.0.1", 16925))


def test_connections_made_before_the_rules_are_ended(client, machine):
    with routed_container(machine) as container:
        machine.run(["ip", "addr", "add", "169.254.169.254/32", "dev", "lo"])
        machine.run(["iptables", "-t", "raw", "-F"])  # so that there is something to end
        with machine.socket() as imds:
            imds.bind(("169.254.169.254", 80))
            imds.listen()
            early = container.connect("169.254.169.254", 80)
            accepted, _ = imds.accept()
            with early, accepted:
                assert client.attach("c1", container.path).error == 0
                with pytest.raises(OSError):
                    early.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    early.settimeout(3)
                    if early.recv(1) == b"":
                        raise ConnectionResetError
                accepted.settimeout(0.3)
                with pytest.raises(OSError):
                    if accepted.recv(100) == b"":
                        raise ConnectionResetError


def test_ipv6_disabled_now_and_enabled_later(client, container):
    container.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"])
    reply = client.attach("c1", container.path)
    assert reply.error == 0 and reply.n_fds == 2, reply.text
    assert reaches(container, "169.254.169.254", reply.sockets)
    container.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0"])
    container.run(["ip", "-6", "route", "add", "fd00:ec2::254/128", "dev", "lo"])
    assert reaches(container, "fd00:ec2::254", reply.sockets)
    assert client.detach("c1").error == 0


def test_owners_blackhole_route_stays(client, container):
    container.run(["ip", "link", "set", "lo", "up"])
    container.run(["ip", "route", "add", "blackhole", "169.254.169.254"])
    reply = client.attach("c1", container.path)
    assert reply.error == 0
    assert not reaches(container, "169.254.169.254", reply.sockets)
    assert reaches(container, "169.254.170.2", reply.sockets)
    client.detach("c1")
    assert "blackhole" in container.run(["ip", "route"]).stdout


def test_list_tells_all_attachments_with_their_listeners(client):
    netnses = {f"c{i}": Netns(f"c{i}") for i in range(5)}
    try:
        assert client.list() == {}
        for id, netns in netnses.items():
            client.attach(id, netns.path).close()
        listed = client.list()
        assert set(listed) == set(netnses)
        for id, netns in netnses.items():
            assert listed[id].netns == netns.inode and listed[id].port == 16925
            assert reaches(netns, "169.254.169.254", listed[id].sockets)
    finally:
        for netns in netnses.values():
            netns.close()


def test_detach_of_unknown_id_and_twice_are_no_errors(client, container):
    assert client.detach("nobody").error == 0
    client.attach("c1", container.path).close()
    assert client.detach("c1").error == 0
    assert client.detach("c1").error == 0
    assert client.list() == {}


def test_requests_for_one_id_run_in_order(client, container):
    serials = []
    for _ in range(10):
        serials.append(client.send(3, id="c1", path=container.path))
        serials.append(client.send(5, id="c1"))
    for serial in serials:
        reply = client.wait(serial)
        assert reply.error == 0, reply.text
        reply.close()
    assert client.list() == {} and ours(container) == []


def test_detached_netns_is_not_pinned(client):
    # An interface dies with its netns, and takes its peer in another netns along: so that tells.
    with Netns("witness") as witness, Netns("c1") as netns:
        veth(netns, witness, "10.78.0.1/24", None)
        reply = client.attach("c1", netns.path)
        assert reply.error == 0
        reply.close()
        assert client.detach("c1").error == 0
        netns.close()
        gone = lambda: witness.run(["ip", "-o", "link", "show", "type", "veth"]).stdout == ""
        eventually(gone, 2, "the netns is freed")


@pytest.mark.parametrize("unshare", [["unshare", "-n"], ["unshare", "-Urn"]], ids=["root", "rootless"])
def test_netns_of_another_users_process(machine, variant, unshare):
    """By pid, as a runtime names it; rootless in a user namespace of its own."""
    drop = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]
    command = [*unshare, *drop] if unshare == ["unshare", "-n"] else [*drop, *unshare]
    process = subprocess.Popen([*command, "sleep", "60"])
    path = f"/proc/{process.pid}/ns/net"
    name = f"/proc/{process.pid}/comm"
    try:
        eventually(lambda: open(name).read() == "sleep\n", 3, "started")
        with Netd(machine, wrapper=WRAPPERS[variant]) as netd, netd.client() as client:
            reply = client.attach("c1", path)
            assert reply.error == 0, reply.text
            code = "import socket; socket.create_connection(('169.254.169.254', 80), 2)"
            enter = ["nsenter", f"--net={path}", "/usr/bin/python3", "-c", code]
            assert subprocess.run(enter).returncode == 0
            assert client.detach("c1").error == 0
    finally:
        process.kill()
        process.wait()


def test_two_hundred_cycles_leak_neither_descriptors_nor_rules(netd, client, container):
    client.attach("c1", container.path).close()
    client.detach("c1")
    client.hello()
    before = netd.open_fds()
    for _ in range(200):
        reply = client.attach("c1", container.path)
        assert reply.error == 0, reply.text
        reply.close()
        assert client.detach("c1").error == 0
    eventually(lambda: netd.open_fds() == before, 2, "no descriptor leaks")
    assert ours(container) == []
    children = f"/proc/{netd.pid}/task/{netd.pid}/children"
    eventually(lambda: open(children).read() == "", 3, "no child is left")


def test_a_hundred_containers_at_once(netd, client):
    netnses = [Netns(f"c{i}", lo=False) for i in range(100)]
    try:
        serials = [client.send(3, id=f"c{i}", path=n.path) for i, n in enumerate(netnses)]
        for serial in serials:
            reply = client.wait(serial)
            assert reply.error == 0, reply.text
            reply.close()
        assert len(client.list()) == 100
        serials = [client.send(5, id=f"c{i}") for i in range(100)]
        assert all(client.wait(serial).error == 0 for serial in serials)
        assert all(ours(netns) == [] for netns in netnses[::10])
    finally:
        for netns in netnses:
            netns.close()


