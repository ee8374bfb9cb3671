"""OCI bundles and the programs that run them, inside a test host's network namespace.

`ip netns exec` would hide the cgroups (it mounts a new /sys): so everything runs by nsenter, which changes
nothing but the network.
"""

import atexit
import functools
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from host import ROOT, SLOW, binary

RUNC = "/usr/sbin/runc"
PROGRAMS = ("rolegate-runtime", "rolegate-hook", "rolegate-cni")
_serial = itertools.count()
CAPABILITIES = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID"]
PRIVILEGED = [*CAPABILITIES, "CAP_SYS_ADMIN", "CAP_NET_ADMIN"]


@functools.cache
def scratch():
    """A directory for what all tests of this process share."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="rolegate-bundles-"))
    path.chmod(0o755)
    atexit.register(shutil.rmtree, path, True)
    return path


@functools.cache
def rootfs():
    """A root file system: busybox, the minimal IMDS client as /imds, and /usr to mount the machine's own on."""
    root = scratch() / "rootfs"
    for directory in ("bin", "dev", "etc", "proc", "sys", "tmp", "usr"):
        (root / directory).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    for name in ("sh", "cat", "sleep", "true", "id", "ls", "mount", "ip", "wget"):
        (root / "bin" / name).symlink_to("busybox")
    for name in ("lib", "lib64", "sbin"):  # of /usr, once that is mounted
        (root / name).symlink_to(f"usr/{name}")
    subprocess.run(["gcc", "-static", "-O1", "-w", "-o", root / "imds",
                    ROOT / "tests" / "integration" / "imds_client.c"], check=True)
    return root


def stage(directory):
    """The programs as an installation has them: side by side."""
    directory.mkdir(exist_ok=True)
    for name in PROGRAMS:
        shutil.copy(binary(name), directory / name)
    return directory


def spec(args, annotations=None, env=(), netns="", capabilities=CAPABILITIES, mounts=(), hooks=None):
    """A config.json. `netns`: "" for a new one, None for the host's, else a path."""
    namespaces = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    if netns is not None:
        namespaces.append({"type": "network", **({"path": netns} if netns else {})})
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/",
            "env": ["PATH=/bin", *env],
            "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
            # What no double holds, and jansson in no integer: it must come through unchanged.
            "rlimits": [{"type": "RLIMIT_CORE", "hard": 2**64 - 1, "soft": 2**64 - 1}],
            "noNewPrivileges": True,
        },
        "root": {"path": str(rootfs()), "readonly": True},
        "hostname": "test",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
            *mounts,
        ],
        "linux": {"namespaces": namespaces, "cgroupsPath": f"/rolegate-test-{os.getpid()}-{next(_serial)}",
                  "resources": {"devices": [{"allow": False, "access": "rwm"}]}},
    }
    if annotations:
        config["annotations"] = annotations
    if hooks:
        config["hooks"] = hooks
    return config


class Bundles:
    """runc by rolegate-runtime (or without, or any other), on a test host."""

    def __init__(self, host):
        self.host = host
        self.dir = host.dir / "bundles"
        self.dir.mkdir()
        self.root = host.dir / "runc"
        self.programs = stage(host.dir / "sbin")
        self.running = []

    def bundle(self, name, args=("/imds",), **kwargs):
        path = self.dir / name
        path.mkdir(exist_ok=True)
        (path / "config.json").write_text(json.dumps(spec(list(args), **kwargs)))
        return path

    def command(self, program, *arguments):
        return ["nsenter", f"--net={self.host.netns.path}", str(program), "--root", str(self.root), *arguments]

    def environ(self):
        return os.environ | {"ROLEGATE_CONFIG": self.host.config}

    def call(self, *arguments, program=None, timeout=60, **kwargs):
        """Run to its end: (status, standard output, standard error)."""
        result = subprocess.run(self.command(program or self.programs / "rolegate-runtime", *arguments),
                                capture_output=True, text=True, timeout=timeout * SLOW, env=self.environ(), **kwargs)
        return result.returncode, result.stdout, result.stderr

    def run(self, name, *arguments, program=None, **kwargs):
        """`run` in a new bundle, in the foreground, to its end."""
        path = self.bundle(name, **kwargs)
        return self.call("run", "--bundle", str(path), *arguments, name, program=program)

    def start(self, name, program=None, **kwargs):
        """`run` of something that stays, in the background: its standard output so far."""
        kwargs.setdefault("args", ["/imds", "hold"])
        path = self.bundle(name, **kwargs)
        self.running.append(name)
        out = path / "out"
        with open(out, "w") as f:
            result = subprocess.run(
                self.command(program or self.programs / "rolegate-runtime", "run", "-d", "--bundle", str(path), name),
                stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT, timeout=60 * SLOW, env=self.environ())
        assert result.returncode == 0, (out.read_text(), self.host.logs())
        return out

    def output(self, out):
        """What /imds printed, once it has: {"role": …, "key": …} or {"failed": …}."""
        def done():
            text = out.read_text()
            return "key " in text or "failed " in text
        self.host.wait(done, f"output in {out}")
        return words(out.read_text())

    def close(self):
        for name in self.running:
            self.call("delete", "--force", name, program=RUNC)


def words(text):
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def open_files(host):
    """How many descriptors each daemon has: listeners, connections, namespaces."""
    return [len(os.listdir(f"/proc/{d.process.pid}/fd")) for d in (host.netd, host.daemon)]
