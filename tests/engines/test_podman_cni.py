"""Podman with rolegate-cni chained after bridge: a network for each role."""

import json

import pytest

from bundles import words
from engines import ATTACKER, IMAGE, USR, Podman, Sandbox, Traces, check_attack, fifty_of_fifty
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


def test_fifty_of_fifty(podman):
    def start(_, role, program):
        result = podman.run("--rm", "--network", role, IMAGE, program)
        return result.returncode, result.stdout, result.stderr
    fifty_of_fifty(podman.sandbox.host, start, ["web", "batch"])
    podman.sandbox.wait_for_nobody()


def test_hosts_and_neighbours_credentials_are_out_of_reach(podman):
    podman.run("-d", "--name", "victim", "--network", "batch", IMAGE, "/imds", "hold", check=True)
    address = podman("inspect", "-f", "{{.NetworkSettings.Networks.batch.IPAddress}}", "victim", check=True).stdout.strip()
    for network in ("web", "batch"):
        result = podman.run("--rm", "-v", USR, "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", "--network", network, IMAGE,
                            *ATTACKER, address)
        check_attack(result.stdout, flushes=True)
    podman("rm", "-f", "-t", "0", "victim", check=True)
    podman.sandbox.wait_for_nobody()


def test_containers_labels_do_not_reach_the_plugin(podman):
    """Podman 4 gives plugins the labels of the network alone: a container's cannot make it another role's."""
    result = podman.run("--rm", "--network", "web", "--label", "rolegate.io/role=batch", IMAGE, "/imds")
    assert words(result.stdout)["role"] == "web", result
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


@pytest.mark.parametrize("how", [["stop", "-t", "5"], ["kill"], ["rm", "-f", "-t", "0"], ["failed start"], ["denied"]])
def test_nothing_is_left(podman, how):
    podman.run("--rm", "--network", "batch", IMAGE, "/imds", check=True)
    podman.sandbox.wait_for_nobody()
    traces = Traces(podman.sandbox)
    runs = how[0] not in ("failed start", "denied")
    if how == ["denied"]:
        podman.sandbox.host.fake.set(sts_error="AccessDenied")
    command = ["/no/such"] if how == ["failed start"] else ["/imds", "hold"]
    result = podman.run("-d", "--name", "box", "--network", "web", IMAGE, *command)
    assert (result.returncode == 0) == runs, result
    if runs:
        traces.remember()
        podman(*how, "box", check=True)
    podman("rm", "-f", "-t", "0", "box")
    traces.check(with_netns=runs)
