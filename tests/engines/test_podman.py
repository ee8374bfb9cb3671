"""Podman: with the hook in hooks.d, under runc and under crun; and with rolegate-runtime."""

import json

import pytest

from bundles import words
from engines import ATTACKER, BOTO3, IMAGE, USR, Podman, Sandbox, Traces, check_attack, fifty_of_fifty
from host import ROLE


@pytest.fixture(scope="module")
def sandbox(host):
    sandbox = Sandbox(host)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def podman(sandbox):
    return Podman(sandbox)


def test_fifty_of_fifty(podman):
    def start(_, role, program):
        result = podman.run("--rm", "-e", f"ROLEGATE_ROLE={role}", IMAGE, program)
        return result.returncode, result.stdout, result.stderr
    fifty_of_fifty(podman.sandbox.host, start)
    podman.sandbox.wait_for_nobody()


def test_hosts_and_neighbours_credentials_are_out_of_reach(podman):
    podman.run("-d", "--name", "victim", "-e", "ROLEGATE_ROLE=secret", IMAGE, "/imds", "hold", check=True)
    address = podman("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "victim", check=True).stdout.strip()
    for arguments in (["--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", "-e", "ROLEGATE_ROLE=web"], []):
        result = podman.run("--rm", "-v", USR, *arguments, IMAGE, *ATTACKER, address or "127.0.0.2")
        check_attack(result.stdout, flushes=bool(arguments))
    podman("rm", "-f", "-t", "0", "victim", check=True)
    podman.sandbox.wait_for_nobody()


def test_unmodified_boto3_is_process_1(podman):
    result = podman.run("--rm", "-v", USR, "-e", "AWS_METADATA_SERVICE_NUM_ATTEMPTS=1", "-e", "ROLEGATE_ROLE=web", IMAGE,
                        *BOTO3)
    assert result.returncode == 0, result
    assert podman.sandbox.issued_role(words(result.stdout)["key"]) == ROLE + "web"


def test_annotations(podman):
    podman.run("-d", "--name", "box", "--annotation", "rolegate.io/role=web", "--annotation",
               "rolegate.io/labels=team=web", IMAGE, "/imds", "hold", check=True)
    [entry] = podman.sandbox.host.api("GET", "/v1/containers")[1]["containers"]
    assert entry["labels"] == {"team": "web"} and entry["state"] == "ready"
    assert entry["image"]["ref"] == IMAGE and entry["image"]["digest"].startswith("sha256:"), entry
    podman("rm", "-f", "-t", "0", "box", check=True)
    podman.sandbox.wait_for_nobody()


def test_no_role_nothing(podman):
    result = podman.run("--rm", IMAGE, "/imds")
    assert result.returncode == 1 and result.stdout.startswith("failed token -"), result


def test_denied_by_sts(podman):
    podman.sandbox.host.fake.set(sts_error="AccessDenied")
    result = podman.run("--rm", "-e", "ROLEGATE_ROLE=secret", IMAGE, "/bin/sh", "-c", "echo started")
    assert result.returncode == 126 and result.stdout == ""
    assert f"role {ROLE}secret" in result.stderr and "AccessDenied" in result.stderr, result.stderr
    podman.sandbox.wait_for_nobody()


def test_refused_containers(podman):
    for arguments, said in ((["--privileged"], "privileged"), (["--net", "host"], "host's network namespace")):
        result = podman.run("--rm", *arguments, "-e", "ROLEGATE_ROLE=web", IMAGE, "/bin/sh", "-c", "echo started")
        assert result.returncode == 126 and said in result.stderr and "started" not in result.stdout, result


def test_a_pod_shares_its_role(podman):
    podman("pod", "create", "--name", "pod", "--infra-command", "/bin/sleep infinity", "--infra-image", IMAGE, check=True)
    keys = set()
    for name, role in (("a", ["-e", "ROLEGATE_ROLE=web"]), ("b", ["-e", "ROLEGATE_ROLE=web"]), ("c", [])):
        out = podman.run("-d", "--pod", "pod", "--name", f"pod-{name}", *role, IMAGE, "/imds", "hold", check=True)
        podman.sandbox.host.wait(lambda name=name: "key " in podman("logs", f"pod-{name}").stdout, f"the client {out}")
        keys.add(words(podman("logs", f"pod-{name}").stdout)["key"])
    assert len(keys) == 1
    result = podman.run("--pod", "pod", "-e", "ROLEGATE_ROLE=batch", IMAGE, "/bin/sh", "-c", "echo started")
    assert result.returncode == 126 and "batch" in result.stderr, result
    podman("pod", "rm", "-f", "-t", "0", "pod", check=True)
    podman.sandbox.wait_for_nobody()


@pytest.mark.parametrize("how", [["stop", "-t", "5"], ["kill"], ["rm", "-f", "-t", "0"], ["failed start"], ["denied"]])
def test_nothing_is_left(podman, how):
    podman.run("--rm", "-e", "ROLEGATE_ROLE=warm", IMAGE, "/imds", check=True)
    podman.sandbox.wait_for_nobody()
    traces = Traces(podman.sandbox)
    runs = how[0] not in ("failed start", "denied")
    if how == ["denied"]:
        podman.sandbox.host.fake.set(sts_error="AccessDenied")
    command = ["/no/such"] if how == ["failed start"] else ["/imds", "hold"]
    result = podman.run("-d", "--name", "box", "-e", "ROLEGATE_ROLE=web", IMAGE, *command)
    assert (result.returncode == 0) == runs, result
    if runs:
        traces.remember()
        podman(*how, "box", check=True)
    podman("rm", "-f", "-t", "0", "box")
    traces.check(with_netns=runs)


def test_crun(podman):
    podman.runtime = "/usr/bin/crun"
    try:
        # Debian's crun knows cgroups of version 2 only.
        result = podman.run("--rm", "--cgroups", "disabled", "-e", "ROLEGATE_ROLE=web", IMAGE, "/imds")
        assert result.returncode == 0 and words(result.stdout)["role"] == "web", result
        podman.sandbox.host.fake.set(sts_error="AccessDenied")
        result = podman.run("--rm", "--cgroups", "disabled", "-e", "ROLEGATE_ROLE=secret", IMAGE, "/imds")
        assert result.returncode == 126 and result.stdout == "", result  # why: crun keeps a hook's words to itself
    finally:
        podman.runtime = "/usr/sbin/runc"
    podman.sandbox.wait_for_nobody()


def test_rolegate_as_podmans_runtime(podman):
    podman.runtime = podman.sandbox.programs / "rolegate-runtime"
    (podman.hooks / "rolegate.json").rename(podman.dir / "away")
    try:
        result = podman.run("--rm", "-e", "ROLEGATE_ROLE=web", IMAGE, "/imds")
        assert result.returncode == 0 and words(result.stdout)["role"] == "web", result
        podman.run("-d", "--name", "box", "-e", "ROLEGATE_ROLE=web", IMAGE, "/imds", "hold", check=True)
        for _ in range(2):  # Podman keeps the bundle
            podman("restart", "-t", "5", "box", check=True)
            assert len(podman.sandbox.ids()) == 1
        podman("rm", "-f", "-t", "0", "box", check=True)
    finally:
        (podman.dir / "away").rename(podman.hooks / "rolegate.json")
        podman.runtime = "/usr/sbin/runc"
    podman.sandbox.wait_for_nobody()


def test_both_ways_at_once_are_one(podman):
    podman.runtime = podman.sandbox.programs / "rolegate-runtime"
    try:
        result = podman.run("--rm", "-e", "ROLEGATE_ROLE=web", IMAGE, "/imds")
        assert result.returncode == 0 and words(result.stdout)["role"] == "web", result
    finally:
        podman.runtime = "/usr/sbin/runc"
    assert json.loads((podman.hooks / "rolegate.json").read_text())["stages"] == ["createRuntime", "poststop"]
    podman.sandbox.wait_for_nobody()
