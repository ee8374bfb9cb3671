"""How a hostile container gets the host's credentials, or another container's: it does not."""

import socket
import struct
import time

import pytest
from host import Host
from netns import veth

HOST_MARKERS = (b"ASIAHOST", b"HOSTSECRET", b"HOSTTOKEN", b"HOSTUSERDATA", b"HOSTSIGNATURE")
CREDENTIALS = "/latest/meta-data/iam/security-credentials/"


@pytest.fixture(scope="module")
def pair():
    """Two registered containers, and one that is not."""
    with Host() as host:
        host.container("a")
        host.container("b")
        host.container("stranger")
        host.register("a", "web")
        host.register("b", "batch")
        yield host


def leaks(body):
    return [marker for marker in HOST_MARKERS if marker in body]


def test_the_way_out_exists_without_rolegate():
    """The test bed is honest: before netd has set its rules, a container reaches the host's credentials."""
    host = Host()
    try:
        c = host.container("c")
        assert leaks(c.get(CREDENTIALS + "host-role")[2])
    finally:
        host.stop()


PATHS = [
    CREDENTIALS + "batch",
    CREDENTIALS + "host-role",
    CREDENTIALS + "web/host-role",
    CREDENTIALS + "host-role/",
    CREDENTIALS + "web/../host-role",
    CREDENTIALS + "web/../batch",
    CREDENTIALS + "WEB",
    CREDENTIALS + "eb",
    CREDENTIALS + "web%0A",
    CREDENTIALS + "web%00",
    CREDENTIALS + "web%0d%0a",
    CREDENTIALS + "host-role/%0A",
    CREDENTIALS + "%68ost-role",
    "/latest/meta-data/IAM/security-credentials/host-role",
    "/latest/meta-data/iam//security-credentials//host-role",
    "/latest/./meta-data/./iam/security-credentials/host-role",
    "//latest/meta-data/iam/security-credentials/host-role",
    "/latest/meta-data/x/../iam/security-credentials/host-role",
    "/latest/meta-data/%2e%2e/meta-data/iam/security-credentials/host-role",
    "/latest/meta-data/%252e%252e/iam/security-credentials/host-role",
    "/latest/meta-data/iam%2fsecurity-credentials%2fhost-role",
    "/latest/meta-data/iam\\security-credentials\\host-role",
    "/latest/meta-data/iam/security-credentials-extended/host-role",
    "/2012-01-12/meta-data/iam/security-credentials/host-role",
    "/1.0/meta-data/iam/security-credentials/host-role",
    "/9999-01-01/meta-data/iam/security-credentials/host-role",
    "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    "/latest/meta-data/identity-credentials/ec2/info",
    "/latest/user-data",
    "/latest/dynamic/instance-identity/pkcs7",
    "/latest/dynamic/instance-identity/signature",
    "/latest/dynamic/instance-identity/rsa2048",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/host-role",
    CREDENTIALS + "web?role=host-role",
    CREDENTIALS + "web;host-role",
    CREDENTIALS + "web/host-role?/../batch",
]


@pytest.mark.parametrize("path", PATHS)
def test_odd_paths(pair, path):
    """Nothing but this container's own credentials, and never by another's name."""
    a = pair.containers["a"]
    own = a.credentials()["AccessKeyId"].encode()
    batch = pair.show("b")["access_key_id"].encode()
    status, _, body = a.get(path)
    assert not leaks(body) and batch not in body
    if own in body:
        assert status == 200 and path.startswith(CREDENTIALS + "web?"), path
    elif status == 200:
        assert body == b"web" or b"Code" not in body


def test_the_upstream_never_heard_of_it(pair):
    """Nothing a container sent is forwarded: the fake IMDS saw rolegated's own requests alone."""
    a = pair.containers["a"]
    pair.prefetched()
    pair.fake.clear()
    for path in PATHS:
        a.get(path, headers={"X-Probe": "container"})
    assert pair.fake.requests("imds") == []


@pytest.mark.parametrize("version", ["latest", "1.0", "2009-04-04", "2016-09-02", "2021-03-23"])
def test_tokens_are_required_on_every_version(pair, version):
    a = pair.containers["a"]
    for path in ("", "/", "/meta-data/iam/security-credentials/", "/meta-data/iam/security-credentials/web"):
        assert a.request("GET", f"/{version}{path}")[0] == 401
        assert a.request("GET", f"/{version}{path}", {"X-aws-ec2-metadata-token": "A" * 56})[0] == 401


