"""Network namespaces for tests: containers and hosts made of `ip netns` and veth pairs.

    with Netns("host") as host, Netns("c1") as c1:
        veth(c1, host, "10.9.0.2/24", "10.9.0.1/24")
        c1.run(["ping", "-c1", "10.9.0.1"])

Names are made unique by the test process's pid. Needs root.
"""

import contextlib
import ctypes
import itertools
import os
import socket
import subprocess
import time
import time

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_serial = itertools.count()


class Netns:
    """One network namespace, its lo up unless told otherwise, gone with the context."""

    def __init__(self, name, lo=True):
        self.name = f"rg{os.getpid()}-{next(_serial)}-{name}"
        self.path = f"/run/netns/{self.name}"
        self._processes = []
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        if lo:
            self.run(["ip", "link", "set", "lo", "up"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End what runs in it and delete it; twice is no error."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._processes = []
        if os.path.exists(self.path):
            subprocess.run(["ip", "netns", "del", self.name], check=True)

    @property
    def inode(self):
        """(st_dev, st_ino): what the namespace is, whatever it is called."""
        st = os.stat(self.path)
        return st.st_dev, st.st_ino

    def command(self, cmd):
        """The command line that runs `cmd` (a list) in here."""
        return ["ip", "netns", "exec", self.name, *cmd]

    def run(self, cmd, check=True, **kwargs):
        """Run to its end, capturing text. Raises with the output if it fails and `check`."""
        result = subprocess.run(
            self.command(cmd), capture_output=True, text=True, timeout=60, **kwargs
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"{self.name}: {' '.join(cmd)}: status {result.returncode}\n"
                f"{result.stdout}{result.stderr}"
            )
        return result

    def popen(self, cmd, **kwargs):
        """Start in here; killed at the latest when the namespace is closed."""
        process = subprocess.Popen(self.command(cmd), **kwargs)
        self._processes.append(process)
        return process

    def sleeper(self):
        """A process that does nothing but live in here; returns it (its pid is in the netns)."""
        process = self.popen(["sleep", "3600"])
        # `ip netns exec` is in the caller's namespace until it has entered this one.
        for _ in range(1000):
            if os.stat(f"/proc/{process.pid}/ns/net").st_ino == self.inode[1]:
                break
            time.sleep(0.01)
        return process

    @contextlib.contextmanager
    def entered(self):
        """Move this thread into the namespace for the time of the block."""
        with open("/proc/thread-self/ns/net", "rb") as before, open(self.path, "rb") as here:
            _setns(here.fileno())
            try:
                yield self
            finally:
                _setns(before.fileno())

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        """A socket of this namespace, for use from the test's own process."""
        with self.entered():
            return socket.socket(family, kind)

    def connect(self, host, port, timeout=2.0):
        """A TCP connection from in here to host:port; OSError if it is not made."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = self.socket(family)
        sock.settimeout(timeout)
        try:
            sock.connect((host, port))
        except OSError:
            sock.close()
            raise
        return sock


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def veth(a, b, addr_a, addr_b, default_route=True):
    """Join two namespaces by a veth pair with an address each ("10.0.0.1/24"; None: no address).

    With `default_route`, a's default route goes to b. Returns the names of the two interfaces, when
    both carry packets: the kernel takes up to a second to believe that a link is up.
    """
    serial = next(_serial)
    name_a, name_b = f"ve{serial}a", f"ve{serial}b"
    a.run(["ip", "link", "add", name_a, "type", "veth", "peer", "name", name_b, "netns", b.name])
    for netns, name, addr in ((a, name_a, addr_a), (b, name_b, addr_b)):
        if addr:
            extra = ["nodad"] if ":" in addr else []
            netns.run(["ip", "addr", "add", addr, "dev", name, *extra])
        netns.run(["ip", "link", "set", name, "up"])
    if default_route and addr_b:
        family = "-6" if ":" in addr_b else "-4"
        a.run(["ip", family, "route", "add", "default", "via", addr_b.split("/")[0]])
    deadline = time.monotonic() + 5
    for netns, name in ((a, name_a), (b, name_b)):
        while "state UP" not in netns.run(["ip", "link", "show", "dev", name]).stdout:
            assert time.monotonic() < deadline, f"{netns.name}: {name} does not come up"
            time.sleep(0.01)
    return name_a, name_b
