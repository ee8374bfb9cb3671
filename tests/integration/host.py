"""A whole test host: the fake AWS upstream, the host itself with both daemons, and containers.

    aws netns                         host netns                      container netns
    169.254.169.254 (fake IMDS)       rolegate-netd, rolegated        eth0 -> host
    fd00:ec2::254                     forwards, as a container
    10.99.0.1:8000 (fake STS)  <----- host does               <-----

The host forwards, and the fake AWS has a route back to every container: without rolegate's rules a
container reaches the host's credentials. So a test that finds it cannot has shown something.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from fake_aws.client import FakeAWS
from inside import Inside
from netns import Netns, veth

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ROLEGATE_BUILD", ROOT / "build"))
WRAPPER = os.environ.get("ROLEGATE_WRAPPER", "").split()  # valgrind, say, around rolegated
SLOW = 10 if WRAPPER else 1  # how much longer things may take under it
ROLE = "arn:aws:iam::123456789012:role/"
IMDS = "169.254.169.254"
ALLOW_ALL = {"version": 1, "rules": [{"name": "all", "roles": ["arn:aws:iam::123456789012:role/*"]}]}


def binary(name):
    return str(BUILD / "src" / name / name)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Daemon:
    """One daemon process, its log kept in a file."""

    def __init__(self, name, netns, config, log):
        self.name, self.netns, self.config, self.log = name, netns, config, log
        self.process = None
        self.prefix = []  # a command that runs it: prlimit, say

    def start(self, **environ):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.netns, *self.prefix,
                 *(WRAPPER if self.name == "rolegated" else []),
                 binary(self.name), "--config", self.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | environ)
        return self

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return None
        self.process.send_signal(number)
        code = self.process.wait(timeout=30 * SLOW)
        self.process = None
        return code

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def text(self):
        return pathlib.Path(self.log).read_text(errors="replace")


def run(netns, *commands):
    for command in commands:
        netns.run(command.split())


class Container:
    """A network namespace that looks like a container's, and a client inside it."""

    def __init__(self, host, name, index, address=None, connected=True):
        self.host, self.name = host, name
        self.address = address or f"10.98.{index}.2"
        self.netns = Netns(name)
        self.inside = Inside(self.netns)
        self.veth = None
        if connected:
            self._connect(index)

    def _connect(self, index):
        eth0, self.veth = veth(self.netns, self.host.netns, f"{self.address}/32", None)
        # Two containers may have the same address: only the netns tells them apart.
        run(self.host.netns,
            f"ip addr add 10.98.{index}.1/32 dev {self.veth}",
            f"ip addr add fd98:{index}::1/64 dev {self.veth} nodad",
            f"ip route replace {self.address}/32 dev {self.veth}")
        run(self.netns,
            f"ip addr add fd98:{index}::2/64 dev {eth0} nodad",
            f"ip route add 10.98.{index}.1 dev {eth0}",
            f"ip route add default via 10.98.{index}.1",
            f"ip -6 route add default via fd98:{index}::1")

    def close(self):
        self.netns.close()

    # What a workload does

    def request(self, method, path, headers=None, address=IMDS, **kwargs):
        """One request on a connection of its own: (status, headers, body)."""
        return self.inside.request(method, path, headers or {}, address=address, **kwargs)

    def token(self, ttl=21600, address=IMDS):
        status, _, body = self.request("PUT", "/latest/api/token",
                                       {"X-aws-ec2-metadata-token-ttl-seconds": str(ttl)}, address)
        assert status == 200, (status, body)
        return body.decode()

    def get(self, path, token=None, address=IMDS, headers=None):
        token = token or self.token(address=address)
        return self.request("GET", path, {"X-aws-ec2-metadata-token": token, **(headers or {})}, address)

    def role(self):
        status, _, body = self.get("/latest/meta-data/iam/security-credentials/")
        return body.decode() if status == 200 else None

    def credentials(self):
        """The credentials document, or (status, body) when there is none."""
        name = self.role()
        status, _, body = self.get(f"/latest/meta-data/iam/security-credentials/{name}")
        return json.loads(body) if status == 200 else (status, body)


