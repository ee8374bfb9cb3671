"""Docker with rolegate as an extra and as the default runtime."""

import subprocess
import time

import pytest

from bundles import words
from engines import (ATTACKER, BOTO3, IMAGE, USR, Docker, Sandbox, Traces, check_attack,
                     fifty_of_fifty)
from host import ROLE, SLOW


@pytest.fixture(scope="module")
def sandbox(host):
    sandbox = Sandbox(host)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def docker(sandbox):
    return Docker(sandbox)


def run(docker, *arguments, role=None, runtime=("--runtime", "rolegate"), remove=("--rm",)):
    return docker("run", *remove, *runtime, *(("-e", f"ROLEGATE_ROLE={role}") if role else ()), *arguments)


def test_first_instruction_has_its_role(docker):
    result = run(docker, IMAGE, "/imds", role="team/web")
    assert result.returncode == 0, result
    answer = words(result.stdout)
    assert answer["role"] == "web" and docker.sandbox.issued_role(answer["key"]) == ROLE + "team/web"
    docker.sandbox.wait_for_nobody()


def test_fifty_of_fifty(docker):
    def start(_, role, program):
        result = run(docker, IMAGE, program, role=role)
        return result.returncode, result.stdout, result.stderr
    fifty_of_fifty(docker.sandbox.host, start)
    docker.sandbox.wait_for_nobody()


def test_unmodified_boto3_is_process_1(docker):
    for _ in range(3):
        result = run(docker, "-v", USR, "-e", "AWS_METADATA_SERVICE_NUM_ATTEMPTS=1", IMAGE, *BOTO3, role="web")
        assert result.returncode == 0, result
        assert docker.sandbox.issued_role(words(result.stdout)["key"]) == ROLE + "web"


def test_unmodified_aws_cli_is_process_1(docker):
    result = run(docker, "-v", USR, "-e", "AWS_REGION=us-east-1", IMAGE, "/usr/bin/python3", "/usr/bin/aws", "configure",
                 "list", role="web")
    assert result.returncode == 0 and "iam-role" in result.stdout, result


def test_a_hundred_at_once(docker):
    docker.sandbox.host.fake.set(sts_delay_s=0.1)
    processes = [docker.popen("run", "--rm", "--runtime", "rolegate", "-e", f"ROLEGATE_ROLE=role-{n}", IMAGE, "/imds",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for n in range(100)]
    for n, process in enumerate(processes):
        out, err = process.communicate(timeout=600 * SLOW)
        assert process.returncode == 0 and words(out)["role"] == f"role-{n}", (n, out, err)
        assert docker.sandbox.issued_role(words(out)["key"]) == f"{ROLE}role-{n}"
    docker.sandbox.wait_for_nobody()


def test_no_role_nothing(docker):
    for runtime in (("--runtime", "rolegate"), ()):
        result = run(docker, IMAGE, "/imds", runtime=runtime)
        assert result.returncode == 1 and result.stdout.startswith("failed token -"), result


def test_hosts_and_neighbours_credentials_are_out_of_reach(docker):
    docker("run", "-d", "--name", "victim", "--runtime", "rolegate", "-e", "ROLEGATE_ROLE=secret", IMAGE, "/imds", "hold",
           check=True)
    address = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "victim", check=True).stdout.strip()
    for arguments, role in ((["--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW"], "web"), ([], None)):
        result = run(docker, "-v", USR, *arguments, IMAGE, *ATTACKER, address, role=role)
        check_attack(result.stdout, flushes=bool(role))
    docker("rm", "-f", "victim", check=True)
    docker.sandbox.wait_for_nobody()


def test_denied_by_sts(docker):
    docker.sandbox.host.fake.set(sts_error="AccessDenied")
    result = run(docker, IMAGE, "/bin/sh", "-c", "echo started", role="secret")
    assert result.returncode == 125 and result.stdout == ""
    assert f"role {ROLE}secret" in result.stderr and "AccessDenied" in result.stderr, result.stderr
    docker.sandbox.wait_for_nobody()


def test_denied_by_sts_may_start_without(docker):
    host = docker.sandbox.host
    host.settings["runtime"]["on_not_ready"] = "start"
    host.write_settings()
    try:
        host.fake.set(sts_error="AccessDenied")
        result = run(docker, IMAGE, "/imds", role="secret")
        # It has run, and its client was told that the role is denied.
        assert result.returncode == 1 and "failed credentials" in result.stdout, result
        host.fake.reset()
        # The policy is another matter.
        result = run(docker, IMAGE, "/bin/sh", "-c", "echo started", role="arn:aws:iam::999999999999:role/x")
        assert result.returncode == 125 and "no rule allows" in result.stderr, result
    finally:
        del host.settings["runtime"]["on_not_ready"]
        host.write_settings()
    docker.sandbox.wait_for_nobody()


