"""rolegated's side of the protocol with rolegate-netd (src/wire/netd_message.h), and a netd to run."""

import array
import contextlib
import dataclasses
import ipaddress
import itertools
import os
import signal
import stat
import socket
import struct
import subprocess
import tempfile
import time

VERSION = 2
HELLO, LIST, ATTACH, ADOPT, DETACH, GONE, KEEP, TAKE, REPLACED = range(1, 10)
NETNS_MODE, BRIDGE_MODE = 0, 1

REQUEST = struct.Struct("=IIQIHHQQI129s512s3s")
REPLY = struct.Struct("=IIQiHHQQIIII128s129s32s512s7s")
assert REQUEST.size == 688 and REPLY.size == 864

BUILD = os.environ.get("ROLEGATE_BUILD") or os.path.join(os.path.dirname(__file__), "../../build")
NETD = os.path.join(BUILD, "src/rolegate-netd/rolegate-netd")


@dataclasses.dataclass
class Reply:
    version: int
    verb: int
    serial: int
    error: int
    port: int
    n_fds: int
    netns: tuple
    id: str
    field: str
    text: str
    sockets: list
    mode: int = 0
    mark: int = 0
    link: int = 0
    sources: tuple = ()

    def close(self):
        for sock in self.sockets:
            sock.close()
        self.sockets = []


def request(verb, serial, id="", path="", port=0, mode=0, version=VERSION, pad=0, netns=(0, 0), mark=0,
            unused=b""):
    """The bytes of one request; str or bytes for id and path."""
    id = id.encode() if isinstance(id, str) else id
    path = path.encode() if isinstance(path, str) else path
    return REQUEST.pack(version, verb, serial, mode, port, pad, *netns, mark, id, path, unused)


class Client:
    """One connection to netd. Replies may arrive in any order; GONE is set aside in `gone`."""

    def __init__(self, path, timeout=20):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(None)  # else a full backlog is an error instead of a wait
        self.sock.connect(path)
        self.sock.settimeout(timeout)
        self._serial = itertools.count(1)
        self.early = {}
        self.gone = []
        self.replaced = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()
        for replies in self.early.values():
            for reply in replies:
                reply.close()
        self.early = {}

    def send_raw(self, data, fds=()):
        ancillary = []
        if fds:
            numbers = array.array("i", [f if isinstance(f, int) else f.fileno() for f in fds])
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)]
        self.sock.sendmsg([data], ancillary)

    def send(self, verb, fds=(), **kwargs):
        """Send a request; returns its serial."""
        serial = next(self._serial)
        self.send_raw(request(verb, serial, **kwargs), fds)
        return serial

    def receive(self):
        """The next message, whatever it is; ConnectionError at the end of the connection."""
        data, fds, _, _ = socket.recv_fds(self.sock, REPLY.size + 1, 4)
        sockets = [socket.socket(fileno=fd) if stat.S_ISSOCK(os.fstat(fd).st_mode) else os.fdopen(fd, "rb")
                   for fd in fds]
        if not data:
            raise ConnectionError("netd closed the connection")
        assert len(data) == REPLY.size, len(data)
        (version, verb, serial, error, port, n_fds, dev, ino, mode, mark, n_sources, link, sources, id, field, text,
         _) = REPLY.unpack(data)
        text_of = lambda b: b.rstrip(b"\0").decode()
        assert n_fds == len(sockets)
        return Reply(
            version, verb, serial, error, port, n_fds, (dev, ino),
            text_of(id), text_of(field), text_of(text), sockets, mode, mark, link,
            tuple(str(ipaddress.ip_address(sources[i * 16:i * 16 + 16]).ipv4_mapped or
                      ipaddress.ip_address(sources[i * 16:i * 16 + 16])) for i in range(n_sources)),
        )

    def wait(self, serial):
        """The reply to one request."""
        while not self.early.get(serial):
            reply = self.receive()
            if reply.verb == GONE:
                self.gone.append(reply)
            elif reply.verb == REPLACED:
                self.replaced = True
            else:
                self.early.setdefault(reply.serial, []).append(reply)
        return self.early[serial].pop(0)

    def call(self, verb, fds=(), **kwargs):
        return self.wait(self.send(verb, fds, **kwargs))

    def hello(self):
        return self.call(HELLO)

    def attach(self, id, path, **kwargs):
        return self.call(ATTACH, id=id, path=path, **kwargs)

    def detach(self, id):
        return self.call(DETACH, id=id)

    def adopt(self, id, fds, **kwargs):
        return self.call(ADOPT, fds=fds, id=id, **kwargs)

    def list(self):
        """{id: Reply}"""
        serial = self.send(LIST)
        found = {}
        while True:
            reply = self.wait(serial)
            if not reply.id:
                return found
            found[reply.id] = reply

    def wait_gone(self, id, timeout):
        """Wait for netd to tell that a container's netns has died."""
        deadline = time.monotonic() + timeout
        while not any(reply.id == id for reply in self.gone):
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no GONE for {id} within {timeout} s")
            self.sock.settimeout(left)
            with contextlib.suppress(TimeoutError):
                reply = self.receive()
                assert reply.verb == GONE, reply
                self.gone.append(reply)
        self.sock.settimeout(20)


class Netd:
    """A rolegate-netd in the netns `host`, with a directory and configuration of its own."""

    def __init__(self, host, config="", wrapper=(), start=True, port=16925):
        self.host = host
        self.wrapper = list(wrapper)
        self.directory = tempfile.TemporaryDirectory(prefix="netd-test-")
        self.socket = os.path.join(self.directory.name, "run/netd.sock")
        self.config_path = os.path.join(self.directory.name, "rolegate.conf")
        self.log_path = os.path.join(self.directory.name, "log")
        self.port = port
        self.process = None
        self.write_config(config)
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.directory.cleanup()

    def write_config(self, more=""):
        """`more` may add keys: it begins in section [log]."""
        with open(self.config_path, "w") as f:
            f.write(
                f"[netd]\nsocket = {self.socket}\n[state]\ndir = {self.directory.name}\n"
                f"[intercept]\nport = {self.port}\nbridge_port = {self.port + 1}\n"
                f"[log]\nlevel = debug\n{more}"
            )

    def spawn(self, **kwargs):
        """Start without waiting; the log goes on in the same file."""
        with open(self.log_path, "ab") as log:
            command = [*self.wrapper, NETD, "--config", self.config_path]
            self.process = self.host.popen(command, stderr=log, stdout=log, **kwargs)
        return self.process

    def start(self, **kwargs):
        self.spawn(**kwargs)
        deadline = time.monotonic() + 20
        while True:
            try:
                with self.client() as client:
                    client.hello()
                return
            except (OSError, ConnectionError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"netd did not start:\n{self.log()}") from None
                time.sleep(0.02)

    def stop(self, how=signal.SIGTERM):
        """End it; returns its exit status, or None if it was not running."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.send_signal(how)
        return self.process.wait(timeout=20)

    @property
    def pid(self):
        """`ip netns exec` and the wrappers exec: netd has the pid that was started."""
        return self.process.pid

    def client(self, **kwargs):
        return Client(self.socket, **kwargs)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def open_fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def rules(netns, family=4, table=None, program="iptables-save"):
    """The lines of ours in iptables-save's output, in a netns."""
    command = [program.replace("ip", "ip6", 1) if family == 6 else program]
    if table:
        command += ["-t", table]
    out = netns.run(command).stdout
    return [line for line in out.splitlines() if "ROLEGATE" in line]
