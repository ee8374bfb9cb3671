"""rolegate-netd's rules in the host's netns: containers reach no metadata but by redirection."""

import socket
import subprocess
import time

import pytest

from netd_fixtures import *  # noqa: F403
from netd_protocol import Netd
from netns import Netns, veth

HOOKS = {("raw", "PREROUTING"), ("filter", "FORWARD"), ("filter", "OUTPUT")}


@pytest.fixture
def upstream(machine):
    """Where the real metadata would answer: behind the machine, as on EC2. Yields its netns."""
    with Netns("upstream") as netns:
        veth(machine, netns, "10.66.0.1/24", "10.66.0.2/24")
        veth(machine, netns, "fd66::1/64", "fd66::2/64")
        netns.run(["ip", "route", "add", "10.77.0.0/24", "via", "10.66.0.1"])
        netns.run(["ip", "-6", "route", "add", "fd77::/64", "via", "fd66::1"])
        servers = []
        for address in METADATA:
            netns.run(["ip", "addr", "add", address, "dev", "lo"])
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            server = netns.socket(family)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                server.setsockopt(41, 78, 1)  # IPV6_FREEBIND: the address may be tentative
            server.bind((address, 80))
            server.listen()
            servers.append(server)
        yield netns
        for server in servers:
            server.close()


def connects(netns, address, timeout=0.4):
    try:
        netns.connect(address, 80, timeout=timeout).close()
        return True
    except OSError:
        return False


def jumps(netns, variant, family=4):
    """{(table, chain): the chain's rules}, of those chains that we jump from."""
    found = {}
    for table in ("raw", "filter"):
        for line in save(netns, variant, family, table):
            words = line.split()
            if words and words[0] == "-A" and (table, words[1]) in HOOKS:
                found.setdefault((table, words[1]), []).append(line)
    return found


def test_container_reaches_no_metadata_around_the_redirection(machine, upstream, variant):
    with routed_container(machine) as container:
        for address in METADATA:
            eventually(lambda: connects(container, address), 5, "no test without it")
        with Netd(machine, wrapper=WRAPPERS[variant]) as netd, netd.client() as client:
            assert not any(connects(container, address) for address in METADATA)
            reply = client.attach("c1", container.path)
            assert all(reaches(container, address, reply.sockets) for address in METADATA)
            # The container may be root in its netns.
            for program in (f"iptables-{variant}", f"ip6tables-{variant}"):
                container.run([program, "-t", "nat", "-F"])
                container.run([program, "-F"])
            assert not any(connects(container, address) for address in METADATA)
            # The host itself is not kept out by default.
            assert all(connects(machine, address) for address in METADATA)
        assert netd.stop() is None  # stopped
        assert not any(connects(container, address) for address in METADATA)


def test_dnat_of_others_is_not_quicker(machine, upstream, netd):
    with routed_container(machine) as container:
        machine.run(["iptables", "-t", "nat", "-I", "PREROUTING", "-d", "169.254.169.254",
                     "-p", "tcp", "-j", "DNAT", "--to-destination", "10.66.0.2:80"])
        machine.run(["iptables", "-I", "FORWARD", "-j", "ACCEPT"])
        assert not connects(container, "169.254.169.254")


def test_container_on_a_bridge_is_dropped_too(machine, upstream, netd):
    machine.run(["ip", "link", "add", "br0", "type", "bridge"])
    machine.run(["ip", "addr", "add", "10.77.0.1/24", "dev", "br0"])
    machine.run(["ip", "link", "set", "br0", "up"])
    machine.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    with Netns("bridged") as container:
        _, port = veth(container, machine, "10.77.0.3/24", None)
        machine.run(["ip", "link", "set", port, "master", "br0"])
        container.run(["ip", "route", "add", "default", "via", "10.77.0.1"])
        eventually(lambda: connects_to_upstream(container), 5, "the bridge forwards")
        assert not connects(container, "169.254.169.254")


def connects_to_upstream(container):
    try:
        container.connect("10.66.0.2", 9, timeout=0.5)
    except ConnectionRefusedError:
        return True  # by upstream itself
    except OSError:
        return False


def test_rules_come_first_beside_dockers_and_kube_proxys(machine, variant):
    others = (
        "*raw\n-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP\nCOMMIT\n"
        "*filter\n:DOCKER-USER - [0:0]\n:KUBE-FORWARD - [0:0]\n"
        "-A FORWARD -j KUBE-FORWARD\n-A FORWARD -j DOCKER-USER\n"
        "-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
        "-A DOCKER-USER -j RETURN\nCOMMIT\n"
    )
    machine.run([f"iptables-{variant}-restore"], input=others)
    before = [line for line in save(machine, variant) if line.startswith("-A")]
    with Netd(machine, wrapper=WRAPPERS[variant]):
        for lines in jumps(machine, variant).values():
            assert "ROLEGATE" in lines[0]
        after = [line for line in save(machine, variant) if line.startswith("-A")]
        assert [line for line in after if "ROLEGATE" not in line] == before


def test_rules_are_not_doubled_by_restarts_and_crashes(machine, variant):
    with Netd(machine, wrapper=WRAPPERS[variant]) as netd:
        first = {family: save(machine, variant, family, "raw")[1:-1] for family in (4, 6)}
        first_jumps = jumps(machine, variant), jumps(machine, variant, 6)
        for how in (15, 9, 2, 9):
            netd.stop(how)
            assert jumps(machine, variant)[("raw", "PREROUTING")], "they stay"
            netd.start()
            assert (jumps(machine, variant), jumps(machine, variant, 6)) == first_jumps
        assert {f: save(machine, variant, f, "raw")[1:-1] for f in (4, 6)} == first


