"""containerd, by ctr, with rolegate-runtime in runc's place."""

import pytest

from bundles import words
from engines import (ATTACKER, BOTO3, CONTAINERD, CTR, IMAGE, Docker, Sandbox, Traces, check_attack,
                     fifty_of_fifty)
from host import ROLE, ROOT

USR_MOUNT = "type=bind,src=/usr,dst=/usr,options=rbind:ro"


@pytest.fixture(scope="module")
def sandbox(host):
    sandbox = Sandbox(host)
    yield sandbox
    sandbox.close()


class Containerd:
    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.dir = sandbox.dir / "containerd"
        self.dir.mkdir()
        self.socket = self.dir / "containerd.sock"
        config = self.dir / "config.toml"
        config.write_text(f'version = 2\nroot = "{self.dir}/root"\nstate = "{self.dir}/state"\n'
                          f'[grpc]\naddress = "{self.socket}"\n[plugins."io.containerd.grpc.v1.cri"]\n'
                          'disable_tcp_service = true\n')
        sandbox.daemon("containerd", CONTAINERD, "--config", config)
        sandbox.host.wait(lambda: self("version").returncode == 0, f"containerd\n{sandbox.log('containerd')}", 30)
        docker = Docker(sandbox, "for-save", bridge="none", iptables=False)  # Docker can make an image, ctr cannot
        docker("save", "-o", self.dir / "image.tar", IMAGE, check=True)
        self("images", "import", self.dir / "image.tar", check=True)

    def __call__(self, *arguments, **kwargs):
        return self.sandbox.call(CTR, "-a", self.socket, *arguments, **kwargs)

    def arguments(self, *arguments):
        return ["run", "--runc-binary", self.sandbox.programs / "rolegate-runtime", *arguments]

    def run(self, *arguments, **kwargs):
        return self(*self.arguments(*arguments), **kwargs)


@pytest.fixture(scope="module")
def containerd(sandbox):
    return Containerd(sandbox)


def test_fifty_of_fifty(containerd):
    def start(n, role, program):
        result = containerd.run("--rm", "--annotation", f"rolegate.io/role={role}", IMAGE, f"c{n}", program)
        return result.returncode, result.stdout, result.stderr
    fifty_of_fifty(containerd.sandbox.host, start)
    containerd.sandbox.wait_for_nobody()


def test_hosts_credentials_are_out_of_reach(containerd):
    """ctr gives a container no network but its loopback: there is no neighbour."""
    for arguments in (["--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_NET_RAW", "--annotation", "rolegate.io/role=web"], []):
        result = containerd.run("--rm", "--mount", USR_MOUNT, *arguments, IMAGE, "attacker", *ATTACKER, "127.0.0.2")
        check_attack(result.stdout, flushes=bool(arguments))


def test_unmodified_boto3_is_process_1(containerd):
    result = containerd.run("--rm", "--mount", USR_MOUNT, "--env",
                            "AWS_METADATA_SERVICE_NUM_ATTEMPTS=1", "--annotation", "rolegate.io/role=web", IMAGE, "py",
                            *BOTO3)
    assert result.returncode == 0, result
    assert containerd.sandbox.issued_role(words(result.stdout)["key"]) == ROLE + "web"


def test_no_role_nothing(containerd):
    result = containerd.run("--rm", IMAGE, "none", "/imds")
    assert result.returncode == 1 and result.stdout.startswith("failed token -"), result


def test_denied_by_sts(containerd):
    containerd.sandbox.host.fake.set(sts_error="AccessDenied")
    result = containerd.run("--rm", "--annotation", "rolegate.io/role=secret", IMAGE, "denied", "/imds")
    assert result.returncode == 1 and result.stdout == ""
    assert f"role {ROLE}secret" in result.stderr and "AccessDenied" in result.stderr, result.stderr
    containerd.sandbox.wait_for_nobody()


def test_refused_containers(containerd):
    for arguments, said in ((["--privileged"], "privileged"), (["--net-host"], "host's network namespace")):
        result = containerd.run("--rm", *arguments, "--annotation", "rolegate.io/role=web", IMAGE, "bad", "/imds")
        assert result.returncode == 1 and said in result.stderr and result.stdout == "", result


def test_the_shipped_configuration_is_one(containerd):
    shipped = ROOT / "deploy" / "containerd" / "rolegate.toml"
    dump = containerd.sandbox.call(CONTAINERD, "--config", shipped, "config", "dump", check=True).stdout
    assert 'BinaryName = "/usr/sbin/rolegate-runtime"' in dump and 'pod_annotations = ["rolegate.io/*"' in dump


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL", "failed start", "denied"])
def test_nothing_is_left(containerd, how):
    containerd.run("--rm", "--annotation", "rolegate.io/role=warm", IMAGE, "warm", "/imds", check=True)
    containerd.sandbox.wait_for_nobody()
    traces = Traces(containerd.sandbox)
    runs = how.startswith("SIG")
    if how == "denied":
        containerd.sandbox.host.fake.set(sts_error="AccessDenied")
    command = ["/no/such"] if how == "failed start" else ["/imds", "hold"]
    result = containerd.run("-d", "--annotation", "rolegate.io/role=web", IMAGE, "box", *command)
    assert (result.returncode == 0) == runs, result
    if runs:
        assert traces.remember() == "box"
        containerd("task", "kill", "-s", how, "box", check=True)
        containerd.sandbox.wait_for_nobody()
        containerd.sandbox.host.wait(lambda: "STOPPED" in containerd("task", "ls").stdout, "the task's end")
        containerd("task", "rm", "box", check=True)
    containerd("container", "rm", "box")
    traces.check(with_netns=runs)


def test_the_same_id_in_another_containerd_namespace(containerd):
    containerd.run("-d", "--annotation", "rolegate.io/role=web", IMAGE, "box", "/imds", "hold", check=True)
    def who():
        entry = containerd.sandbox.host.show("box")
        return [entry[key] for key in ("access_key_id", "pid", "netns_inode", "registered_at")]
    before = who()
    containerd("-n", "other", "images", "import", containerd.dir / "image.tar", check=True)
    result = containerd("-n", "other", *containerd.arguments("--rm", "--annotation", "rolegate.io/role=web", IMAGE, "box",
                                                             "/imds"))
    assert result.returncode != 0 and "is registered with another" in result.stderr, result
    assert who() == before
    containerd("task", "rm", "-f", "box", check=True)
    containerd("container", "rm", "box", check=True)
    containerd.sandbox.wait_for_nobody()