def test_refused_containers(docker):
    for arguments, said in ((["--privileged"], "privileged"), (["--net", "host"], "host's network namespace"),
                            (["-v", f"{docker.sandbox.host.state_dir}:/x"], "control.sock")):
        result = run(docker, *arguments, IMAGE, "/bin/sh", "-c", "echo started", role="web")
        assert result.returncode == 125 and said in result.stderr and "started" not in result.stdout, result


@pytest.mark.parametrize("how", ["stop", "kill", "rm -f", "exit", "failed start", "denied"])
def test_nothing_is_left(docker, how):
    run(docker, IMAGE, "/imds", role="warm")  # connections to AWS are kept
    docker.sandbox.wait_for_nobody()
    traces = Traces(docker.sandbox)
    if how == "denied":
        docker.sandbox.host.fake.set(sts_error="AccessDenied")
    command = {"exit": ["/imds"], "failed start": ["/no/such"]}.get(how, ["/imds", "hold"])
    result = docker("run", "-d", "--name", "box", "--runtime", "rolegate", "-e", "ROLEGATE_ROLE=web", IMAGE, *command)
    runs = how in ("stop", "kill", "rm -f")
    if runs:
        traces.remember()
        docker(*how.split(), "box", check=True)
    assert (result.returncode == 0) == (runs or how == "exit"), result
    docker("rm", "-f", "box")
    traces.check(with_netns=runs)


def test_the_policy_is_told_the_image(docker):
    docker("run", "-d", "--name", "box", "--runtime", "rolegate", "-e", "ROLEGATE_ROLE=web", IMAGE, "/imds", "hold",
           check=True)
    [entry] = docker.sandbox.host.api("GET", "/v1/containers")[1]["containers"]
    assert entry["image"] == {"ref": IMAGE}  # it was never in a registry: there is no digest
    docker("rm", "-f", "box", check=True)
    docker.sandbox.wait_for_nobody()


def test_restarted_containers_keep_their_role(docker):
    docker("run", "-d", "--name", "box", "--runtime", "rolegate", "-e", "ROLEGATE_ROLE=web", IMAGE, "/imds", "hold",
           check=True)
    for n in range(2, 4):
        docker("restart", "-t", "5", "box", check=True)
        docker.sandbox.host.wait(lambda n=n: docker("logs", "box").stdout.count("key ") == n, "the client")
    assert docker("logs", "box").stdout.count("role web\n") == 3
    docker("rm", "-f", "box", check=True)
    docker.sandbox.wait_for_nobody()


def test_containers_that_share_a_network_share_the_role(docker):
    docker("run", "-d", "--name", "box", "--runtime", "rolegate", "-e", "ROLEGATE_ROLE=web", IMAGE, "/imds", "hold",
           check=True)
    key = words(docker("logs", "box").stdout).get("key")
    for role in (None, "web"):
        result = run(docker, "--net", "container:box", IMAGE, "/imds", role=role)
        assert result.returncode == 0 and words(result.stdout)["key"] == key, result
    result = run(docker, "--net", "container:box", IMAGE, "/imds", role="batch")
    assert result.returncode == 125 and "role" in result.stderr and "batch" in result.stderr, result
    docker("rm", "-f", "box", check=True)
    docker.sandbox.wait_for_nobody()


def test_overhead(docker):
    """Printed, not judged: this machine is not alone."""
    took = {}
    for _ in range(8):
        for name, runtime, role in (("runc", (), None), ("rolegate", ("--runtime", "rolegate"), "same")):
            began = time.monotonic()
            result = run(docker, "-e", "ROLEGATE_SESSION_NAME=same", IMAGE, "/bin/true", role=role, runtime=runtime)
            assert result.returncode == 0, result
            took.setdefault(name, []).append(time.monotonic() - began)
    for name, seconds in took.items():
        print(f"docker run by {name}: median {sorted(seconds)[4] * 1000:.0f} ms")


def test_as_the_default_runtime(sandbox):
    docker = Docker(sandbox, "default", default=True, bridge="none", iptables=False)
    result = run(docker, IMAGE, "/imds", role="web", runtime=())
    assert result.returncode == 0 and words(result.stdout)["role"] == "web", result
    result = run(docker, IMAGE, "/imds", runtime=())
    assert result.returncode == 1, result
    result = docker("run", "--name", "box", "-d", "-e", "ROLEGATE_ROLE=web", IMAGE, "/imds", "hold", check=True)
    result = docker("exec", "box", "/imds")
    assert result.returncode == 0 and words(result.stdout)["role"] == "web", result
    docker("rm", "-f", "box", check=True)