BREAKAGES = [
    ["iptables-{}", "-t", "raw", "-F"],
    ["iptables-{}", "-t", "raw", "-D", "PREROUTING", "-j", "ROLEGATE-PREROUTING"],
    ["iptables-{}", "-t", "raw", "-F", "ROLEGATE-PREROUTING"],
    ["iptables-{}", "-D", "FORWARD", "1"],
    ["iptables-{}", "-I", "ROLEGATE-FORWARD", "-j", "ACCEPT"],
    ["ip6tables-{}", "-t", "raw", "-F"],
    ["ip6tables-{}", "-F"],
]


def test_removed_rules_are_back_within_five_seconds(machine, variant):
    with Netd(machine, wrapper=WRAPPERS[variant]) as netd:
        intact = jumps(machine, variant), jumps(machine, variant, 6), ours(machine, variant)
        now = lambda: (jumps(machine, variant), jumps(machine, variant, 6), ours(machine, variant))
        for i, breakage in enumerate(BREAKAGES):
            machine.run([word.format(variant) for word in breakage])
            assert now() != intact
            took = eventually(lambda: now() == intact, 5, breakage)
            print(f"{' '.join(breakage)}: {took:.1f} s")
            assert netd.log().count("putting them back") == i + 1
        assert "IPv4" in netd.log() and "IPv6" in netd.log()


def test_flushed_rules_are_back_at_once_where_nftables_tells(machine, netd):
    """As a restart of nftables.service does it; every moment without them is a way to the host's metadata."""
    intact = ours(machine, "nft")
    for i in range(4):
        machine.run(["nft", "flush", "ruleset"])
        eventually(lambda: ours(machine, "nft") == intact, 2, "the rules are back")
        assert netd.log().count("putting them back") == i + 1


def test_overtaken_rules_come_first_again_but_without_a_fight(machine, netd):
    for _ in range(2):
        machine.run(["iptables", "-I", "FORWARD", "-j", "ACCEPT"])
        machine.run(["iptables", "-t", "raw", "-I", "PREROUTING", "-i", "lo", "-j", "ACCEPT"])
        if netd.log().count("putting them back") == 0:
            eventually(lambda: "ROLEGATE" in jumps(machine, "nft")[("filter", "FORWARD")][0], 5, "")
            assert "ROLEGATE" in jumps(machine, "nft")[("raw", "PREROUTING")][0]
    with pytest.raises(AssertionError):
        eventually(lambda: netd.log().count("putting them back") > 1, 5, "a second time so soon")
    # What is missing is put back at once, all the same.
    machine.run(["iptables", "-D", "FORWARD", "-j", "ROLEGATE-FORWARD"])
    eventually(lambda: "ROLEGATE" in jumps(machine, "nft")[("filter", "FORWARD")][0], 5, "")


def test_idle_netd_runs_no_iptables_where_nftables_counts_changes(machine, netd):
    time.sleep(5)  # the first checks: 3 s after its own changes netd looks once more
    start = children_time(netd.pid)
    time.sleep(6)
    assert children_time(netd.pid) == start


def children_time(pid):
    """How many children netd has waited for shows in minor faults (field 11) and times."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return fields[8], fields[13], fields[14]


def connects_as(machine, uid, address):
    """A connection from the host's netns by that user."""
    code = f"import socket; socket.create_connection(({address!r}, 80), 2)"
    return machine.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                        "/usr/bin/python3", "-c", code], check=False).returncode == 0


PROTECT = "[intercept]\nprotect_host = yes\n"


def write_protect(netd, on):
    netd.write_config()
    with open(netd.config_path) as f:
        text = f.read()
    with open(netd.config_path, "w") as f:
        f.write(text.replace("[intercept]\n", PROTECT if on else "[intercept]\n"))


def test_protect_host_leaves_the_metadata_to_the_user_rolegate(machine, upstream, variant):
    with Netd(machine, start=False) as netd:
        over = [*WRAPPERS[variant], *with_user(netd.directory.name)]
        netd.wrapper = over
        write_protect(netd, True)
        netd.start()
        for address in (METADATA[0], METADATA[3]):
            assert connects_as(machine, ROLEGATE_UID, address)
            assert not connects_as(machine, 0, address)
            assert not connects_as(machine, 1000, address)
        # Turned off and on again by SIGHUP.
        write_protect(netd, False)
        netd.process.send_signal(1)
        eventually(lambda: connects_as(machine, 1000, METADATA[0]), 3, "off")
        assert connects_as(machine, 0, METADATA[3])
        write_protect(netd, True)
        netd.process.send_signal(1)
        eventually(lambda: not connects_as(machine, 1000, METADATA[0]), 3, "on")
        assert connects_as(machine, ROLEGATE_UID, METADATA[0])


def test_protect_host_without_such_a_user_leaves_it_to_root(machine, upstream):
    with Netd(machine, start=False) as netd:
        netd.wrapper = with_user(netd.directory.name, there=False)
        write_protect(netd, True)
        netd.start()
        assert connects_as(machine, 0, METADATA[0])
        assert not connects_as(machine, 1000, METADATA[0])


def test_no_start_without_host_rules(machine):
    """Fail closed: what cannot protect the host does not serve."""
    with Netd(machine, start=False) as netd:
        netd.wrapper = ["sh", "-c", 'mount --bind /bin/false /usr/sbin/xtables-nft-multi && exec "$@"',
                        "sh"]
        assert netd.spawn().wait(timeout=10) == 1
        assert "cannot start: ip" in netd.log() and "failed with status 1" in netd.log()
        with pytest.raises(OSError):
            netd.client()
        netd.wrapper = ["sh", "-c", 'mount -t tmpfs none /usr/sbin && exec "$@"', "sh"]
        assert netd.spawn().wait(timeout=10) == 1
        assert "install iptables" in netd.log()
