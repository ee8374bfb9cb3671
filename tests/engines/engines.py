"""Container engines on a test host: in its network namespace, and in a mount namespace of their own, so that nothing
of theirs gets into this machine's /run/netns, /run/docker or /var/lib/cni."""

import contextlib
import json
import os
import subprocess

from bundles import rootfs, scratch, stage
from host import ROOT, SLOW

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


def image_tar():
    """The root file system as a tar file, for `import`."""
    path = scratch() / "rootfs.tar"
    if not path.exists():
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
