"""Container engines on a test host: in its network namespace, and in a mount namespace of their own, so that nothing
of theirs gets into this machine's /run/netns, /run/docker or /var/lib/cni."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess

from bundles import open_files, rootfs, scratch, stage, words
from clients import build_go
from host import ROLE, ROOT, SLOW

# Docker's own: /usr/local/bin may have another client.
DOCKER, DOCKERD, PODMAN, CTR, CONTAINERD = (
    "/usr/bin/docker", "/usr/sbin/dockerd", "/usr/bin/podman", "/usr/bin/ctr", "/usr/bin/containerd")
IMAGE = "registry.example.com/web:1"
PRIVATE = ("/run/netns", "/run/docker", "/run/containerd", "/run/containers", "/run/libpod", "/run/runc", "/run/cni",
           "/var/lib/cni", "/var/lib/containers", "/var/lib/docker", "/var/lib/containerd", "/etc/cni", "/etc/rolegate",
           *(path for path in ("/sys/fs/cgroup/unified",) if os.path.isdir(path)))  # crun refuses hybrid cgroups
BOTO3 = ["/usr/bin/python3", "-c",
         "import boto3; c = boto3.Session().get_credentials(); print('key', c.access_key if c else 'none')"]
USR = "/usr:/usr:ro"
# With whatever capabilities it has over its own network: flush the rules, try everything. Arguments: a neighbour's address.
ATTACK = """
import socket, subprocess, sys
for program in ("iptables-nft", "ip6tables-nft"):
    for table in ("nat", "filter"):
        if subprocess.run(["/usr/sbin/" + program, "-t", table, "-F"], capture_output=True).returncode == 0:
            print("flushed", program, table)
neighbour, gateway = sys.argv[1], ".".join(sys.argv[1].split(".")[:3] + ["1"])
targets = [(a, p) for a in ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23",
                            neighbour, gateway, "127.0.0.1") for p in (80, 8000, 16925, 16926)]
for address, port in targets:
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.settimeout(0.5)
    try:
        s.connect((address, port))
        s.sendall(b"GET /latest/meta-data/iam/security-credentials/ HTTP/1.0\\r\\nHost: 169.254.169.254\\r\\n\\r\\n")
        answer = s.recv(4096)
        # Its own listener wants a token; that is as it should be.
        if answer and not (address in ("127.0.0.1", "127.0.0.2") and answer.startswith(b"HTTP/1.1 401")):
            print("reached", address, port, answer)
    except OSError:
        pass