def test_a_token_belongs_to_its_container(pair):
    token = pair.containers["b"].token()
    assert pair.containers["b"].get(CREDENTIALS, token)[0] == 200
    assert pair.containers["a"].get(CREDENTIALS, token)[0] == 401


def test_forwarded_requests_are_refused(pair):
    a = pair.containers["a"]
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    for value in ("10.0.0.1", ""):
        assert a.request("PUT", "/latest/api/token", {**ttl, "X-Forwarded-For": value})[0] == 403
        assert a.get(CREDENTIALS, headers={"X-Forwarded-For": value})[0] == 403
    for name in ("evil.example.com", "127.0.0.1", "localhost", "169.254.169.254.evil.example.com",
                 "169.254.169.254:8080", "[::1]"):
        assert a.get(CREDENTIALS, headers={"Host": name})[0] == 403
    for name in ("169.254.169.254", "169.254.169.254:80", "[fd00:ec2::254]", "fd00:ec2::254", "[FD00:EC2:0::254]:80"):
        assert a.get(CREDENTIALS, headers={"Host": name})[0] == 200


def unreachable(container, address, port=80, timeout=0.6):
    try:
        with container.inside.connect(address, port, timeout) as s:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            s.settimeout(timeout)
            answer = s.recv(4096)
    except OSError:
        return True
    return not answer


def test_other_ports_and_addresses(pair):
    a = pair.containers["a"]
    for port in (8080, 443, 81, 16926):
        assert unreachable(a, "169.254.169.254", port)
    for address in ("169.254.170.2", "169.254.170.23", "fd00:ec2::23"):
        try:
            status, _, body = a.request("GET", CREDENTIALS + "host-role", address=address, timeout=1)
            assert status != 200 and not leaks(body)
        except OSError:
            pass


def test_octal_and_other_spellings_are_the_same_address(pair):
    a = pair.containers["a"]
    for spelling in ("0251.0376.0251.0376", "0xa9fea9fe", "2852039166", "169.254.43518"):
        with a.netns.entered():
            address = socket.inet_ntoa(socket.inet_aton(spelling))
        assert a.get(CREDENTIALS, address=address)[2] == b"web"
    assert not leaks(a.get(CREDENTIALS + "host-role", a.token(), address="::ffff:169.254.169.254")[2])


def test_a_stranger_reaches_nothing(pair):
    stranger = pair.containers["stranger"]
    for address in ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"):
        assert unreachable(stranger, address)
    # Nor another container's listener.
    for address in (pair.containers["a"].address, "10.98.1.1", "10.99.0.2"):
        assert unreachable(stranger, address, 16925)


def test_flushing_the_own_rules_and_adding_routes_does_not_help(host):
    c = host.container("c")
    host.register("c")
    eth0 = c.netns.run(["sh", "-c", "ip -o link | grep -o 've[0-9]*a'"]).stdout.strip()
    for tool in ("iptables", "ip6tables"):
        for table in ("nat", "filter", "mangle", "raw"):
            c.netns.run([tool, "-t", table, "-F"])
            c.netns.run([tool, "-t", table, "-X"], check=False)
    for route in ("169.254.169.254", "169.254.170.2"):
        c.netns.run(["ip", "route", "del", route], check=False)
        c.netns.run(["ip", "route", "add", route, "via", "10.98.1.1", "dev", eth0])
    c.netns.run(["ip", "-6", "route", "del", "fd00:ec2::254"], check=False)
    c.netns.run(["ip", "-6", "route", "add", "fd00:ec2::254", "via", "fd98:1::1"])
    for address in ("169.254.169.254", "169.254.170.2", "fd00:ec2::254"):
        assert unreachable(c, address)
    host.daemon.stop()
    host.netd.stop()
    for address in ("169.254.169.254", "fd00:ec2::254"):
        assert unreachable(c, address), "the host's rules must outlive the daemons"


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(source, destination, sport, dport):
    src, dst = socket.inet_aton(source), socket.inet_aton(destination)
    tcp = struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 5 << 4, 2, 64240, 0, 0)
    pseudo = src + dst + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, src, dst)
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp


def test_a_packet_socket_reaches_nothing(host):
    """CAP_NET_RAW builds frames past the netns's own rules; the host drops them."""
    c = host.container("c")
    host.register("c")
    eth0 = c.netns.run(["sh", "-c", "ip -o link | grep -o 've[0-9]*a'"]).stdout.strip()
    mac = host.netns.run(["sh", "-c", f"ip -o link show {c.veth} | sed 's/.*ether //; s/ .*//'"]).stdout.strip()
    with c.netns.entered():
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    packet.bind((eth0, 0x0800))
    packet.settimeout(0.5)

    def answered():
        own = c.netns.run(["sh", "-c", f"ip -o link show {eth0} | sed 's/.*ether //; s/ .*//'"]).stdout.strip()
        frame = bytes.fromhex((mac + own).replace(":", "")) + b"\x08\x00"
        packet.send(frame + syn(c.address, "169.254.169.254", 40000, 80))
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            try:
                data, address = packet.recvfrom(2048)
            except TimeoutError:
                return False
            if address[2] != socket.PACKET_OUTGOING and data[26:30] == socket.inet_aton("169.254.169.254"):
                return True
        return False

    assert not answered()
    # The probe is able to see an answer: take the host's rules away and it comes.
    host.netd.stop()
    for table in ("raw", "filter"):
        host.netns.run(["iptables", "-t", table, "-F"])
    assert answered()


def test_a_neighbour_on_the_same_link_cannot_speak_by_loopback(host):
    """With route_localnet, which kube-proxy and the ECS agent set on hosts and every new netns inherits, a
    netns takes packets to 127.0.0.1 from the wire: who shares a bridge with it would be it."""
    victim, neighbour = host.container("victim"), host.container("neighbour")
    near, far = veth(neighbour.netns, victim.netns, "10.97.0.1/24", "10.97.0.2/24", default_route=False)
    victim.netns.run(["sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"])
    host.register("victim")

    def address_of(netns, link):
        text = netns.run(["ip", "-o", "link", "show", link]).stdout
        return bytes.fromhex(text.split("link/ether ")[1].split()[0].replace(":", ""))

    frame = address_of(victim.netns, far) + address_of(neighbour.netns, near) + b"\x08\x00"
    # So that the answer finds its way without ARP, which the neighbour could answer just as well.
    victim.netns.run(["ip", "neigh", "replace", "10.97.0.1", "dev", far, "lladdr",
                      address_of(neighbour.netns, near).hex(":")])
    with neighbour.netns.entered():
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    packet.bind((near, 0x0800))
    packet.settimeout(0.2)

    def answered(port):
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            packet.send(frame + syn("10.97.0.1", "127.0.0.1", 40000 + port % 1000, port))
            try:
                data, address = packet.recvfrom(2048)
            except TimeoutError:
                continue
            if address[2] == socket.PACKET_OUTGOING or data[26:30] != socket.inet_aton("127.0.0.1"):
                continue
            if data[34:36] == struct.pack("!H", port):
                return data[47] & 0x12 == 0x12  # SYN and ACK
        return False

    # The probe is able to see an answer.
    with victim.netns.entered():
        plain = socket.create_server(("127.0.0.1", 16999))
    with plain, packet:
        assert answered(16999)
        assert not answered(16925)
    assert victim.role() == "web"


def test_a_connection_from_before_is_cut_off():
    host = Host()
    try:
        c = host.container("c")
        before = c.inside.connect()  # to the real thing: nothing stands yet
        host.start()
        host.register("c")
        before.settimeout(1)
        with pytest.raises(OSError):
            before.sendall(b"GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
            assert before.recv(100) == b"", "still connected to the host's metadata service"
            raise ConnectionResetError
        assert c.role() == "web"
    finally:
        host.stop()


def test_the_hosts_own_netns_is_refused(pair):
    host = pair
    for path in (host.netns.path, f"/proc/{host.daemon.process.pid}/ns/net", "/proc/1/ns/net",
                 "/proc/self/ns/net", "/etc/passwd", "/proc/1/ns/mnt", "/run/nothing-here"):
        status, answer = host.put("evil", netns=path)
        assert status == 422 and answer["error"]["field"] == "netns", (path, status, answer)
    assert host.show("evil") is None
    rules = host.netns.run(["iptables-save", "-t", "nat"]).stdout
    assert "REDIRECT" not in rules


def test_a_netns_has_one_identity(pair):
    status, answer = pair.put("second", "batch", netns=pair.containers["a"].netns.path)
    assert status == 409 and pair.show("second") is None
    assert pair.containers["a"].role() == "web"