class Host:
    """See the top of the file. `config` adds sections to rolegate.conf: {"imds": {"tokens": …}}."""

    def __init__(self, config=None, policy=None, fake_options=(), sts_tls=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="rolegate-host-"))
        self.dir.chmod(0o755)
        self.stack = contextlib.ExitStack()
        self.containers = {}
        self._index = 0
        try:
            self._build_network()
            self.fake = self.stack.enter_context(FakeAWS(
                imds=["169.254.169.254:80", "[fd00:ec2::254]:80"], sts="10.99.0.1:8000",
                netns=self.aws.name, options=fake_options, tls=sts_tls))
            self._write_config(config or {}, sts_tls)
            self.set_policy(policy or ALLOW_ALL)
        except BaseException:
            self.stack.close()
            raise
        self.netd = Daemon("rolegate-netd", self.netns.name, self.config, self.dir / "netd.log")
        self.daemon = Daemon("rolegated", self.netns.name, self.config, self.dir / "rolegated.log")

    def _build_network(self):
        self.aws = self.stack.enter_context(Netns("aws"))
        self.netns = self.stack.enter_context(Netns("host"))
        uplink, down = veth(self.netns, self.aws, "10.99.0.2/24", "10.99.0.1/24")
        run(self.netns, f"ip addr add fd99::2/64 dev {uplink} nodad", "ip -6 route add default via fd99::1",
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        run(self.aws, f"ip addr add fd99::1/64 dev {down} nodad",
            "ip route add 10.98.0.0/16 via 10.99.0.2", "ip -6 route add fd98::/16 via fd99::2")
        for address in ("169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32"):
            run(self.aws, f"ip addr add {address} dev lo")
        for address in ("fd00:ec2::254/128", "fd00:ec2::23/128"):
            run(self.aws, f"ip addr add {address} dev lo nodad")

    def _write_config(self, config, sts_tls):
        self.config = str(self.dir / "rolegate.conf")
        self.policy_file = self.dir / "policy.json"
        self.control_socket = str(self.dir / "run" / "control.sock")
        self.netd_socket = str(self.dir / "run" / "netd.sock")
        self.state_dir = self.dir / "run"
        self.settings = {
            "aws": {"region": "us-east-1",
                    "sts_endpoint": f"http{'s' if sts_tls else ''}://10.99.0.1:8000"},
            "control": {"socket": self.control_socket},
            "netd": {"socket": self.netd_socket},
            "state": {"dir": str(self.state_dir)},
            "policy": {"file": str(self.policy_file)},
            "log": {"level": "debug"},
        }
        for section, keys in config.items():
            self.settings.setdefault(section, {}).update(keys)
        self.write_settings()

    def write_settings(self):
        with open(self.config, "w") as f:
            for section, keys in self.settings.items():
                f.write(f"[{section}]\n")
                f.writelines(f"{key} = {value}\n" for key, value in keys.items() if value is not None)

    def set_policy(self, policy):
        self.policy_file.write_text(policy if isinstance(policy, str) else json.dumps(policy))

    # Life

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.netd.start()
        self.wait(lambda: os.path.exists(self.netd_socket), "netd's socket")
        return self.start_daemon()

    def start_daemon(self, **environ):
        self.daemon.start(**environ)
        self.wait(self.ready, "rolegated to be ready")
        return self

    def daemon_pid(self):
        """`ip netns exec` has become the daemon by exec: the process started is it."""
        return self.daemon.process.pid

    def netd_pid(self):
        return self.netd.process.pid

    def ready(self):
        assert self.daemon.alive(), self.daemon.text()
        try:
            return self.api("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def wait(self, condition, what, timeout_s=10):
        deadline = time.monotonic() + timeout_s * SLOW
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, f"waited in vain for {what}\n{self.logs()}"
            time.sleep(0.01)

    def fake_imds(self, method, path, token=None):
        """The body of a request from within the aws netns, as the host itself could make it."""
        headers = {"X-aws-ec2-metadata-token": token.decode()} if token else {
            "X-aws-ec2-metadata-token-ttl-seconds": "60"}
        status, _, body = Inside(self.aws).request(method, path, headers)
        assert status == 200, (path, status)
        return body

    def prefetched(self):
        """Wait until rolegated has cached what every container may see of the host's metadata."""
        self.wait(lambda: self.fake.requests("imds", path="/latest/meta-data/block-device-mapping/root")
                  and self.fake.stats()["imds"]["in_flight"] == 0, "the prefetch")

    def logs(self):
        return "".join(f"--- {d.name}\n{d.text()[-4000:]}" for d in (self.netd, self.daemon)
                       if pathlib.Path(d.log).exists())

    def stop(self):
        codes = {}
        for daemon in (self.daemon, self.netd):
            with contextlib.suppress(subprocess.TimeoutExpired):
                codes[daemon.name] = daemon.stop()
        for container in list(self.containers.values()):
            container.close()
        self.stack.close()
        logs = "".join(d.text() for d in (self.netd, self.daemon) if pathlib.Path(d.log).exists())
        shutil.rmtree(self.dir, ignore_errors=True)
        # A sanitizer's or valgrind's finding, or a crash, fails the test whatever it was about.
        for sign in ("Sanitizer", "runtime error:", "ERROR SUMMARY: ", "Assertion"):
            found = [line for line in logs.splitlines() if sign in line and "ERROR SUMMARY: 0 errors" not in line]
            assert not found, logs[-8000:]
        assert all(code in (0, None) for code in codes.values()), (codes, logs[-4000:])
        return codes

    # Containers and the control API

    def container(self, name, **kwargs):
        self._index += 1
        self.containers[name] = Container(self, name, self._index, **kwargs)
        return self.containers[name]

    def api(self, method, path, body=None, timeout=60):
        """(status, parsed body or None)"""
        connection = UnixConnection(self.control_socket, timeout * SLOW)
        try:
            text = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
            connection.request(method, path, body=text)
            response = connection.getresponse()
            content = response.read()
            is_json = response.getheader("Content-Type") == "application/json"
            return response.status, json.loads(content) if is_json else None
        finally:
            connection.close()

    def put(self, name, role="web", **fields):
        """Registers; (status, answer)."""
        body = {"role_arn": role if ":" in role else ROLE + role}
        if "pid" not in fields and "netns" not in fields:
            body["netns"] = self.containers[name].netns.path
        body.update(fields)
        return self.api("PUT", f"/v1/containers/{name}", body)

    def register(self, name, role="web", expect=201, **fields):
        status, answer = self.put(name, role, **fields)
        assert status == expect, (status, answer, self.logs())
        return answer

    def unregister(self, name):
        status, answer = self.api("DELETE", f"/v1/containers/{name}")
        assert status == 204, (status, answer)

    def show(self, name):
        status, answer = self.api("GET", f"/v1/containers/{name}")
        return answer if status == 200 else None

    def cli(self, *arguments, **kwargs):
        return subprocess.run([binary("rolegate"), "--socket", self.control_socket, *arguments],
                              capture_output=True, text=True, timeout=60, **kwargs)