print("done")
"""
ATTACKER = ["/usr/bin/python3", "-c", ATTACK]


def check_attack(output, flushes=None, own=False):
    """That nothing was reached; `flushes`: whether it could empty its own rules (None: no matter); `own`: but what answers
    for itself there, and wants a token (the host's service here would not)."""
    reached = [line for line in output.splitlines() if line.startswith("reached ")]
    assert output.endswith("done\n") and all(own and "b'HTTP/1.1 401 " in line for line in reached), output
    assert flushes is None or ("flushed" in output) == flushes, output


def add_sdk(root):
    """/aws: an unmodified AWS SDK, static; only Go has such."""
    if not (root / "aws").exists():
        shutil.copy(build_go("go-key"), root / "aws")


def fifty_of_fifty(host, run, roles=7):
    """By `run(number, role, command)`, each as process 1: the SDK, and on an STS that takes a second the client that
    never asks twice. `roles`: how many, or a list of names."""
    names = [f"role-{n}" for n in range(roles)] if isinstance(roles, int) else roles
    for program, delay_s in (("/aws", 0), ("/imds", 1)):
        host.fake.set(sts_delay_s=delay_s)
        for n in range(50):
            role = names[n % len(names)]
            status, out, err = run(n, role, program)
            assert status == 0 and "key " in out, (program, n, status, out, err)
            issued = {s["access_key_id"]: s["role_arn"] for s in host.fake.sessions()}
            assert issued[words(out)["key"]] == ROLE + role, (program, n, out)


class Traces:
    """What a container's start may leave behind on the host: look before, and again when it is gone."""

    def __init__(self, sandbox):
        self.sandbox, self.host = sandbox, sandbox.host
        self.files = open_files(self.host)
        self.rules = self.host_rules()

    def host_rules(self):
        """Rolegate's; an engine's own are its business."""
        saved = [self.host.netns.run([f"{program}-save"]).stdout for program in ("iptables", "ip6tables")]
        return [line for text in saved for line in text.splitlines() if "ROLEGATE" in line and line[0] != "#"]

    def remember(self):
        """Call it while the container is there."""
        [entry] = self.host.api("GET", "/v1/containers")[1]["containers"]
        self.netns = entry["netns_inode"]
        return entry["id"]

    def netns_users(self):
        """Processes, descriptors and mounts that keep the network namespace."""
        name, found = f"net:[{self.netns}]", []
        for proc in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                found += [str(link) for link in (proc / "ns" / "net", *(proc / "fd").iterdir())
                          if os.readlink(link) == name]
            except OSError:
                pass
        mounts = pathlib.Path(f"/proc/{self.sandbox.keeper.pid}/mountinfo").read_text()
        return found + [line for line in mounts.splitlines() if name in line]

    def check(self, with_netns=True):
        """`with_netns` False: nobody could remember() it, as it never ran."""
        host = self.host
        self.sandbox.wait_for_nobody()
        host.wait(lambda: all(now <= then for now, then in zip(open_files(host), self.files)),
                  f"the end of listeners and connections {self.files}")
        assert list((host.state_dir / "containers").glob("*.json")) == []
        assert self.host_rules() == self.rules
        if with_netns:
            host.wait(lambda: not self.netns_users(), f"the end of its netns {self.netns_users()}")


def image_tar():
    """The root file system as a tar file, for `import`."""
    path = scratch() / "rootfs.tar"
    if not path.exists():
        add_sdk(rootfs())
        subprocess.run(["tar", "-C", rootfs(), "-cf", path, "."], check=True)
    return path


class Sandbox:
    """The network and mount namespaces that an engine runs in."""

    def __init__(self, host, own_netns_names=True):
        """With `own_netns_names`, /run/netns is the engine's own: netd cannot see it then."""
        self.host = host
        self.dir = host.dir / "engine"
        self.dir.mkdir()
        self.programs = stage(host.dir / "sbin")
        private = " && ".join(f"mkdir -p {p} && mount -t tmpfs tmpfs {p}" for p in PRIVATE
                              if p != "/run/netns" or own_netns_names)
        self.keeper = subprocess.Popen(
            ["nsenter", f"--net={host.netns.path}", "unshare", "-m", "--propagation",
             "private" if own_netns_names else "unchanged", "sh", "-c", f"mount --make-private / && {private} && ln -s {host.config} /etc/rolegate/ && echo ready && exec sleep infinity"],
            stdout=subprocess.PIPE, text=True)
        assert self.keeper.stdout.readline() == "ready\n"
        self.daemons = []

    def command(self, *arguments):
        return ["nsenter", "-t", str(self.keeper.pid), "-n", "-m", *map(str, arguments)]

    def environ(self):
        return os.environ | {"ROLEGATE_CONFIG": self.host.config}

    def call(self, *arguments, check=False, timeout=180, **kwargs):
        result = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=timeout * SLOW,
                                env=self.environ(), **kwargs)
        assert not check or result.returncode == 0, (arguments, result.stdout, result.stderr)
        return result

    def popen(self, *arguments, **kwargs):
        return subprocess.Popen(self.command(*arguments), env=self.environ(), **kwargs)

    def daemon(self, name, *arguments):
        log = open(self.dir / f"{name}.log", "ab")
        process = self.popen(*arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.daemons.append(process)
        return process

    def here(self, path):
        """The text of a file in deploy/, with the programs where they are."""
        return path.read_text().replace("/usr/sbin/rolegate-", f"{self.programs}/rolegate-")

    def log(self, name):
        return (self.dir / f"{name}.log").read_text(errors="replace")[-6000:]

    def ids(self):
        return {c["id"] for c in self.host.api("GET", "/v1/containers")[1]["containers"]}

    def wait_for_nobody(self):
        self.host.wait(lambda: not self.ids(), "the end of all registrations", 20)

    def issued_role(self, key):
        return {s["access_key_id"]: s["role_arn"] for s in self.host.fake.sessions()}[key]

    def close(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(30 * SLOW)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.keeper.kill()
        self.keeper.wait()
        for path in PRIVATE:  # what was made only to be covered
            with contextlib.suppress(OSError):
                os.rmdir(path)


class Docker:
    def __init__(self, sandbox, name="docker", default=False, **settings):
        self.sandbox, self.name = sandbox, name
        self.dir = sandbox.dir / name
        self.dir.mkdir()
        self.socket = f"unix://{self.dir}/docker.sock"
        shipped = ROOT / "deploy" / "docker" / ("daemon-default.json" if default else "daemon.json")
        (self.dir / "daemon.json").write_text(json.dumps({
            **json.loads(sandbox.here(shipped)), "cgroup-parent": f"/rolegate-test-{os.getpid()}", **settings}))
        sandbox.daemon(name, DOCKERD, "--config-file", self.dir / "daemon.json", "--data-root", self.dir / "data",
                       "--exec-root", self.dir / "exec", "-p", self.dir / "pid", "-H", self.socket)
        sandbox.host.wait(lambda: self("version").returncode == 0, f"dockerd\n{sandbox.log(name)}", 60)
        with open(image_tar()) as tar:
            self("import", "-", IMAGE, stdin=tar, check=True)

    def __call__(self, *arguments, **kwargs):
        return self.sandbox.call(DOCKER, "-H", self.socket, *arguments, **kwargs)

    def popen(self, *arguments, **kwargs):
        return self.sandbox.popen(DOCKER, "-H", self.socket, *arguments, **kwargs)


class Podman:
    """With rolegate's hook in hooks.d, or (`hook=False`) without."""

    def __init__(self, sandbox, hook=True, runtime="/usr/sbin/runc", network=None):
        self.sandbox, self.runtime = sandbox, runtime
        self.dir = sandbox.dir / "podman"
        self.hooks = self.dir / "hooks.d"
        self.hooks.mkdir(parents=True)
        self.networks = self.dir / "networks"
        self.networks.mkdir()
        # Podman asks for more than this machine allows.
        conf = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        if network:
            conf += (f'[network]\nnetwork_backend = "{network}"\nnetwork_config_dir = "{self.networks}"\n'
                     f'cni_plugin_dirs = ["/usr/lib/cni", "{sandbox.programs}"]\n')
        (self.dir / "containers.conf").write_text(conf)
        if hook:
            (self.hooks / "rolegate.json").write_text(sandbox.here(ROOT / "deploy" / "podman" / "rolegate.json"))
        self("import", image_tar(), IMAGE, check=True)

    def __call__(self, *arguments, **kwargs):
        return self.sandbox.call(*self.command(*arguments), **kwargs)

    def command(self, *arguments):
        return ["env", f"CONTAINERS_CONF={self.dir}/containers.conf", PODMAN, "--root", self.dir / "root", "--runroot", self.dir / "run", "--tmpdir", self.dir / "tmp",
                "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", self.runtime,
                "--hooks-dir", self.hooks, *arguments]

    def run(self, *arguments, **kwargs):
        return self("run", *arguments, **kwargs)
