"""Podman with rolegate-cni chained after bridge: a network for each role."""

import json

import pytest

from bundles import words
from engines import IMAGE, Podman, Sandbox
from host import ROLE


@pytest.fixture(scope="module")
def podman(host):
    sandbox = Sandbox(host, own_netns_names=False)  # netd is given their paths
    podman = Podman(sandbox, hook=False, network="cni")
    for n, role in enumerate(("web", "batch", None)):
        plugin = {"type": "rolegate-cni", "rolegate_config": host.config}
        if role:
            plugin["args"] = {"cni": {"rolegate": {"role": role}}}
        (podman.networks / f"{role}.conflist").write_text(json.dumps({
            "cniVersion": "0.4.0", "name": role or "none",
            "plugins": [{"type": "bridge", "bridge": f"cni-{n}", "isGateway": True, "ipMasq": True,
                         "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}],
                                  "ranges": [[{"subnet": f"10.97.{n}.0/24"}]]}}, plugin]}))
    yield podman
    sandbox.close()


def test_fifty_of_fifty_with_a_slow_sts(podman):
    podman.sandbox.host.fake.set(sts_delay_s=1)
    for n in range(50):
        role = ("web", "batch")[n % 2]
        result = podman.run("--rm", "--network", role, IMAGE, "/imds")
        assert result.returncode == 0 and words(result.stdout)["role"] == role, (n, result)
        assert podman.sandbox.issued_role(words(result.stdout)["key"]) == ROLE + role
    podman.sandbox.wait_for_nobody()


def test_denied_by_sts(podman):
    podman.sandbox.host.fake.set(sts_error="AccessDenied")
    result = podman.run("--rm", "--network", "web", IMAGE, "/bin/sh", "-c", "echo started")
    assert result.returncode != 0 and result.stdout == ""
    assert f"role {ROLE}web" in result.stderr and "AccessDenied" in result.stderr, result.stderr
    podman.sandbox.wait_for_nobody()


def test_no_role_nothing(podman):
    result = podman.run("--rm", "--network", "none", IMAGE, "/imds")
    assert result.returncode == 1 and result.stdout.startswith("failed token -"), result
    result = podman.run("--rm", "--network", "None", IMAGE, "/imds")
    assert result.returncode != 0


def test_nothing_is_left(podman):
    for how in (["stop", "-t", "5"], ["kill"], ["rm", "-f", "-t", "0"]):
        podman.run("-d", "--name", "box", "--network", "web", IMAGE, "/imds", "hold", check=True)
        podman.sandbox.host.wait(lambda: "key " in podman("logs", "box").stdout, "the client")
        assert len(podman.sandbox.ids()) == 1
        podman(*how, "box", check=True)
        podman.sandbox.wait_for_nobody()
        podman("rm", "-f", "-t", "0", "box")
