"""A Docker Swarm service of three replicas and one of two, each with its role; rolegate is the default runtime."""

import pytest

from bundles import words
from engines import IMAGE, Docker, Sandbox
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
