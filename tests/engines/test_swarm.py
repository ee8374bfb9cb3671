"""A Docker Swarm service of three replicas and one of two, each with its role; rolegate is the default runtime."""

import pytest

from bundles import words
from engines import ATTACKER, IMAGE, Docker, Sandbox, Traces, check_attack
from host import ROLE

LOCAL = "127.0.0.1:9/web:1"


@pytest.fixture(scope="module")
def swarm(host):
    sandbox = Sandbox(host)
    try:
        docker = Docker(sandbox, default=True)
        docker("swarm", "init", "--advertise-addr", "10.99.0.2", "--listen-addr", "10.99.0.2", check=True)
        # Swarm always tries to pull: from where it is told "no" at once.
        docker("tag", IMAGE, LOCAL, check=True)
        yield docker
        docker("swarm", "leave", "--force")
    finally:
        sandbox.close()


def tasks(docker, service):
    """The container ids of the service's running tasks."""
    out = docker("ps", "-q", "--no-trunc", "--filter", f"label=com.docker.swarm.service.name={service}", check=True)
    return out.stdout.split()


def test_replicas_of_two_services_have_their_roles(swarm):
    replicas = {"web": 3, "batch": 2}
    for service, n in replicas.items():
        swarm("service", "create", "--detach", "--no-resolve-image", "--name", service, "--replicas", str(n),
              "--env", f"ROLEGATE_ROLE={service}", LOCAL, "/imds", "hold", check=True)
    host = swarm.sandbox.host
    host.wait(lambda: all(len(tasks(swarm, s)) == n for s, n in replicas.items()),
              "the tasks", 60)
    for service in replicas:
        for task in tasks(swarm, service):
            host.wait(lambda task=task: "key " in swarm("logs", task).stdout, f"the client of {service}")
            answer = words(swarm("logs", task).stdout)
            assert swarm.sandbox.issued_role(answer["key"]) == ROLE + service
            assert host.show(task)["role_arn"] == ROLE + service
    # A task that dies is replaced by another container, with its own registration.
    victim = tasks(swarm, "web")[0]
    swarm("kill", victim, check=True)
    host.wait(lambda: victim not in tasks(swarm, "web") and len(tasks(swarm, "web")) == 3, "the replacement", 60)
    host.wait(lambda: swarm.sandbox.ids() == set(tasks(swarm, "web") + tasks(swarm, "batch")), "their registrations", 30)
    for service in replicas:
        swarm("service", "rm", service, check=True)
    swarm.sandbox.wait_for_nobody()


def jobs(docker, name, n, *arguments):
    """A service whose n tasks run once: what each printed."""
    docker("service", "create", "--detach", "--no-resolve-image", "--name", name, "--mode", "replicated-job",
           "--replicas", str(n), "--max-concurrent", "5", "--restart-condition", "none", *arguments, check=True)

    def ended():
        out = docker("ps", "-aq", "--no-trunc", "--filter", f"label=com.docker.swarm.service.name={name}", "--filter",
                     "status=exited", check=True).stdout.split()
        return out if len(out) == n else None
    ends = docker.sandbox.host.wait(ended, f"the end of {name}", 60 + 3 * n)
    outs = [docker("logs", task, check=True).stdout for task in ends]
    docker("service", "rm", name, check=True)
    return outs


def job(docker, name, *arguments):
    return jobs(docker, name, 1, *arguments)[0]


def test_fifty_of_fifty(swarm):
    """As fifty_of_fifty() of the other engines: swarm starts them, five at a time."""
    for program, delay_s in (("/aws", 0), ("/imds", 1)):
        swarm.sandbox.host.fake.set(sts_delay_s=delay_s)
        for role in ("web", "batch"):
            outs = jobs(swarm, f"fifty-{role}", 25, "--env", f"ROLEGATE_ROLE={role}", LOCAL, program)
            assert [swarm.sandbox.issued_role(words(out)["key"]) for out in outs] == [ROLE + role] * 25, outs
    swarm.sandbox.wait_for_nobody()


def test_hosts_and_neighbours_credentials_are_out_of_reach(swarm):
    swarm("service", "create", "--detach", "--no-resolve-image", "--name", "victim", "--env", "ROLEGATE_ROLE=secret", LOCAL,
          "/imds", "hold", check=True)
    host = swarm.sandbox.host
    host.wait(lambda: tasks(swarm, "victim"), "the victim", 60)
    address = swarm("inspect", "-f", "{{.NetworkSettings.IPAddress}}", tasks(swarm, "victim")[0], check=True).stdout.strip()
    for name, arguments in (("strong", ["--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", "--env", "ROLEGATE_ROLE=web"]),
                            ("weak", [])):
        out = job(swarm, name, *arguments, "--mount", "type=bind,src=/usr,dst=/usr,readonly", LOCAL, *ATTACKER,
                  address or "127.0.0.2")
        check_attack(out, flushes=bool(arguments))
    swarm("service", "rm", "victim", check=True)
    swarm.sandbox.wait_for_nobody()


def test_nothing_is_left(swarm):
    assert "key " in job(swarm, "warm", "--env", "ROLEGATE_ROLE=warm", LOCAL, "/aws")
    swarm.sandbox.wait_for_nobody()
    traces = Traces(swarm.sandbox)
    swarm("service", "create", "--detach", "--no-resolve-image", "--name", "box", "--env", "ROLEGATE_ROLE=web", LOCAL,
          "/imds", "hold", check=True)
    swarm.sandbox.host.wait(lambda: tasks(swarm, "box") and swarm.sandbox.ids() == set(tasks(swarm, "box")), "the task", 60)
    traces.remember()
    swarm("service", "rm", "box", check=True)
    traces.check()
