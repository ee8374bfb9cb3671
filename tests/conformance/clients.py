"""The unmodified AWS clients that must work, and how one is run inside a container.

A client's program is in clients/NAME: it takes its credentials from its default chain, makes one signed
call to $ENDPOINT, and prints a JSON object with what it can show: "access_key_id", "arn".
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import subprocess
import tempfile

from host import BUILD, SLOW

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 120 * SLOW
BY_IPV6 = ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")


@dataclasses.dataclass(frozen=True)
class Client:
    name: str
    packages: tuple  # Debian's, the one that names the version first
    command: tuple  # relative to clients/NAME; a Go program's is its binary
    tokens: str = "required"  # "optional": it knows IMDSv1 alone
    calls: str = "sts"  # or "s3": it cannot ask the STS who it is
    go: bool = False
    ipv6: tuple = ()  # the variable that tells it to ask fd00:ec2::254
    ecs: bool = True  # knows AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
    eks: bool = False  # takes 169.254.170.23 for AWS_CONTAINER_CREDENTIALS_FULL_URI

    def program(self):
        if self.go:
            return [str(build_go(self.name))]
        here = HERE / "clients" / self.name
        return [str(here / word) if (here / word).exists() else word for word in self.command]

    def version(self):
        return " ".join(f"{package} {_dpkg_version(package)}" for package in self.packages)


def _dpkg_version(package):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True).stdout


def _go(name, package, **kwargs):
    return Client(name, (package,), (), go=True, **kwargs)


CLIENTS = [
    Client("boto3", ("python3-boto3", "python3-botocore"), ("/usr/bin/python3", "client.py"), ipv6=BY_IPV6),
    Client("aws-cli", ("awscli",), ("client",), ipv6=BY_IPV6),
    Client("ruby", ("ruby-aws-sdk-core",), ("/usr/bin/ruby", "client.rb"), ipv6=BY_IPV6),
    _go("go-v1", "golang-github-aws-aws-sdk-go-dev", ipv6=BY_IPV6),
    _go("go-v2", "golang-github-aws-aws-sdk-go-v2-dev", ipv6=BY_IPV6),
    _go("minio-go", "golang-github-minio-minio-go-v7-dev", calls="s3"),
    Client("php-async-aws", ("php-async-aws-core",), ("/usr/bin/php", "client.php"), tokens="optional"),
    Client("rclone", ("rclone",), ("client",), calls="s3"),
    Client("s3cmd", ("s3cmd",), ("client",), calls="s3", ecs=False),
    # Lists the role by IMDSv1 before it asks for a token.
    Client("s3fs", ("s3fs",), ("client",), tokens="optional", calls="s3", ecs=False),
]


@functools.cache
def build_go(name):
    """Build clients/NAME from Debian's own sources, offline; the binary's path."""
    out = BUILD.resolve() / "conformance" / name
    new = out.with_suffix(f".{os.getpid()}")  # another run may be executing the old one
    out.parent.mkdir(parents=True, exist_ok=True)
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(out.parent), "GOCACHE": str(out.parent / "go-cache"),
               "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOPROXY": "off", "GOFLAGS": "-p=2",
               "CGO_ENABLED": "0"}
    build = subprocess.run(["/usr/bin/go", "build", "-o", str(new), "."], cwd=HERE / "clients" / name, env=environ,
                           capture_output=True, text=True, timeout=600 * SLOW)
    assert build.returncode == 0, f"go build: status {build.returncode}\n{build.stdout}\n{build.stderr}"
    new.replace(out)
    return out


@contextlib.contextmanager
def started(container, command, **environ):
    """The command in a container, with nothing but a region in its environment and an empty home."""
    with tempfile.TemporaryDirectory(prefix="rolegate-home-") as home:
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LANG": "C.UTF-8",
                   "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"} | environ
        yield container.netns.popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, env=environ, text=True, cwd=home)


def finished(process):
    """What it printed, parsed, with its "stderr"; AssertionError with all of it if it failed."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"still running after {TIMEOUT_S} s\n{late.stdout}\n{late.stderr}") from late
    assert process.returncode == 0, f"status {process.returncode}\n{out}\n{err[-6000:]}"
    return json.loads(out) | {"stderr": err[-6000:]}


def witnessed(command):
    """The command line that runs it beside witness.py."""
    return ["/usr/bin/python3", str(HERE / "witness.py"), *command]
