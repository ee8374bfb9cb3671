"""Bridge mode: containers whose netns is never entered, known by their veth and their address."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import time

import pytest

from bridged import bridged, make_bridge
from host import ROLE, SLOW, Container, Host, binary, run
from netd_fixtures import WRAPPERS, machine, routed_container, variant  # noqa: F401
from netd_protocol import ATTACH, BRIDGE_MODE, Netd

IMDS = "169.254.169.254"
IMDS6 = "fd00:ec2::254"
PORT = 16926
LIST = "/latest/meta-data/iam/security-credentials/"


@pytest.fixture
def host():
    with Host() as host:
        make_bridge(host)
        yield host


def register(host, name, role="web", **fields):
    return host.register(name, role, intercept="bridge", **fields)


def answered(container, address=IMDS, port=80, source=None, timeout=0.8):
    """Does anybody answer an HTTP request? Nothing at all counts as no; so does a reset."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with container.netns.socket(family) as s:
        s.settimeout(timeout)
        if source:
            s.bind((source, 0))
        try:
            s.connect((address, port))
            s.sendall(b"PUT /latest/api/token HTTP/1.1\r\nHost: x\r\n"
                      b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n")
            return bool(s.recv(10))
        except OSError:
            return False


def traces(host):
    """What of bridge mode is in the host's netns."""
    found = [line for line in host.netns.run(["nft", "list", "ruleset"]).stdout.splitlines()
             if line.startswith("table") and line.split()[2] == "rolegate"]
    for tool in ("iptables-save", "ip6tables-save"):
        found += [line for line in host.netns.run([tool]).stdout.splitlines() if "-A ROLEGATE-BRIDGE" in line]
    found += [line for line in host.netns.run(["ss", "-Hltn"]).stdout.splitlines() if f":{PORT} " in line]
    if fwmark_accept(host) != "0":
        found.append("tcp_fwmark_accept")
    return found


def fwmark_accept(host):
    return host.netns.run(["sysctl", "-n", "net.ipv4.tcp_fwmark_accept"]).stdout.strip()


def test_bridged_and_routed_containers_get_their_own_role(host):
    a, b = bridged(host, "a", 2), bridged(host, "b", 3)
    c, d = host.container("c"), host.container("d")
    other = host.container("other")
    host.register("other", "netns-mode")
    before = {x.name: x.netns.run(["iptables-save"]).stdout for x in (a, b, c, d)}
    for container in (a, b, c, d):
        register(host, container.name, f"team/{container.name}")
    for container in (a, b, c, d):
        assert container.role() == container.name
        for address in (IMDS, IMDS6):
            assert container.get(LIST, address=address)[2] == container.name.encode()
        # Its netns was not touched.
        assert container.netns.run(["iptables-save"]).stdout == before[container.name]
        assert str(16925) not in container.netns.run(["ss", "-ltn"]).stdout
    assert other.role() == "netns-mode"
    issued = {s["access_key_id"]: s["role_arn"] for s in host.fake.sessions()}
    for container in (a, b, c, d):
        assert issued[container.credentials()["AccessKeyId"]] == f"{ROLE}team/{container.name}"
    host.register("a", "team/a", intercept="bridge", expect=200)
    assert host.put("a", "team/a")[0] == 409


def test_the_same_address_on_two_veths(host):
    """Overlapping addresses on two bridges: only the veth tells the containers apart."""
    a = bridged(host, "a", 2)
    run(host.netns, "ip link add br1 type bridge", "ip addr add 10.97.0.1/24 dev br1", "ip link set br1 up")
    b = bridged(host, "b", 2)
    run(host.netns, f"ip link set {b.veth} master br1")
    register(host, "a", "a")
    register(host, "b", "b")
    assert a.role() == "a"
    # The host's one route to 10.97.0.2 is br0's: b's answers must not end up at a.
    assert not answered(b)
    run(host.netns, "ip route del 10.97.0.0/24 dev br0")
    assert b.role() == "b"
    assert not answered(a)


def test_every_container_gets_only_what_its_mode_gives(host):
    a, unregistered = bridged(host, "a", 2), bridged(host, "u", 3)
    routed = host.container("routed")
    assert not answered(a)
    register(host, "a")
    assert answered(a) and not answered(unregistered) and not answered(routed)
    for container in (a, unregistered, routed):
        gateway = container.netns.run(["ip", "route", "show", "default"]).stdout.split()[2]
        for address in (gateway, "10.99.0.2"):
            assert not answered(container, address, PORT), "the listener is for diverted packets alone"
        for port in (81, PORT):
            assert not answered(container, IMDS, port)
        with pytest.raises(OSError):
            container.inside.connect(IMDS, 443, timeout=0.5)
    assert answered(a, "169.254.170.2") or a.request("GET", "/", address="169.254.170.2")[0] in (401, 404, 200)


def test_host_processes_and_other_hosts_do_not_reach_the_listener(host):
    a = bridged(host, "a", 2)
    register(host, "a")

    class On:
        def __init__(self, netns):
            self.netns = netns

    for address in ("127.0.0.1", "10.97.0.1", "10.99.0.2", "::1"):
        assert not answered(On(host.netns), address, PORT)
    assert not answered(On(host.aws), "10.99.0.2", PORT)
    # With the container's mark and address, from the host and from without.
    for netns in (host.netns, host.aws):
        with netns.socket() as s:
            s.settimeout(1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("=I", mark_of(host)))
            s.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT: any source
            s.bind(("10.97.0.2", 0))
            with pytest.raises(OSError):
                s.connect(("10.99.0.2", PORT))
    assert a.role() == "web"


def mark_of(host):
    ruleset = host.netns.run(["nft", "list", "table", "inet", "rolegate"]).stdout
    line = ruleset.split("set doors4 {")[1].split("elements = { ")[1]
    return int(line.split()[0], 16)


def test_addresses_that_were_not_there_when_it_registered(host):
    a, b = bridged(host, "a", 2), bridged(host, "b", 3)
    register(host, "a", "a")
    register(host, "b", "b")
    run(a.netns, f"ip addr add 10.97.0.3/24 dev {a.eth}", f"ip addr add 10.97.0.9/24 dev {a.eth}")
    for source in ("10.97.0.3", "10.97.0.9"):
        assert not answered(a, source=source)
    c = host.container("c")
    register(host, "c", "c")
    run(c.netns, "ip addr add 10.97.0.2/32 dev lo", "ip addr add 10.98.77.2/32 dev lo")
    run(host.netns, "ip route add 10.98.77.2/32 dev " + c.veth)
    for source in ("10.97.0.2", "10.98.77.2"):
        assert not answered(c, source=source)
    assert a.role() == "a" and b.role() == "b" and c.role() == "c"


def ethernet(netns, name):
    return bytes.fromhex(netns.run(["cat", f"/sys/class/net/{name}/address"]).stdout.strip().replace(":", ""))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def tcp_frame(to, source_mac, source, port, flags, seq=1, ack=0, payload=b""):
    """An Ethernet frame with a TCP segment from source:port to the metadata address."""
    addresses = socket.inet_aton(source) + socket.inet_aton(IMDS)
    tcp = struct.pack("!HHIIBBHHH", port, 80, seq, ack, 5 << 4, flags, 65535, 0, 0) + payload
    padded = tcp + b"\0" * (len(tcp) % 2)
    tcp = tcp[:16] + struct.pack("!H", checksum(addresses + struct.pack("!HH", 6, len(tcp)) + padded)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + addresses
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return to + source_mac + b"\x08\x00" + ip + tcp


def packet_socket(container):
    """AF_PACKET on the container's interface, as a workload with CAP_NET_RAW (Docker's default) has it."""
    s = container.netns.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((container.eth, 3))  # ETH_P_ALL
    s.settimeout(0.2)
    return s


def heard(s, what, seconds=1.5):
    """Does a frame with these bytes arrive?"""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            if what(s.recv(65536)):
                return True
    return False


def is_answer(frame):
    return frame[12:14] == b"\x08\x00" and frame[23] == 6 and frame[26:30] == socket.inet_aton(IMDS)


def test_a_forged_source_gets_nothing(host):
    """A neighbour on the bridge sends with the container's address, and with its hardware address, too."""
    a, thief = bridged(host, "a", 2), bridged(host, "thief", 3)
    register(host, "a")
    assert a.role() == "web"
    router = ethernet(host.netns, "br0")
    own, stolen = ethernet(thief.netns, thief.eth), ethernet(a.netns, a.eth)
    with packet_socket(thief) as s, packet_socket(a) as victim:
        for mac in (own, stolen):
            s.send(tcp_frame(router, mac, "10.97.0.2", 40000, 2))
            assert not heard(s, is_answer, 1), "an answer to a forged SYN"
        assert not heard(victim, is_answer, 0.5)
    # And registered itself, with its own role, it still is not the other.
    register(host, "thief", "thief")
    with packet_socket(thief) as s:
        s.send(tcp_frame(router, own, "10.97.0.2", 40001, 2))
        assert not heard(s, is_answer, 1)
    assert thief.role() == "thief"
    assert a.role() == "web"


def test_answers_do_not_follow_a_stolen_address(host):
    """The neighbour takes over the container's place in the host's ARP table and on the bridge."""
    a, thief = bridged(host, "a", 2), bridged(host, "thief", 3)
    register(host, "a")
    token = a.token()
    own, stolen = ethernet(thief.netns, thief.eth), ethernet(a.netns, a.eth)
    request = f"GET {LIST}web HTTP/1.1\r\nHost: x\r\nX-aws-ec2-metadata-token: {token}\r\n\r\n".encode()
    for how in ("arp", "mac"):
        with a.inside.connect() as connection, packet_socket(thief) as s:
            if how == "arp":
                run(host.netns, "ip neigh replace 10.97.0.2 dev br0 nud reachable lladdr "
                    + ":".join(f"{byte:02x}" for byte in own))
            else:
                run(host.netns, f"bridge fdb replace {':'.join(f'{byte:02x}' for byte in stolen)} "
                    f"dev {thief.veth} master static")
            connection.sendall(request)
            assert not heard(s, lambda frame: b"SecretAccessKey" in frame or is_answer(frame), 2), how
        run(host.netns, "ip neigh flush dev br0",
            f"bridge fdb replace {':'.join(f'{byte:02x}' for byte in stolen)} dev {a.veth} master dynamic")
    host.wait(lambda: answered(a), "the container to be served again")


def test_br_netfilter(host):
    """On hosts of Kubernetes and Docker bridged packets pass through iptables, too."""
    a, thief = bridged(host, "a", 2), bridged(host, "thief", 3)
    run(host.netns, "ip link set br0 type bridge nf_call_iptables 1 nf_call_ip6tables 1")
    register(host, "a")
    assert a.role() == "web" and a.get(LIST, address=IMDS6)[0] == 200
    assert not answered(thief)
    with packet_socket(thief) as s:
        s.send(tcp_frame(ethernet(host.netns, "br0"), ethernet(a.netns, a.eth), "10.97.0.2", 40000, 2))
        assert not heard(s, is_answer, 1)


def test_a_veth_that_is_used_again_inherits_nothing(host):
    a = bridged(host, "a", 2)
    register(host, "a")
    assert a.role() == "web"
    name = a.veth
    connection = a.inside.connect()
    # Another container at once: the same name of the veth, the same address, the same bridge.
    next_one = Container(host, "next", 0, address="10.97.0.2", connected=False)
    host.containers["next"] = next_one
    script = f"""
        link del {name}
        link add {name} type veth peer name eth0 netns {next_one.netns.name}
        link set {name} master br0
        link set {name} up
    """
    host.netns.run(["ip", "-batch", "-"], input=script)
    run(next_one.netns, "ip addr add 10.97.0.2/24 dev eth0", "ip link set eth0 up",
        "ip route add default via 10.97.0.1")
    host.wait(lambda: "state forwarding" in host.netns.run(["bridge", "link", "show", "dev", name]).stdout, "the port")
    assert not answered(next_one)
    host.wait(lambda: host.show("a") is None, "the registration to end with its veth")
    assert not answered(next_one)
    connection.close()
    register(host, "next", "next")
    assert next_one.role() == "next"


def test_a_veth_moved_out_of_the_host_ends_the_registration(host):
    a = host.container("a")
    register(host, "a")
    assert a.role() == "web"
    run(host.netns, f"ip link set {a.veth} netns {host.aws.name}")
    host.wait(lambda: host.show("a") is None, "the registration to end with its veth")
    host.wait(lambda: not traces(host), "everything to be gone")


def test_the_container_flushes_what_it_can(host):
    a = bridged(host, "a", 2)
    register(host, "a")
    for command in ("iptables -t nat -F", "iptables -F", "iptables -t raw -F", "nft flush ruleset",
                    "ip neigh flush all", f"tc qdisc replace dev {a.eth} root pfifo"):
        run(a.netns, command)
    run(a.netns, f"ip link set {a.eth} down", f"ip link set {a.eth} address 02:00:00:00:00:77",
        f"ip link set {a.eth} up", "ip route replace default via 10.97.0.1")
    host.wait(lambda: answered(a), "the answer to its new hardware address")
    assert a.role() == "web"
    run(a.netns, "ip route replace 169.254.169.254 via 10.97.0.1 src 10.97.0.2")
    assert a.role() == "web"


def test_somebody_flushes_the_hosts_rules(host):
    a = bridged(host, "a", 2)
    thief = bridged(host, "thief", 3)
    register(host, "a")
    # Whatever somebody takes out, the thief never sees even the real service ...
    for command in ("nft delete table inet rolegate", "nft delete table bridge rolegate",
                    "nft flush set inet rolegate doors4", "iptables -t raw -F ROLEGATE-BRIDGE"):
        run(host.netns, command)
        assert not answered(thief), command
        host.wait(lambda: answered(a), command, 20)
        assert a.role() == "web" and not answered(thief)
    # ... unless it is everything: then for the seconds until netd sees it.
    intact = traces(host)
    run(host.netns, "nft flush ruleset")
    host.wait(lambda: traces(host) == intact, "the rules to be back", 20)
    host.wait(lambda: answered(a), "a to be answered", 20)
    assert a.role() == "web" and not answered(thief)
    # Everything of ours gone, and the mark with it: nobody is anybody.
    run(host.netns, "sysctl -qw net.ipv4.tcp_fwmark_accept=0")
    assert not answered(a)


def test_unregistering_takes_everything_away(host):
    before = host.netns.run(["iptables-save"]).stdout.count("ROLEGATE")
    assert not traces(host)
    a, b = bridged(host, "a", 2), host.container("b")
    register(host, "a", "a")
    register(host, "b", "b")
    assert len(traces(host)) > 5 and fwmark_accept(host) == "1"
    mark = mark_of(host)
    token = a.token()
    connection = a.inside.connect()
    host.unregister("a")
    connection.settimeout(2)
    try:
        assert connection.recv(10) == b"", "a connection outlived its registration"
    except (TimeoutError, ConnectionResetError):
        pass
    assert not answered(a) and b.role() == "b"
    ruleset = host.netns.run(["nft", "list", "ruleset"]).stdout
    assert "10.97.0.2" not in ruleset and b.address in ruleset
    host.unregister("b")
    assert not traces(host), "nothing of bridge mode is left"
    assert host.netns.run(["iptables-save"]).stdout.count("ROLEGATE") == before
    assert not answered(a) and not answered(b)
    register(host, "a", "again")
    assert mark_of(host) != mark, "a mark is not used again soon"
    assert a.get(LIST, token)[0] == 401 and a.role() == "again"


def test_cycles_leave_nothing(host):
    a, b = bridged(host, "a", 2), bridged(host, "b", 3)
    register(host, "b", "b")
    fds = lambda: [len(os.listdir(f"/proc/{pid}/fd")) for pid in (host.netd_pid(), host.daemon_pid())]
    register(host, "a")
    host.unregister("a")
    before = fds()
    for i in range(30):
        register(host, "a", f"role-{i}")
        assert a.role() == f"role-{i}"
        host.unregister("a")
    assert all(abs(x - y) <= 2 for x, y in zip(before, fds()))
    assert b.role() == "b"


def test_many_at_once(host):
    """Registrations share the rules' rewriting; none gets lost."""
    containers = [bridged(host, f"c{i}", 10 + i) for i in range(24)]
    started = [subprocess.Popen(
        ["curl", "-sS", "--unix-socket", host.control_socket, "-X", "PUT", "-o", "/dev/null", "-w", "%{http_code}",
         "-d", f'{{"role_arn":"{ROLE}r-{c.name}","netns":"{c.netns.path}","intercept":"bridge","wait_s":60}}',
         f"http://x/v1/containers/{c.name}"], stdout=subprocess.PIPE, text=True) for c in containers]
    assert [p.communicate(timeout=60 * SLOW)[0] for p in started] == ["201"] * len(containers)
    assert [c.role() for c in containers] == [f"r-{c.name}" for c in containers]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_rolegated_keeps_every_container(host, number):
    a, b = bridged(host, "a", 2), host.container("b")
    register(host, "a", "a")
    register(host, "b", "b")
    token = a.token()
    host.daemon.stop(number)
    waiting = a.inside.connect()  # accepted by the kernel: netd holds the listener
    host.start_daemon()
    host.wait(lambda: all((host.show(n) or {}).get("state") == "ready" for n in "ab"), "both to be ready")
    status, _, body = a.inside.request("GET", LIST, {"X-aws-ec2-metadata-token": token}, sock=waiting)
    assert (status, body) == (200, b"a"), "tokens and waiting connections survive"
    assert b.role() == "b"
    host.unregister("a")
    host.unregister("b")
    assert not traces(host)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_netd_keeps_every_container(host, number):
    a, b, gone = bridged(host, "a", 2), host.container("b"), bridged(host, "gone", 3)
    for c in (a, b, gone):
        register(host, c.name, c.name)
    host.netd.stop(number)
    assert a.role() == "a" and b.role() == "b", "the rules stay"
    gone.close()
    late = bridged(host, "late", 4)
    host.netd.start()
    status, answer = host.put("late", "late", intercept="bridge", wait_s=30)
    assert status == 201, answer
    for c in (a, b, late):
        host.wait(lambda: answered(c), f"{c.name} to be served again")
        assert c.role() == c.name
    host.wait(lambda: host.show("gone") is None, "the dead one to be dropped")
    for c in (a, b, late):
        host.unregister(c.name)
    host.wait(lambda: not [t for t in traces(host) if t != "tcp_fwmark_accept"], "everything to be gone")


def test_a_restart_of_both_rebuilds(host):
    a, gone = bridged(host, "a", 2), bridged(host, "gone", 3)
    register(host, "a", "a")
    register(host, "gone", "gone")
    host.daemon.stop(signal.SIGKILL)
    host.netd.stop(signal.SIGKILL)
    gone.close()
    host.start()
    host.wait(lambda: (host.show("a") or {}).get("state") == "ready", "a to be ready")
    host.wait(lambda: host.show("gone") is None, "the dead one to be dropped")
    assert a.role() == "a"


def test_the_listener_is_destroyed(host):
    a, b = bridged(host, "a", 2), bridged(host, "b", 3)
    register(host, "a", "a")
    register(host, "b", "b")
    run(host.netns, f"ss -K -ltn sport = :{PORT}")
    for c in (a, b):
        host.wait(lambda: answered(c), "the listeners to be made anew")
        assert c.role() == c.name


def test_clear_errors(host):
    host.container("none", connected=False)
    status, answer = host.put("none", intercept="bridge")
    assert status == 422 and answer["error"]["field"] == "netns" and "no veth" in answer["error"]["message"]
    bare = bridged(host, "bare", 2)
    run(bare.netns, f"ip addr flush dev {bare.eth}")
    status, answer = host.put("bare", intercept="bridge")
    assert status == 422 and "no address" in answer["error"]["message"]
    a = bridged(host, "a", 4)
    for i in range(10, 20):
        run(a.netns, f"ip addr add 10.97.1.{i}/24 dev {a.eth}")
    status, answer = host.put("a", intercept="bridge")
    assert status == 422 and "more than 8 addresses" in answer["error"]["message"]
    run(a.netns, f"ip addr flush dev {a.eth}", f"ip addr add 10.97.0.4/24 dev {a.eth}",
        "ip route add default via 10.97.0.1")
    with host.netns.socket() as taken:
        taken.bind(("0.0.0.0", PORT))
        taken.listen()
        status, answer = host.put("a", intercept="bridge")
        assert status == 500 and "port 16926" in answer["error"]["message"]
    assert not traces(host)
    register(host, "a")
    assert a.role() == "web"


def test_doctor_knows_bridge_mode(host):
    a = bridged(host, "a", 2)
    other = host.container("other")
    host.register("other")
    register(host, "a")
    assert host.show("a")["intercept"] == "bridge"
    assert {c["id"]: c["intercept"] for c in host.api("GET", "/v1/containers")[1]["containers"]} == {
        "a": "bridge", "other": "netns"}

    def checks(name):
        command = [binary("rolegate"), "--config", host.config, "--json", "doctor"]
        found = json.loads(host.netns.run(command, check=False).stdout)["checks"]
        return [(one["level"], one["text"]) for one in found if one["check"] == name]

    assert [level for level, _ in checks("rules")] == ["ok", "ok"]
    assert [level for level, _ in checks("container")] == ["ok"], checks("container")
    # Somebody else's DNAT that is quicker than ours leads a past rolegate: that must show.
    run(host.netns, "ip addr add 10.97.0.77/32 dev lo", "nft add table ip evil",
        "nft add chain ip evil pre { type nat hook prerouting priority -150 ; }",
        "nft add rule ip evil pre ip daddr 169.254.169.254 tcp dport 80 dnat to 10.97.0.77:80")
    with host.netns.socket() as impostor:
        impostor.bind(("10.97.0.77", 80))
        impostor.listen()
        assert "fail" in [level for level, _ in checks("container")]
    assert not answered(a)


def test_hop_limit_of_the_token(host):
    a = bridged(host, "a", 2)
    register(host, "a", hop_limit=1)
    with packet_socket(a) as s:
        a.token()
        assert heard(s, lambda frame: b"HTTP/1.1 200" in frame and frame[22] == 1)


def test_netd_alone_with_either_iptables(machine, variant):  # noqa: F811
    with routed_container(machine) as container, Netd(machine, wrapper=WRAPPERS[variant]) as netd, \
            netd.client() as client:
        reply = client.call(ATTACH, id="c1", path=container.path, mode=BRIDGE_MODE)
        assert reply.error == 0, reply
        assert (reply.mode, reply.port, len(reply.sockets)) == (BRIDGE_MODE, netd.port + 1, 2)
        assert set(reply.sources) == {"10.77.0.2", "fd77::2"}
        assert reply.mark and reply.mark & ~0xff001f7f == 0
        assert client.list()["c1"].mark == reply.mark
        for address, listener in zip((IMDS, IMDS6), reply.sockets):
            with container.connect(address, 80):
                listener.settimeout(5)
                accepted, peer = listener.accept()
                with accepted:
                    mark = struct.unpack("=I", accepted.getsockopt(socket.SOL_SOCKET, socket.SO_MARK, 4))[0]
                    assert (mark, peer[0] in reply.sources) == (reply.mark, True)
        again = client.call(ATTACH, id="c1", path=container.path, mode=BRIDGE_MODE)
        assert (again.error, again.mark) == (0, reply.mark)
        again.close()
        # Neither a second owner nor a second mode.
        assert client.call(ATTACH, id="c2", path=container.path, mode=BRIDGE_MODE).field == "netns"
        assert client.attach("c1", container.path).field == "id"
        assert client.attach("c2", container.path).field == "netns"
        reply.close()
        assert client.detach("c1").error == 0
        assert "ROLEGATE-BRIDGE -p" not in machine.run([f"iptables-{variant}-save"]).stdout
        assert "rolegate" not in machine.run(["nft", "list", "tables"]).stdout
